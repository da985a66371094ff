/* preflight.c: what can be found wrong before the first process is started. See preflight.h. */
#include "master/start/preflight.h"

#include "master/build/config_settings.h"
#include "master/start/sweep.h"
#include "proto/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFLIGHT_SOCKET_MAX        107 /* sun_path without its NUL */
#define PREFLIGHT_GENERATION_DIGITS 10

/* Room for what stands in state_dir: redis-<name>/, instance.new. */
#define PREFLIGHT_STATE_NAME_MAX 64

/* Orphans of a dead master are gone within 5 s (issue 2); twice that for a slow disk. */
#define PREFLIGHT_SWEEP_MS 10000

enum { PREFLIGHT_ERROR = 1, PREFLIGHT_CONFIG = CONTRACT_EXIT_CONFIG };

/* ---- directories ---- */

/* mkdir -p, each 0700. Returns 0 or a negative errno. */
static int preflight_make_dir(const char *path)
{
    char part[PATH_MAX];
    if (!slice_copy(slice_of(path), part, sizeof part))
        return -ENAMETOOLONG;
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char was = *at;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return -errno;
        *at = was;
        if (was == '\0')
            return 0;
    }
}

static int preflight_dir(const char *key, const char *path, bool ours_alone, struct buffer *error)
{
    struct stat st;
    int rc = preflight_make_dir(path);
    if (rc == 0 && stat(path, &st) != 0)
        rc = -errno;
    if (rc != 0) {
        buffer_printf(
            error,
            "%s %s: cannot be made: %s: choose another, or make it and give it to this user\n", key,
            path, strerror(-rc));
        return PREFLIGHT_ERROR;
    }
    if (!S_ISDIR(st.st_mode)) {
        buffer_printf(error, "%s %s: is no directory: choose another\n", key, path);
        return PREFLIGHT_ERROR;
    }
    if (st.st_uid != geteuid()) {
        buffer_printf(
            error,
            "%s %s: belongs to user %u, not to %u who runs platoon: choose another, or chown it\n",
            key, path, (unsigned)st.st_uid, (unsigned)geteuid());
        return PREFLIGHT_ERROR;
    }
    if (ours_alone && (st.st_mode & 022) != 0) {
        buffer_printf(error, "%s %s: others can write there (mode %04o): chmod 700 %s\n", key, path,
                      (unsigned)(st.st_mode & 07777), path);
        return PREFLIGHT_ERROR;
    }
    return 0;
}

/* ---- lock, sweep ---- */

static int preflight_lock(struct preflight *p, struct buffer *error)
{
    char path[PATH_MAX], pid[32] = "";
    snprintf(path, sizeof path, "%s/platoon.lock", p->runtime_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        buffer_printf(error, "%s: %s: check the directory's permissions\n", path, strerror(errno));
        return PREFLIGHT_ERROR;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = read(fd, pid, sizeof pid - 1);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
        buffer_printf(error,
                      "runtime_dir %s: another platoon (pid %s) is running there: stop it with "
                      "platoonctl -s %s/%s shutdown\n",
                      p->runtime_dir, pid, p->runtime_dir, CONTROL_SOCKET_NAME);
        close(fd);
        return PREFLIGHT_ERROR;
    }
    int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || write(fd, pid, (size_t)len) != len) {
        buffer_printf(error, "%s: %s: is the disk full?\n", path, strerror(errno));
        close(fd);
        return PREFLIGHT_ERROR;
    }
    p->lock_fd = fd;
    return 0;
}

/* With the lock in our hands, what is there belongs to a dead master. Its processes are given their time to go. */
static int preflight_sweep(const struct preflight *p, struct buffer *error)
{
    char busy[PATH_MAX], mbox[PATH_MAX];
    if (sweep_wait(p->runtime_dir, PREFLIGHT_SWEEP_MS, busy, sizeof busy) != 0) {
        buffer_printf(error,
                      "%s: a process of the platoon that ran here before still listens there: end "
                      "it (fuser %s names it)\n",
                      busy, busy);
        return PREFLIGHT_ERROR;
    }
    sweep_remove(p->runtime_dir);
    snprintf(mbox, sizeof mbox, "%s/mbox", p->runtime_dir);
    return preflight_dir("runtime_dir", mbox, true, error);
}

/* ---- identity ---- */

