/* redis_fixture.c: starts and ends real redis-servers. See redis_fixture.h. */
#include "test/unit/redis/redis_fixture.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIXTURE_ARGS_MAX 64
#define FIXTURE_START_MS 20000
#define FIXTURE_PROBE_MS 5 /* pause between two looks at the socket */

#define FIXTURE_PORT_FIRST 10000
#define FIXTURE_PORTS      20000

/* Below those that the kernel gives to whoever connects: one of these may be taken before the server has it. */
int redis_fixture_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), tries = 0;
    uint16_t random;
    ck_assert_int_ge(fd, 0);
    do {
        ck_assert_int_lt(tries++, 100);
        ck_assert_int_eq(getrandom(&random, sizeof random, 0), sizeof random);
        address.sin_port = htons((uint16_t)(FIXTURE_PORT_FIRST + random % FIXTURE_PORTS));
    } while (bind(fd, (struct sockaddr *)&address, sizeof address) != 0);
    close(fd);
    return ntohs(address.sin_port);
}

const char *redis_fixture_path(const struct redis_fixture *f, const char *name)
{
    static char paths[8][2 * REDIS_FIXTURE_PATH];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", f->dir, name);
    return path;
}

const char *redis_fixture_write(const struct redis_fixture *f, const char *name,
                                const char *content)
{
    const char *path = redis_fixture_path(f, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(content, file);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

void redis_fixture_shell(const struct redis_fixture *f, const char *command)
{
    char line[4096];
    int len = snprintf(line, sizeof line, "cd %s && { %s; } >> shell.log 2>&1", f->dir, command);
    ck_assert_int_lt(len, (int)sizeof line);
    int rc = system(line);
    ck_assert_msg(rc == 0, "%s: status %d (see %s/shell.log)", command, rc, f->dir);
}

void redis_fixture_init(struct redis_fixture *f)
{
    *f = (struct redis_fixture){0};
    snprintf(f->dir, sizeof f->dir, "/tmp/platoon-redis-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    snprintf(f->socket, sizeof f->socket, "%.100s/redis.sock", f->dir);
    snprintf(f->log, sizeof f->log, "%.100s/redis.log", f->dir);
    f->port = redis_fixture_port();
    f->tls_port = redis_fixture_port();
}

/* In the child: becomes the server. */
static _Noreturn void fixture_exec(const struct redis_fixture *f, bool tcp,
                                   const char *const *arguments)
{
    char port[16];
    snprintf(port, sizeof port, "%d", tcp ? f->port : 0);
    const char *argv[FIXTURE_ARGS_MAX] = {
        "redis-server", "--port",       port, "--bind",     "127.0.0.1", "--unixsocket",
        f->socket,      "--save",       "",   "--dir",      f->dir,      "--logfile",
        f->log,         "--appendonly", "no", "--loglevel", "notice"};
    size_t n = 17;
    for (size_t i = 0; arguments != NULL && arguments[i] != NULL && n + 1 < FIXTURE_ARGS_MAX; i++)
        argv[n++] = arguments[i];
    argv[n] = NULL;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
}

static bool fixture_accepts(const struct redis_fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", f->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

void redis_fixture_start(struct redis_fixture *f, bool tcp, const char *const *arguments)
{
    unlink(f->socket);
    f->pid = fork();
    ck_assert_int_ge(f->pid, 0);
    if (f->pid == 0)
        fixture_exec(f, tcp, arguments);
    uint64_t deadline = clock_mono_ms() + FIXTURE_START_MS;
    while (!fixture_accepts(f)) {
        int status = 0;
        bool gone = waitpid(f->pid, &status, WNOHANG) != 0;
        ck_assert_msg(!gone, "redis-server ended with status %d (see %s)", status, f->log);
        ck_assert_msg(clock_mono_ms() < deadline, "redis-server does not accept (see %s)", f->log);
        poll(NULL, 0, FIXTURE_PROBE_MS);
    }
}

void redis_fixture_kill(struct redis_fixture *f, int signal)
{
    if (f->pid == 0)
        return;
    kill(f->pid, signal);
    ck_assert_int_eq(waitpid(f->pid, NULL, 0), f->pid);
    f->pid = 0;
}

void redis_fixture_fini(struct redis_fixture *f)
{
    redis_fixture_kill(f, SIGKILL);
    char command[REDIS_FIXTURE_PATH + 16];
    snprintf(command, sizeof command, "rm -rf %s", f->dir);
    ck_assert_int_eq(system(command), 0);
}

void redis_fixture_certificates(const struct redis_fixture *f)
{
    redis_fixture_write(f, "san", "subjectAltName=DNS:redis.test,DNS:localhost,IP:127.0.0.1\n");
    redis_fixture_shell(
        f, "for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
           "-nodes -days 2 -subj /CN=$ca -keyout $ca.key -out $ca.crt; done");
    redis_fixture_shell(
        f, "for who in server client; do openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
           "-nodes -subj /CN=$who -keyout $who.key -out $who.csr && openssl x509 -req -in $who.csr "
           "-CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out $who.crt; done");
}
