/*
 * embedded_tree.c: the command worker that runs the embedded server: when there is one, its command line, what must be
 * there. See systems_tree.h.
 *
 * Runs in the master.
 */
#include "common/login_file.h"
#include "master/redis/embedded_redis.h"
#include "master/start/places.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

bool tree_when_embedded(const struct config *c, const struct config_section *s)
{
    (void)c;
    return embedded_redis_is(s);
}

/* ---- its command line ---- */

struct embedded_words {
    struct config_extras *extras;
    int count;
};

static void embedded_word(struct embedded_words *w, const char *value)
{
    char name[32];
    snprintf(name, sizeof name, "command.argv.%d", w->count++);
    config_extras_add(w->extras, name, value);
}

static void embedded_option(struct embedded_words *w, const char *name, const char *value)
{
    embedded_word(w, name);
    embedded_word(w, value);
}

static void embedded_number(struct embedded_words *w, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    embedded_option(w, name, text);
}

static void embedded_command(const struct config_section *s, const char *socket, const char *dir,
                             const char *login, struct config_extras *extras)
{
    struct embedded_words w = {.extras = extras};
    embedded_word(&w, config_get(s, "server_program"));
    embedded_option(&w, "--unixsocket", socket);
    embedded_option(&w, "--unixsocketperm", "700");
    embedded_number(&w, "--port", config_get_u64(s, "server_port"));
    embedded_option(&w, "--bind", "127.0.0.1");
    embedded_option(&w, "--dir", dir);
    embedded_option(&w, "--appendonly", "yes");
    embedded_option(&w, "--appendfsync", config_get(s, "server_appendfsync"));
    embedded_option(&w, "--save", "");
    embedded_number(&w, "--maxmemory", config_get_u64(s, "server_maxmemory"));
    embedded_option(&w, "--maxmemory-policy", "noeviction");
    /* The watcher is woken instead of polling. */
    embedded_option(&w, "--notify-keyspace-events", "Ks");
    embedded_option(&w, "--daemonize", "no");
    embedded_option(&w, "--loglevel", "notice");
    if (login != NULL)
        embedded_option(&w, "--include", login);
}

/* The configuration file that has the server's password; nothing when it has none. */
static void embedded_login_path(const struct config *c, const struct config_section *s,
                                struct buffer *login)
{
    struct buffer password = BUFFER_EMPTY;
    embedded_redis_password_file(c, s, &password);
    if (password.len > 0) {
        embedded_redis_dir(c, s, login);
        buffer_append_text(login, "/login.conf");
    }
    login->failed |= password.failed;
    buffer_fini(&password);
}

int tree_extra_embedded(const struct config *c, const struct config_section *s,
                        const struct preflight *p, struct config_extras *extras)
{
    (void)p;
    struct buffer socket = BUFFER_EMPTY, dir = BUFFER_EMPTY, ready = BUFFER_EMPTY;
    struct buffer lock = BUFFER_EMPTY, login = BUFFER_EMPTY;
    embedded_redis_socket(c, s, &socket);
    embedded_redis_dir(c, s, &dir);
    embedded_login_path(c, s, &login);
    int rc = buffer_text(&socket) != NULL && buffer_text(&dir) != NULL ? 0 : -ENOMEM;
    if (rc == 0) {
        buffer_printf(&ready, "unix:%s", socket.data);
        buffer_printf(&lock, "%s/platoon.lock", dir.data);
    }
    if (rc == 0 &&
        (buffer_text(&ready) == NULL || buffer_text(&lock) == NULL || buffer_text(&login) == NULL))
        rc = -ENOMEM;
    if (rc == 0) {
        embedded_command(s, socket.data, dir.data, login.len > 0 ? login.data : NULL, extras);
        /* Its log marks what matters so; the last such line says why it has ended. */
        config_extras_add(extras, "command.reason", " # ");
        config_extras_add(extras, "command.ready", ready.data);
        config_extras_add(extras, "command.lock", lock.data);
        config_extras_add(extras, "command.dir", "");
        config_extras_add(extras, "command.stop_signal", "15");
    }
    buffer_fini(&socket);
    buffer_fini(&dir);
    buffer_fini(&ready);
    buffer_fini(&lock);
    buffer_fini(&login);
    return rc;
}