static int preflight_write_file(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX], temp[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(temp, sizeof temp, "%s/%s.new", dir, name);
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    size_t len = strlen(text);
    int rc = write(fd, text, len) == (ssize_t)len && fsync(fd) == 0 ? 0 : -errno;
    close(fd);
    if (rc == 0 && rename(temp, path) != 0)
        rc = -errno;
    if (rc != 0)
        return rc;
    int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0 || fsync(dirfd) != 0)
        rc = -errno;
    if (dirfd >= 0)
        close(dirfd);
    return rc;
}

/* "<16 hex digits> <boot>\n". One that cannot be read is a new instance: its claims come back by their lease. */
static void preflight_read_identity(struct preflight *p)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/instance", p->state_dir);
    FILE *file = fopen(path, "re");
    uint64_t boot = 0;
    bool known = file != NULL && fscanf(file, "%16[0-9a-f] %" SCNu64, p->instance, &boot) == 2 &&
                 strlen(p->instance) == PREFLIGHT_INSTANCE_SIZE - 1;
    if (file != NULL)
        fclose(file);
    p->boot = known ? boot + 1 : 1;
    if (known)
        return;
    uint64_t id = 0;
    while (getrandom(&id, sizeof id, 0) != sizeof id)
        ;
    snprintf(p->instance, sizeof p->instance, "%016" PRIx64, id);
}

static int preflight_identity(struct preflight *p, struct buffer *error)
{
    char text[64];
    preflight_read_identity(p);
    snprintf(text, sizeof text, "%s %" PRIu64 "\n", p->instance, p->boot);
    int rc = preflight_write_file(p->state_dir, "instance", text);
    if (rc == 0)
        return 0;
    buffer_printf(error, "%s/instance: cannot be written: %s: is the disk full?\n", p->state_dir,
                  strerror(-rc));
    return PREFLIGHT_ERROR;
}

/* ---- places ---- */

