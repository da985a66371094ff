/* preflight.c: what can be found wrong before the first process is started. See preflight.h. */
#include "master/start/preflight.h"

#include "common/hold.h"
#include "common/trust.h"
#include "common/whole_file.h"
#include "master/build/config_settings.h"
#include "master/config/config_check_key.h"
#include "master/start/places.h"
#include "master/start/sweep.h"
#include "proto/control.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFLIGHT_SOCKET_MAX        107 /* sun_path without its NUL */
#define PREFLIGHT_GENERATION_DIGITS 10

/* Room for what stands in state_dir: redis-<name>/, instance.new. */
#define PREFLIGHT_STATE_NAME_MAX 64

/* Orphans of a dead master are gone within 5 s (issue 2); twice that for a slow disk. */
#define PREFLIGHT_SWEEP_MS 10000

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

/* Whoever may change one of the directories above it has our sockets, or data, as soon as they want. */
static int preflight_above(const char *key, const char *path, struct buffer *error)
{
    struct trust_path t;
    int rc = trust_walk(path, TRUST_NO_OTHERS, &t);
    trust_close(&t);
    if (rc != -EPERM && rc != -EMLINK)
        return 0; /* what is missing is made */
    buffer_printf(error, "%s %s: ", key, path);
    trust_say(&t, rc, error);
    buffer_printf(error,
                  ": choose a place where each directory above is root's or uid %u's alone\n",
                  (unsigned)geteuid());
    return PREFLIGHT_ERROR;
}

static int preflight_dir(const char *key, const char *path, bool ours_alone, struct buffer *error)
{
    struct stat st;
    int rc = preflight_above(key, path, error);
    if (rc != 0)
        return rc;
    rc = preflight_make_dir(path);
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
        buffer_printf(error, "%s %s: belongs to ", key, path);
        trust_say_user(st.st_uid, error);
        buffer_printf(error, ", not to uid %u who runs platoon: choose another, or chown it\n",
                      (unsigned)geteuid());
        return PREFLIGHT_ERROR;
    }
    if (ours_alone && (st.st_mode & 022) != 0) {
        buffer_printf(error, "%s %s: others can write there (mode %04o): chmod 700 %s\n", key, path,
                      (unsigned)(st.st_mode & 07777), path);
        return PREFLIGHT_ERROR;
    }
    return 0;
}

/* ---- locks, sweep ---- */

static void preflight_lock_path(const char *dir, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/" HOLD_DIR_NAME, dir);
}

/* The socket is the way to end the one that has runtime_dir; another's, or nobody's, may be in that of state_dir's. */
static void preflight_say_held(const struct preflight *p, const char *key, const char *dir,
                               pid_t holder, struct buffer *error)
{
    buffer_printf(error, "%s %s: another platoon (pid %d) is running there: ", key, dir,
                  (int)holder);
    if (dir == p->runtime_dir)
        buffer_printf(error, "stop it with platoonctl -s %s/%s shutdown\n", dir,
                      CONTROL_SOCKET_NAME);
    else
        buffer_printf(error,
                      "no two may have the same data: choose another %s, or stop it (kill %d)\n",
                      key, (int)holder);
}

static int preflight_lock(struct preflight *p, const char *key, const char *dir, int *lock,
                          struct buffer *error)
{
    char path[PATH_MAX];
    pid_t holder = 0;
    preflight_lock_path(dir, path);
    int fd = hold_take(path, 0, &holder);
    if (fd == -EWOULDBLOCK)
        preflight_say_held(p, key, dir, holder, error);
    else if (fd == -ENOSPC || fd == -EDQUOT)
        buffer_printf(error, "%s: %s: make room there\n", path, strerror(-fd));
    else if (fd < 0)
        buffer_printf(error, "%s: %s: it must be a file that platoon may write: remove it\n", path,
                      strerror(-fd));
    *lock = fd < 0 ? -1 : fd;
    return fd < 0 ? PREFLIGHT_ERROR : 0;
}

/* The last master's, which an older build did not have. Before its end it is still that one's. */
int preflight_resume(struct preflight *p, bool probe, struct buffer *error)
{
    char path[PATH_MAX];
    pid_t holder = 0;
    preflight_lock_path(p->state_dir, path);
    p->state_lock_fd = hold_find(path);
    if (p->state_lock_fd < 0)
        p->state_lock_fd = hold_take(path, 0, &holder);
    if (p->state_lock_fd >= 0) {
        fcntl(p->state_lock_fd, F_SETFD, FD_CLOEXEC);
        return 0;
    }
    if (probe && holder == getppid())
        return 0;
    preflight_say_held(p, "state_dir", p->state_dir, holder, error);
    return PREFLIGHT_ERROR;
}

