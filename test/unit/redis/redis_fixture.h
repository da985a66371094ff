/*
 * redis_fixture.h: a real redis-server for a test, in a directory of its own.
 *
 * Runs in unit tests only. The server dies with the test process, whatever becomes of that. Everything that goes wrong
 * in here fails the test that called.
 */
#ifndef TEST_UNIT_REDIS_FIXTURE_H
#define TEST_UNIT_REDIS_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define REDIS_FIXTURE_PATH 128

struct redis_fixture {
    char dir[REDIS_FIXTURE_PATH];
    char socket[REDIS_FIXTURE_PATH]; /* unix socket of the server */
    char log[REDIS_FIXTURE_PATH];
    int port; /* plain tcp on 127.0.0.1; 0: none */
    int tls_port;
    pid_t pid; /* 0: not running */
};

/* Makes the directory and chooses free ports; starts nothing. */
void redis_fixture_init(struct redis_fixture *f);

/*
 * Starts the server with further arguments (NULL: none; else ended by NULL) and waits until it accepts on its unix
 * socket. `tcp`: listens on f->port as well. May be called again after redis_fixture_kill.
 */
void redis_fixture_start(struct redis_fixture *f, bool tcp, const char *const *arguments);

/* Ends the server with `signal` and waits until it is gone. */
void redis_fixture_kill(struct redis_fixture *f, int signal);

/* Kills the server and removes the directory. */
void redis_fixture_fini(struct redis_fixture *f);

/* A path in the fixture's directory; one of a few static buffers. */
const char *redis_fixture_path(const struct redis_fixture *f, const char *name);

/* Writes a file in the fixture's directory and returns its path. */
const char *redis_fixture_write(const struct redis_fixture *f, const char *name,
                                const char *content);

/* Runs a shell command in the fixture's directory; fails the test when it fails. */
void redis_fixture_shell(const struct redis_fixture *f, const char *command);

/*
 * A CA (ca), a server's certificate for localhost and 127.0.0.1 (server), a client's (client), a CA that signed nothing
 * (other): NAME.crt and NAME.key in the fixture's directory.
 */
void redis_fixture_certificates(const struct redis_fixture *f);

/* A free tcp port of 127.0.0.1. */
int redis_fixture_port(void);

#endif
