/* reload.c: see reload.h. */
#include "master/reload.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/pack.h"
#include "common/unpack.h"
#include "master/config/config_check.h"
#include "master/config/config_key.h"
#include "master/config/config_load.h"
#include "master/logs/crash.h"
#include "master/logs/log_out.h"
#include "master/start/notify.h"
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
    const struct config_section *s = config_platoon(m->config);
    struct log_out_settings out = {
        .to = reload_log_to(config_get(s, "log_to")),
        .json = strcmp(config_get(s, "log_format"), "json") == 0,
        .rotate_bytes = config_get_u64(s, "log_rotate_size"),
        .rotate_ms = config_get_u64(s, "log_rotate_age"),
        .rotations_kept = config_get_u64(s, "log_keep"),
    };
    bool fits = preflight_log_path(m->config, m->paths.state_dir, out.path, sizeof out.path);
    int rc = fits ? log_out_configure(&out) : -ENAMETOOLONG;
    if (rc != 0)
        log_error("log-destination",
                  "log_to=%s path=%s cause=%s remedy=\"lines go where they went before: mend it, "
                  "then platoonctl reload\"",
                  config_get(s, "log_to"), log_quote_text(out.path),
                  log_quote_text(log_out_why(rc)));
    return rc;
}

void reload_log_resume(struct master *m)
{
    char path[PATH_MAX];
    if (strcmp(config_get(config_platoon(m->config), "log_to"), "file") == 0 &&
        preflight_log_path(m->config, m->paths.state_dir, path, sizeof path))
        log_out_resume(path);
}

/* ---- settings ---- */

void reload_settings(struct master *m)
{
    const struct config_section *s = config_platoon(m->config);
    log_set_level(m->root->log_level);
    struct process_settings processes = {
        .runtime_dir = m->paths.runtime_dir,
        .libexec_dir = m->paths.libexec_dir,
        .cgroup = m->paths.cgroup,
        .hang_timeout_ms = config_get_u64(s, "hang_timeout"),
    };
    process_setup(m->loop, &processes);
    crash_setup(m->paths.state_dir, config_get_u64(s, "crash_reports"));
    struct policy_limits limits = builder_limits(s);
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

void reload_log_warnings(struct buffer *warnings)
{
    const char *line = buffer_text(warnings);
    for (size_t n; line != NULL && *line != '\0'; line += n + (line[n] == '\n')) {
        n = strcspn(line, "\n");
        log_warn("config-warning", "cause=%s", log_quote(slice_make(line, n)));
    }
}

static void reload_level(struct node *worker, void *ctx)
{
    (void)ctx;
    process_set_level(worker);
}

/* Both configurations may be the same one. */
static int reload_to(struct master *m, const struct config *c, bool dry_run, struct buffer *changes,
                     struct buffer *errors)
{
    struct node *wanted = tree_build(c, &m->paths, errors);
    if (wanted == NULL)
        return CONTROL_CONFIG;
    struct buffer plan = BUFFER_EMPTY, keys = BUFFER_EMPTY, warnings = BUFFER_EMPTY;
    int code = preflight_check_tree(&m->paths, c, wanted, PREFLIGHT_RUNNING, errors, &warnings);
    if (!dry_run)
        reload_log_warnings(&warnings);
    buffer_fini(&warnings);
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

/* systemd (sd_notify(3)) counts a reload as done at the next READY=1. */
void reload_on_signal(struct master *m)
{
    if (m->stopping)
        return;
    char text[64];
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_mono_ms() * 1000);
    notify_send(text);
    struct buffer changes = BUFFER_EMPTY, errors = BUFFER_EMPTY;
    if (reload_file(m, false, &changes, &errors) != 0) {
        const char *cause = buffer_text(&errors);
        if (cause == NULL)
            cause = "memory is short";
        for (size_t n; *cause != '\0'; cause += n + (cause[n] == '\n')) {
            n = strcspn(cause, "\n");
            log_error("reload-refused", "cause=%s remedy=\"the tree runs on as it was\"",
                      log_quote(slice_make(cause, n)));
        }
    }
    notify_send("READY=1");
    buffer_fini(&changes);
    buffer_fini(&errors);
}

/* ---- a number ---- */

/* The key that says how many there are of a worker; NULL when their number is fixed. */
static const struct config_key *reload_pool_key(const struct node *n)
{
    for (int type = 0; type < WORKER_TYPE_COUNT; type++) {
        const struct worker_type_record *r = worker_type_record((enum worker_type)type);
        /* A program section's key is one, whatever the type of its workers. */
        bool mine = r->kind == n->section_kind && (n->program || type == (int)n->type);
        int k = mine ? config_key_find(r->kind, slice_of(r->workers_key)) : -1;
        if (k >= 0)
            return &config_keys[k];
    }
    return NULL;
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

/* What a file with that number in it would be told, the order is told. */
static bool reload_scale_is_right(const struct config *c, struct buffer *errors)
{
    struct config_errors *list = calloc(1, sizeof *list);
    if (list == NULL) {
        reload_plan_failed(-ENOMEM, errors);
        return false;
    }
    config_check(c, list);
    bool good = !config_errors_any(list);
    config_errors_print(list, config_path(c), errors);
    config_errors_fini(list);
    free(list);
    return good;
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
        bool good = reload_scale_is_right(m->config, errors);
        code = good ? reload_to(m, m->config, dry_run, changes, errors) : CONTROL_USAGE;
        if (code != 0 || dry_run)
            config_swap(m->config, section, key->name, &value);
    }
    free(value);
    if (code == 0 && !dry_run)
        reload_log_changes(changes);
    return code;
}