/* With the locks in our hands, what is there belongs to a dead master. Its processes are given their time to go. */
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
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n >= 0 && (size_t)n < sizeof path ? whole_file_write(path, slice_of(text))
                                             : -ENAMETOOLONG;
}

/* "<16 hex digits> <boot>\n". One that cannot be read is a new instance: its claims come back by their lease. */
static void preflight_read_identity(struct preflight *p)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/instance", p->state_dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL; /* a fifo is empty, and nobody is waited for */
    uint64_t boot = 0;
    bool known = file != NULL && fscanf(file, "%16[0-9a-f] %" SCNu64, p->instance, &boot) == 2 &&
                 strlen(p->instance) == PREFLIGHT_INSTANCE_SIZE - 1;
    if (file != NULL)
        fclose(file);
    else if (fd >= 0)
        close(fd);
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

static int preflight_runtime_path(struct preflight *p, const struct config *c, struct buffer *error)
{
    const char *path = config_get(config_platoon(c), "runtime_dir");
    size_t need = strlen(path) + 1 + strlen(CONTROL_SOCKET_NAME);
    if (need <= PREFLIGHT_SOCKET_MAX &&
        slice_copy(slice_of(path), p->runtime_dir, sizeof p->runtime_dir))
        return 0;
    config_say(c, NULL, "runtime_dir", error,
               "runtime_dir %s: too long: %s in it would have %zu bytes, a unix socket's path "
               "has at most %d: choose a shorter one",
               path, CONTROL_SOCKET_NAME, need, PREFLIGHT_SOCKET_MAX);
    return PREFLIGHT_CONFIG;
}

int preflight_places(struct preflight *p, const struct config *c, struct buffer *error)
{
    const struct config_section *s = config_platoon(c);
    *p = (struct preflight){.lock_fd = -1, .state_lock_fd = -1};
    preflight_libexec(p, config_get(s, "libexec_dir"));
    int rc = preflight_runtime_path(p, c, error);
    if (rc == 0 && !slice_copy(slice_of(config_get(s, "state_dir")), p->state_dir,
                               sizeof p->state_dir - PREFLIGHT_STATE_NAME_MAX)) {
        config_say(c, NULL, "state_dir", error,
                   "state_dir: longer than %d bytes: choose a shorter one",
                   (int)sizeof p->state_dir - PREFLIGHT_STATE_NAME_MAX);
        rc = PREFLIGHT_CONFIG;
    }
    return rc;
}

int preflight_take(struct preflight *p, const struct config *c, struct buffer *error)
{
    int rc = preflight_places(p, c, error);
    if (rc == 0)
        rc = places_check(c, error);
    if (rc == 0)
        rc = preflight_dir("runtime_dir", p->runtime_dir, true, error);
    if (rc == 0)
        rc = preflight_dir("state_dir", p->state_dir, true, error);
    if (rc == 0)
        rc = preflight_lock(p, "runtime_dir", p->runtime_dir, &p->lock_fd, error);
    if (rc == 0)
        rc = preflight_lock(p, "state_dir", p->state_dir, &p->state_lock_fd, error);
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

static void preflight_let_go(int *lock)
{
    if (*lock >= 0)
        close(*lock);
    *lock = -1;
}

bool preflight_has_runtime_dir(const struct preflight *p)
{
    char path[PATH_MAX];
    preflight_lock_path(p->runtime_dir, path);
    return hold_is_at(p->lock_fd, path);
}

/* The lock files stay: removing one would let two masters lock two files of the same name. */
void preflight_release(struct preflight *p)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/platoon.pid", p->runtime_dir);
    if (preflight_has_runtime_dir(p))
        unlink(path);
    preflight_let_go(&p->lock_fd);
    preflight_let_go(&p->state_lock_fd);
}

/* ---- the tree ---- */

static const struct preflight_entry *preflight_list;
static size_t preflight_count;

void preflight_register(const struct preflight_entry *list, size_t count)
{
    preflight_list = list;
    preflight_count = count;
}

void preflight_found(struct preflight_findings *f, int code, const struct config_section *s,
                     const char *key, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    struct buffer *to = code == PREFLIGHT_PASSING ? f->warnings : f->error;
    bool more = code != PREFLIGHT_PASSING || f->warned++ < CONFIG_ERRORS_MAX;
    if (to != NULL && more)
        config_say(f->c, s, key, to, "%s%s", code == PREFLIGHT_PASSING ? "warning: " : "",
                   text != NULL ? text : "memory is short: try again");
    free(text);
    if (f->code == 0 || code == PREFLIGHT_CONFIG)
        f->code = code;
}

