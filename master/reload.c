/* reload.c: see reload.h. */
#include "master/reload.h"

#include "common/log.h"
#include "common/pack.h"
#include "common/unpack.h"
#include "master/config/config_key.h"
#include "master/logs/crash.h"
#include "master/logs/log_out.h"
#include "master/supervise/supervisor.h"
#include "master/build/tree_build.h"
#include "master/build/tree_merge.h"
#include "master/process/process.h"
#include "proto/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- log lines ---- */

static enum log_out_to reload_log_to(const char *word)
{
    return strcmp(word, "file") == 0      ? LOG_OUT_FILE
           : strcmp(word, "syslog") == 0  ? LOG_OUT_SYSLOG
           : strcmp(word, "journal") == 0 ? LOG_OUT_JOURNAL
                                          : LOG_OUT_STDERR;
}

int reload_log(struct master *m)
{
    static const char *const usual[] = {
        [LOG_OUT_SYSLOG] = "/dev/log", [LOG_OUT_JOURNAL] = "/run/systemd/journal/socket"};
    const struct config_section *s = config_platoon(m->config);
    struct log_out_settings out = {
        .to = reload_log_to(config_get(s, "log_to")),
        .json = strcmp(config_get(s, "log_format"), "json") == 0,
        .rotate_bytes = config_get_u64(s, "log_rotate_size"),
        .rotate_ms = config_get_u64(s, "log_rotate_age"),
        .rotations_kept = config_get_u64(s, "log_keep"),
    };
    const char *path = config_get(s, "log_path");
    int len = 0;
    if (path[0] != '\0')
        len = snprintf(out.path, sizeof out.path, "%s", path);
    else if (out.to == LOG_OUT_FILE)
        len = snprintf(out.path, sizeof out.path, "%s/platoon.log", m->paths.state_dir);
    else if (out.to != LOG_OUT_STDERR)
        len = snprintf(out.path, sizeof out.path, "%s", usual[out.to]);
    int rc = (size_t)len < sizeof out.path ? log_out_configure(&out) : -ENAMETOOLONG;
    if (rc != 0)
        log_error("log-destination",
                  "log_to=%s path=%s cause=%s remedy=\"lines go where they went before: mend it, "
                  "then platoonctl reload\"",
                  config_get(s, "log_to"), log_quote_text(out.path), log_quote_text(strerror(-rc)));
    return rc;
}

/* ---- settings ---- */

void reload_settings(struct master *m)
{
    const struct config_section *s = config_platoon(m->config);
    log_set_level(m->root->log_level);
    struct worker_process_settings processes = {
        .runtime_dir = m->paths.runtime_dir,
        .libexec_dir = m->paths.libexec_dir,
        .cgroup = m->paths.cgroup,
        .hang_timeout_ms = config_get_u64(s, "hang_timeout"),
    };
    worker_process_setup(m->loop, m->root, &processes);
    crash_setup(m->paths.state_dir, config_get_u64(s, "crash_reports"));
    struct policy_limits limits = tree_build_limits(s);
    supervisor_set_limits(&limits);
    supervisor_set_on_fatal(strcmp(config_get(s, "on_fatal"), "exit") == 0 ? m->on_fatal : NULL);
}

/* ---- one tree into the other ---- */

static int reload_plan_failed(int rc, struct buffer *errors)
{
    buffer_printf(errors, rc == -EEXIST
                              ? "a name is a branch now and was a worker before, or the other way "
                                "round: platoonctl shutdown, then start platoon again\n"
                              : "memory is short: try again\n");
    return rc == -EEXIST ? CONTROL_CONFIG : CONTROL_ERROR;
}

static void reload_level(struct node *worker, void *ctx)
{
    (void)ctx;
    worker_process_set_level(worker);
}

/* Both configurations may be the same one. */
static int reload_to(struct master *m, const struct config *c, bool dry_run, struct buffer *changes,
                     struct buffer *errors)
{
    struct node *wanted = tree_build(c, &m->paths, errors);
    if (wanted == NULL)
        return CONTROL_CONFIG;
    struct buffer plan = BUFFER_EMPTY, keys = BUFFER_EMPTY;
    int code = preflight_check_tree(&m->paths, c, wanted, true, errors);
    int count = code == 0 ? tree_merge_plan(m->root, wanted, &plan) : 0;
    config_changed_live(m->config, c, &keys);
    if (count < 0 || keys.failed)
        code = reload_plan_failed(count < 0 ? count : -ENOMEM, errors);
    if (code == 0) {
        pack_array(changes, (uint32_t)count + (keys.len > 0));
        if (keys.len > 0) {
            pack_array(changes, 3);
            pack_text(changes, "update");
            pack_text(changes, m->root->name);
            pack_str(changes, buffer_slice(&keys));
        }
        buffer_append_slice(changes, buffer_slice(&plan));
        if (!buffer_ok(changes))
            code = reload_plan_failed(-ENOMEM, errors);
    }
    buffer_fini(&plan);
    buffer_fini(&keys);
    if (code != 0 || dry_run) {
        tree_free(wanted);
        return code;
    }
    tree_merge(m->root, wanted);
    tree_each_worker(m->root, reload_level, NULL);
    supervisor_merged();
    return 0;
}