/* ---- what must be there ---- */

/*
 * The port is taken and given back: between that and the server's own bind somebody else may come, and
 * the server says so then.
 */
static int embedded_try_port(uint64_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int rc = bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0
                 ? 0
                 : -errno;
    close(fd);
    return rc;
}

/* The server's own place under state_dir, and what makes it ask for its password. */
static void embedded_make_place(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer dir = BUFFER_EMPTY, file = BUFFER_EMPTY, login = BUFFER_EMPTY;
    char why[512] = "";
    embedded_redis_dir(f->c, s, &dir);
    embedded_redis_password_file(f->c, s, &file);
    embedded_login_path(f->c, s, &login);
    bool good =
        buffer_text(&dir) != NULL && buffer_text(&file) != NULL && buffer_text(&login) != NULL;
    int rc = good ? 0 : -ENOMEM;
    if (rc == 0 && mkdir(dir.data, 0700) != 0 && errno != EEXIST)
        rc = -errno;
    if (rc == 0 && login.len > 0)
        rc = embedded_login_write(file.data, config_get(s, "password_file")[0] == '\0', login.data,
                                  why, sizeof why);
    if (rc != 0 && why[0] != '\0')
        preflight_found(f, PREFLIGHT_ERROR, s, NULL, "redis %s: %s", config_title(s), why);
    else if (rc != 0)
        preflight_found(f, PREFLIGHT_ERROR, s, NULL,
                        "redis %s: %s: cannot be made: %s: check state_dir and its disk",
                        config_title(s), good ? dir.data : "its directory", strerror(-rc));
    buffer_fini(&dir);
    buffer_fini(&file);
    buffer_fini(&login);
}

static void embedded_look_at_password(const struct config_section *s, struct preflight_findings *f)
{
    char why[512];
    struct login_file login;
    const char *file = config_get(s, "password_file");
    if (file[0] == '\0')
        return;
    if (login_file_read(&login, file, why, sizeof why) == 0)
        login_file_wipe(&login);
    else
        preflight_found(f, PREFLIGHT_CONFIG, s, "password_file", "redis %s: %s", config_title(s),
                        why);
}

/* Both have a lock of that name, and the server could never have its own. */
static void embedded_look_at_place(const struct config_section *s, struct preflight_findings *f)
{
    struct buffer dir = BUFFER_EMPTY;
    embedded_redis_dir(f->c, s, &dir);
    const char *path = buffer_text(&dir);
    if (path != NULL && places_same(path, config_get(config_platoon(f->c), "runtime_dir")))
        preflight_found(f, PREFLIGHT_CONFIG, NULL, "runtime_dir",
                        "runtime_dir %s: redis %s has its data there: choose another", path,
                        config_title(s));
    buffer_fini(&dir);
}

void preflight_embedded(const struct config_section *s, struct preflight_findings *f)
{
    if (!embedded_redis_is(s))
        return;
    embedded_look_at_place(s, f);
    const char *program = config_get(s, "server_program");
    uint64_t port = config_get_u64(s, "server_port");
    if (f->when != PREFLIGHT_CHECK)
        embedded_make_place(s, f);
    if (preflight_find_program(program) != 0)
        preflight_found(f, PREFLIGHT_CONFIG, s, "server_program",
                        "redis %s: server_program %s: not found: install redis-server, or set url "
                        "to a Redis that runs",
                        config_title(s), program);
    embedded_look_at_password(s, f);
    int rc = port != 0 && f->when == PREFLIGHT_START ? embedded_try_port(port) : 0;
    if (rc != 0)
        preflight_found(f, PREFLIGHT_ERROR, s, "server_port",
                        "redis %s: server_port %" PRIu64
                        ": %s: choose another, or end what uses it",
                        config_title(s), port, strerror(-rc));
}
