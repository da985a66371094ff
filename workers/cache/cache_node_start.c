/* cache_node_start.c: what a cache node starts with: its settings, its directory. See cache_node_worker.h. */
#include "workers/cache/cache_node_worker.h"

#include "common/hold.h"
#include "common/redis/redis_tls.h"
#include "common/secret_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- settings ---- */

const char *node_setting(const struct node *n, const char *name)
{
    const char *path = worker_setting(n->w, name);
    return path != NULL && path[0] != '\0' ? path : NULL;
}

uint64_t node_number(const struct node *n)
{
    const char *dot = strrchr(worker_name(n->w), '.');
    return dot != NULL ? strtoull(dot + 1, NULL, 10) : 1;
}

static void node_read_secret(struct node *n)
{
    char why[PATH_MAX + 256];
    const char *path = node_setting(n, "cache.secret_file");
    if (path == NULL)
        return;
    if (secret_file_read(path, n->secret, sizeof n->secret, why, sizeof why) != 0)
        worker_exit(n->w, CONTRACT_EXIT_CONFIG, "secret_file %s", why);
    n->cache.options.secret = n->secret;
}

static void node_read_tls(struct node *n)
{
    char why[512];
    const char *cert = node_setting(n, "cache.tls_cert_file");
    if (cert == NULL)
        return;
    n->cache.tls = redis_tls_server_new(cert, node_setting(n, "cache.tls_key_file"),
                                        node_setting(n, "cache.tls_ca_file"), why, sizeof why);
    if (n->cache.tls == NULL)
        worker_exit(n->w, CONTRACT_EXIT_CONFIG, "%s", why);
}

static enum cache_log_fsync node_fsync(const struct node *n)
{
    const char *word = worker_setting_text(n->w, "cache.fsync");
    return strcmp(word, "always") == 0 ? CACHE_LOG_ALWAYS
           : strcmp(word, "no") == 0   ? CACHE_LOG_NO
                                       : CACHE_LOG_EVERYSEC;
}

void node_read_settings(struct node *n)
{
    struct worker *w = n->w;
    n->cache.options =
        (struct cache_node_options){.name = worker_name(w),
                                    .memory_max = worker_setting_u64(w, "cache.memory"),
                                    .object_max = worker_setting_u64(w, "cache.object_max"),
                                    .clients_max = worker_setting_u64(w, "cache.clients_max"),
                                    .evict = worker_setting_u64(w, "cache.evict") != 0,
                                    .stored = node_setting(n, "cache.store") != NULL,
                                    .fsync = node_fsync(n),
                                    .timeout_ms = worker_setting_u64(w, "cache.timeout")};
    node_read_secret(n);
    node_read_tls(n);
}

/* ---- its directory ---- */

static void node_make_dir(struct node *n, const char *dir)
{
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        worker_exit(n->w, contract_exit_for(errno),
                    "%s: cannot be made: %s: check state_dir and its disk", dir, strerror(errno));
}

/* Each part of it is made. */
void node_take_dir(struct node *n)
{
    char lock[PATH_MAX];
    const char *parts[] = {"cache", worker_setting_text(n->w, "cache.name"),
                           strrchr(n->cache.options.name, '/') + 1};
    size_t len = strlen(worker_setting_text(n->w, "platoon.state_dir"));
    bool fits =
        slice_copy(slice_of(worker_setting_text(n->w, "platoon.state_dir")), n->dir, sizeof n->dir);
    for (size_t i = 0; fits && i < sizeof parts / sizeof parts[0]; i++) {
        int more = snprintf(n->dir + len, sizeof n->dir - len, "/%s", parts[i]);
        fits = more > 0 && (size_t)more + sizeof "/" HOLD_DIR_NAME < sizeof n->dir - len;
        len += fits ? (size_t)more : 0;
        if (fits)
            node_make_dir(n, n->dir);
    }
    if (!fits)
        worker_exit(n->w, CONTRACT_EXIT_CONFIG, "state_dir: too long: choose a shorter one");
    snprintf(lock, sizeof lock, "%.*s/" HOLD_DIR_NAME, (int)len, n->dir);
    pid_t holder;
    n->hold = hold_take(lock, CONTRACT_ORPHAN_MS, &holder);
    if (n->hold == -EWOULDBLOCK)
        worker_exit(
            n->w, CONTRACT_EXIT_TEMPORARY,
            "%s: another process has it (pid %d): two would spoil its log; end that one, or "
            "choose another state_dir",
            n->dir, (int)holder);
    if (n->hold < 0)
        worker_exit(n->w, contract_exit_for(-n->hold), "%s: %s: %s", lock, strerror(-n->hold),
                    contract_is_shortage(-n->hold) ? contract_shortage_remedy(-n->hold)
                                                   : "it must be a file that platoon may write");
}