/* One line for each change: what `platoonctl reload` prints. */
static void reload_log_changes(const struct buffer *changes)
{
    struct unpack u = unpack_start(buffer_slice(changes));
    uint32_t count = unpack_array(&u);
    for (uint32_t i = 0; i < count && unpack_ok(&u); i++) {
        unpack_array(&u);
        struct slice action = unpack_str(&u), name = unpack_str(&u), why = unpack_str(&u);
        if (unpack_ok(&u))
            log_info("reload-change", "name=%.*s action=%.*s why=%s", (int)name.len, name.ptr,
                     (int)action.len, action.ptr, log_quote(why));
    }
}

/* ---- the file ---- */

int reload_file(struct master *m, bool dry_run, struct buffer *changes, struct buffer *errors)
{
    struct config *c = config_load(config_path(m->config), errors);
    if (c == NULL)
        return CONTROL_CONFIG;
    int code = config_may_reload(m->config, c, errors) ? reload_to(m, c, dry_run, changes, errors)
                                                       : CONTROL_CONFIG;
    if (code != 0 || dry_run) {
        config_free(c);
        return code;
    }
    config_free(m->config);
    m->config = c;
    reload_settings(m);
    reload_log(m);
    log_info("reloaded", "config=%s", log_quote_text(config_path(c)));
    reload_log_changes(changes);
    return 0;
}

/* ---- a number ---- */

static const struct {
    enum config_kind kind;
    const char *key;
} reload_pools[] = {
#define RELOAD_EMBEDDED                      CONFIG_REDIS
#define RELOAD_REDIS                         CONFIG_REDIS
#define RELOAD_DRAIN                         CONFIG_DRAIN
#define RELOAD_HEALTH                        CONFIG_PLATOON
#define RELOAD_PROGRAM                       CONFIG_PROGRAM
#define RELOAD_ONCE                          CONFIG_PLATOON
#define X(NAME, type, PLACE, path, key, doc) [WORKER_TYPE_##NAME] = {RELOAD_##PLACE, key},
    WORKER_TYPE_LIST(X)
#undef X
};

/* The key that says how many there are of a worker; NULL when their number is fixed. */
static const struct config_key *reload_pool_key(const struct node *n)
{
    enum config_kind kind = n->program ? CONFIG_PROGRAM : reload_pools[n->type].kind;
    int k = config_key_find(kind, slice_of(n->program ? "processes" : reload_pools[n->type].key));
    return k >= 0 ? &config_keys[k] : NULL;
}

/* The first worker of a pool, which stands for all of it. */
static struct node *reload_pool(struct master *m, struct slice name)
{
    char first[CONTRACT_NAME_MAX];
    if (name.len > CONTRACT_NAME_MAX - 3)
        return NULL;
    snprintf(first, sizeof first, "%.*s.1", (int)name.len, name.ptr);
    struct node *n = tree_find(m->root, slice_of(first));
    return n != NULL && !n->child ? n : NULL;
}

int reload_scale(struct master *m, struct slice name, uint64_t count, bool dry_run,
                 struct buffer *changes, struct buffer *errors)
{
    struct node *n = reload_pool(m, name), *alone = tree_find(m->root, name);
    const struct config_key *key = n != NULL ? reload_pool_key(n) : NULL;
    if (n == NULL && alone == NULL)
        return CONTROL_NO_NAME;
    if (key == NULL) {
        buffer_printf(errors, "%s is no pool: scale takes the name of one without its number\n",
                      n != NULL ? n->name : alone->name);
        return CONTROL_USAGE;
    }
    /* Not none: then no worker would be left whose name could be scaled again. */
    uint64_t min = key->min > 0 ? key->min : 1;
    if (count < min || count > key->max) {
        buffer_printf(errors, "there can be %" PRIu64 " to %" PRIu64 " of them%s\n", min, key->max,
                      count == 0 ? ": to have none run, platoonctl stop" : "");
        return CONTROL_USAGE;
    }
    const struct config_section *section = config_section_find(m->config, key->kind, n->section);
    char *value = NULL;
    if (asprintf(&value, "%" PRIu64, count) < 0)
        return reload_plan_failed(-ENOMEM, errors);
    int code = CONTROL_ERROR;
    if (config_swap(m->config, section, key->name, &value)) {
        code = reload_to(m, m->config, dry_run, changes, errors);
        if (code != 0 || dry_run)
            config_swap(m->config, section, key->name, &value);
    }
    free(value);
    if (code == 0 && !dry_run)
        reload_log_changes(changes);
    return code;
}