static bool preflight_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* As configured; else libexec/platoon beside the program (build tree), else beside its bin/ (installed). */
static void preflight_libexec(struct preflight *p, const char *configured)
{
    char self[PATH_MAX] = "";
    if (configured[0] != '\0') {
        slice_copy(slice_of(configured), p->libexec_dir, sizeof p->libexec_dir);
        return;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    snprintf(p->libexec_dir, sizeof p->libexec_dir, "%s/libexec/platoon", self);
    if (!preflight_is_dir(p->libexec_dir))
        snprintf(p->libexec_dir, sizeof p->libexec_dir, "%s/../libexec/platoon", self);
}

static int preflight_runtime_path(struct preflight *p, const char *path, struct buffer *error)
{
    size_t need = strlen(path) + 1 + strlen(CONTROL_SOCKET_NAME);
    if (need <= PREFLIGHT_SOCKET_MAX &&
        slice_copy(slice_of(path), p->runtime_dir, sizeof p->runtime_dir))
        return 0;
    buffer_printf(error,
                  "runtime_dir %s: too long: %s in it would have %zu bytes, a unix socket's path "
                  "has at most %d: choose a shorter one\n",
                  path, CONTROL_SOCKET_NAME, need, PREFLIGHT_SOCKET_MAX);
    return PREFLIGHT_CONFIG;
}

int preflight_places(struct preflight *p, const struct config *c, struct buffer *error)
{
    const struct config_section *s = config_platoon(c);
    *p = (struct preflight){.lock_fd = -1};
    preflight_libexec(p, config_get(s, "libexec_dir"));
    int rc = preflight_runtime_path(p, config_get(s, "runtime_dir"), error);
    if (rc == 0 && !slice_copy(slice_of(config_get(s, "state_dir")), p->state_dir,
                               sizeof p->state_dir - PREFLIGHT_STATE_NAME_MAX)) {
        buffer_printf(error, "state_dir: longer than %d bytes: choose a shorter one\n",
                      (int)sizeof p->state_dir - PREFLIGHT_STATE_NAME_MAX);
        rc = PREFLIGHT_CONFIG;
    }
    return rc;
}

int preflight_take(struct preflight *p, const struct config *c, struct buffer *error)
{
    int rc = preflight_places(p, c, error);
    if (rc == 0)
        rc = preflight_dir("runtime_dir", p->runtime_dir, true, error);
    if (rc == 0)
        rc = preflight_dir("state_dir", p->state_dir, true, error);
    if (rc == 0)
        rc = preflight_lock(p, error);
    if (rc == 0)
        rc = preflight_sweep(p, error);
    if (rc == 0)
        rc = preflight_identity(p, error);
    if (rc == 0) {
        char pid[32];
        snprintf(pid, sizeof pid, "%d\n", (int)getpid());
        preflight_write_file(p->runtime_dir, "platoon.pid", pid);
    } else {
        preflight_release(p);
    }
    return rc;
}

void preflight_release(struct preflight *p)
{
    if (p->lock_fd < 0)
        return;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/platoon.pid", p->runtime_dir);
    unlink(path);
    /* The lock file stays: removing it would let two masters lock two files of the same name. */
    close(p->lock_fd);
    p->lock_fd = -1;
}

/* ---- the tree ---- */

struct preflight_findings {
    const struct preflight *p;
    bool running;
    struct buffer *error;
    int code;
    bool missing[WORKER_TYPE_COUNT];
    const char *longest; /* name of a worker */
};

static void preflight_worker(struct node *n, void *ctx)
{
    static const char *const types[] = {
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = type,
        WORKER_TYPE_LIST(X)
#undef X
    };
    struct preflight_findings *f = ctx;
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s/%s", f->p->libexec_dir, types[n->type]);
    if (n->executable != NULL) {
        if (access(n->executable, X_OK) != 0) {
            buffer_printf(f->error, "%s: command %s: %s: it must be a program platoon may run\n",
                          n->name, n->executable, strerror(errno));
            f->code = PREFLIGHT_CONFIG;
        }
    } else if (!f->missing[n->type] && access(program, X_OK) != 0) {
        buffer_printf(f->error, "%s: %s: it is the program of %s: run make, or set libexec_dir\n",
                      program, strerror(errno), n->name);
        f->missing[n->type] = true;
        f->code = PREFLIGHT_CONFIG;
    }
    if (f->longest == NULL || strlen(n->name) > strlen(f->longest))
        f->longest = n->name;
}

static void preflight_mailboxes(struct preflight_findings *f)
{
    if (f->longest == NULL)
        return;
    size_t need = strlen(f->p->runtime_dir) + strlen("/mbox/.") + strlen(f->longest) +
                  PREFLIGHT_GENERATION_DIGITS;
    if (need <= PREFLIGHT_SOCKET_MAX)
        return;
    buffer_printf(f->error,
                  "runtime_dir %s: too long by %zu bytes: the mailbox of %s would have %zu, a unix "
                  "socket's path has at most %d: choose a shorter one\n",
                  f->p->runtime_dir, need - PREFLIGHT_SOCKET_MAX, f->longest, need,
                  PREFLIGHT_SOCKET_MAX);
    f->code = PREFLIGHT_CONFIG;
}

/* As execvp would find it. */
static bool preflight_program_exists(const char *program)
{
    const char *path = getenv("PATH");
    if (strchr(program, '/') != NULL || path == NULL)
        return access(program, X_OK) == 0;
    while (*path != '\0') {
        size_t n = strcspn(path, ":");
        char full[PATH_MAX];
        snprintf(full, sizeof full, "%.*s/%s", (int)n, path, program);
        if (access(full, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

/* The port is taken and given back: between that and the server's own bind somebody else may come, and the server says so then. */
static int preflight_port(uint64_t port)
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

static void preflight_server(const struct config_section *s, struct preflight_findings *f)
{
    const char *program = config_get(s, "server_program");
    uint64_t port = config_get_u64(s, "server_port");
    if (!preflight_program_exists(program)) {
        buffer_printf(f->error,
                      "redis %s: server_program %s: not found: install redis-server, or set url to "
                      "a Redis that runs\n",
                      config_title(s), program);
        f->code = PREFLIGHT_CONFIG;
    }
    int rc = port != 0 && !f->running ? preflight_port(port) : 0;
    if (rc != 0) {
        buffer_printf(f->error,
                      "redis %s: server_port %" PRIu64
                      ": %s: choose another, or end what uses it\n",
                      config_title(s), port, strerror(-rc));
        f->code = f->code != 0 ? f->code : PREFLIGHT_ERROR;
    }
}

int preflight_check_tree(const struct preflight *p, const struct config *c, struct node *root,
                         bool running, struct buffer *error)
{
    struct preflight_findings f = {.p = p, .running = running, .error = error};
    tree_each_worker(root, preflight_worker, &f);
    preflight_mailboxes(&f);
    const struct config_section *s;
    for (size_t i = 0; (s = config_section_at(c, CONFIG_REDIS, i)) != NULL; i++)
        if (config_redis_is_embedded(s))
            preflight_server(s, &f);
    return f.code;
}