static void preflight_worker(struct node *n, void *ctx)
{
    struct preflight_findings *f = ctx;
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s/%s", f->p->libexec_dir, worker_type_program(n->type));
    if (n->executable != NULL && access(n->executable, X_OK) != 0)
        preflight_found(f, PREFLIGHT_CONFIG, config_section_find(f->c, n->section_kind, n->section),
                        NULL, "%s: command %s: %s: it must be a program platoon may run", n->name,
                        n->executable, strerror(errno));
    bool ours = n->executable == NULL || n->enters;
    if (ours && !f->missing[n->type] && access(program, X_OK) != 0) {
        preflight_found(f, PREFLIGHT_CONFIG, NULL, "libexec_dir",
                        "%s: %s: it is the program of %s: run make, or set libexec_dir", program,
                        strerror(errno), n->name);
        f->missing[n->type] = true;
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
    preflight_found(
        f, PREFLIGHT_CONFIG, NULL, "runtime_dir",
        "runtime_dir %s: too long by %zu bytes: the mailbox of %s would have %zu, a unix "
        "socket's path has at most %d: choose a shorter one",
        f->p->runtime_dir, need - PREFLIGHT_SOCKET_MAX, f->longest, need, PREFLIGHT_SOCKET_MAX);
}

bool preflight_log_path(const struct config *c, const char *state_dir, char *path, size_t size)
{
    const struct config_section *s = config_platoon(c);
    const char *to = config_get(s, "log_to"), *own = config_get(s, "log_path");
    int len = 0;
    path[0] = '\0';
    if (own[0] != '\0')
        len = snprintf(path, size, "%s", own);
    else if (strcmp(to, "file") == 0)
        len = snprintf(path, size, "%s/platoon.log", state_dir);
    else if (strcmp(to, "stderr") != 0)
        len = snprintf(path, size, "%s",
                       strcmp(to, "syslog") == 0 ? "/dev/log" : "/run/systemd/journal/socket");
    return (size_t)len < size;
}

int preflight_find_program(const char *program)
{
    const char *path = getenv("PATH");
    if (strchr(program, '/') != NULL || path == NULL)
        return access(program, X_OK) == 0 ? 0 : -errno;
    while (*path != '\0') {
        size_t n = strcspn(path, ":");
        char full[PATH_MAX];
        snprintf(full, sizeof full, "%.*s/%s", (int)n, path, program);
        if (access(full, X_OK) == 0)
            return 0;
        path += n + (path[n] == ':');
    }
    return -ENOENT;
}

/* It is used all the same: it may lie in a directory that only its users can enter. */
static void preflight_secret(struct preflight_findings *f, const struct config_section *s,
                             const char *key, const char *path)
{
    struct stat st;
    bool secret = strstr(key, "password") != NULL || strstr(key, "key_file") != NULL;
    if (secret && stat(path, &st) == 0 && (st.st_mode & S_IROTH) != 0)
        preflight_found(f, PREFLIGHT_PASSING, s, key,
                        "%s: %s: everybody on this host may read it (mode %04o): chmod 600 %s", key,
                        path, (unsigned)(st.st_mode & 07777), path);
}

/*
 * Every key that names a file to be read. One that a program writes (log_file) is its own system's affair, and a
 * place that we make is looked at elsewhere.
 */
static void preflight_files(struct preflight_findings *f, const struct config_section *s)
{
    static const char read_ends[] = "_file", written[] = "log_file";
    for (int k = 0; k < CONFIG_KEY_COUNT; k++) {
        const struct config_key *key = &config_keys[k];
        size_t len = strlen(key->name);
        if (key->kind != config_section_kind(s) || key->type != CONFIG_PATH ||
            strcmp(key->name, written) == 0 || len < sizeof read_ends ||
            strcmp(key->name + len - (sizeof read_ends - 1), read_ends) != 0)
            continue;
        const char *path = config_get(s, key->name);
        if (path[0] != '\0' && access(path, R_OK) != 0)
            preflight_found(f, PREFLIGHT_PASSING, s, key->name,
                            "%s: %s: %s: make it readable for who runs platoon", key->name, path,
                            strerror(errno));
        else if (path[0] != '\0')
            preflight_secret(f, s, key->name, path);
    }
}

int preflight_check_tree(const struct preflight *p, const struct config *c, struct node *root,
                         enum preflight_when when, struct buffer *error, struct buffer *warnings)
{
    struct preflight_findings f = {
        .p = p, .c = c, .when = when, .error = error, .warnings = warnings};
    f.code = places_check(c, error);
    tree_each_worker(root, preflight_worker, &f);
    preflight_mailboxes(&f);
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        const struct config_section *s;
        for (size_t i = 0; (s = config_section_at(c, kind, i)) != NULL; i++) {
            preflight_files(&f, s);
            for (size_t n = 0; n < preflight_count; n++)
                if (preflight_list[n].kind == kind)
                    preflight_list[n].look(s, &f);
        }
    }
    return f.code;
}
