/* snapshot_made.c: how resources are made, and what their newest versions were made from. See snapshot_runs.h. */
#include "workers/snapshot/snapshot_runs.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/text.h"
#include "common/words.h"

#include <stdio.h>
#include <stdlib.h>

struct policy_resource *snapshot_policy_of(const struct snapshot_store *s,
                                           const struct snapshot_resource *r)
{
    return &s->runs->policy.list[s->runs->place[r - s->resources]];
}

static const char *made_setting(const struct snapshot_store *s, size_t i, const char *what)
{
    const char *value = worker_setting_item(s->w, "resources", i, what);
    return value != NULL ? value : "";
}

/* Of an input, which config_check has seen to be there. */
static size_t made_find(const struct snapshot_store *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (strcmp(s->resources[i].name, name) == 0)
            return i;
    return s->count;
}

static bool made_inputs(struct snapshot_store *s, size_t i, struct snapshot_make *m)
{
    struct buffer words = BUFFER_EMPTY;
    int count = words_split(slice_of(made_setting(s, i, "inputs")), SNAPSHOT_INPUTS_MAX, &words);
    for (const char *word = count > 0 ? words_next(&words, 0, NULL) : NULL; word != NULL;
         word = words_next(&words, 0, word)) {
        size_t at = made_find(s, word);
        if (at < s->count)
            m->inputs[m->input_count++] = at;
    }
    buffer_fini(&words);
    m->from = calloc(m->input_count + 1, sizeof *m->from);
    m->taken = calloc(m->input_count + 1, sizeof *m->taken);
    return count >= 0 && m->from != NULL && m->taken != NULL;
}

static void made_schedule(struct snapshot_store *s, size_t i, struct snapshot_make *m)
{
    const char *cron = made_setting(s, i, "cron"), *every = made_setting(s, i, "every");
    char why[SCHEDULE_WHY_SIZE];
    uint64_t every_ms = 0;
    if (every[0] != '\0' && text_parse_u64(slice_of(every), &every_ms) != 0)
        return;
    m->scheduled =
        (cron[0] != '\0' || every_ms > 0) && schedule_read(cron, every_ms, &m->schedule, why) == 0;
}

static bool made_read_one(struct snapshot_store *s, size_t i)
{
    const char *command = made_setting(s, i, "command"), *url = made_setting(s, i, "url");
    const char *fresh = made_setting(s, i, "fresh");
    uint64_t fresh_ms = 0;
    if (command[0] == '\0' && url[0] == '\0')
        return true;
    struct snapshot_make *m = calloc(1, sizeof *m);
    if (m == NULL)
        return false;
    s->resources[i].make = m;
    m->command = command;
    m->url = url[0] != '\0' ? strndup(url, strcspn(url, "?")) : NULL;
    if (fresh[0] != '\0' && text_parse_u64(slice_of(fresh), &fresh_ms) == 0)
        m->fresh_s = fresh_ms / 1000;
    m->since_s = (int64_t)(clock_wall_ms() / 1000);
    if (url[0] != '\0' && m->url == NULL)
        return false;
    snprintf(m->worker, sizeof m->worker, "snapshot/%s/%s",
             worker_setting_text(s->w, "snapshot.name"), s->resources[i].name);
    made_schedule(s, i, m);
    return made_inputs(s, i, m);
}

/* ---- the order ---- */

/* Each behind its inputs: there are no cycles, so a pass adds at least one. */
static void made_order(struct snapshot_store *s)
{
    struct snapshot_runs *runs = s->runs;
    size_t ordered = 0, before = SIZE_MAX;
    for (size_t i = 0; i < s->count; i++)
        runs->place[i] = SIZE_MAX;
    while (ordered < s->count && ordered != before) {
        before = ordered;
        for (size_t i = 0; i < s->count; i++) {
            const struct snapshot_make *m = s->resources[i].make;
            bool ready = runs->place[i] == SIZE_MAX;
            for (size_t k = 0; m != NULL && ready && k < m->input_count; k++)
                ready = runs->place[m->inputs[k]] != SIZE_MAX;
            if (!ready)
                continue;
            runs->place[i] = ordered;
            runs->order[ordered++] = i;
        }
    }
    runs->policy.count = ordered;
}

static void made_policy(struct snapshot_store *s)
{
    for (size_t at = 0; at < s->runs->policy.count; at++) {
        size_t i = s->runs->order[at];
        const struct snapshot_make *m = s->resources[i].make;
        struct policy_resource *p = &s->runs->policy.list[at];
        if (m == NULL)
            continue;
        p->made = true;
        p->input_count = m->input_count;
        for (size_t k = 0; k < m->input_count; k++)
            p->inputs[k] = s->runs->place[m->inputs[k]];
        p->pause_ms = worker_setting_item_u64(s->w, "resources", i, "pause");
        p->retry_min_ms = worker_setting_item_u64(s->w, "resources", i, "retry_min");
        p->retry_max_ms = worker_setting_item_u64(s->w, "resources", i, "retry_max");
    }
}

bool snapshot_made_read(struct snapshot_store *s)
{
    struct snapshot_runs *runs = s->runs = calloc(1, sizeof *runs);
    if (runs == NULL)
        return false;
    runs->policy.list = calloc(s->count + 1, sizeof *runs->policy.list);
    runs->order = calloc(s->count + 1, sizeof *runs->order);
    runs->place = calloc(s->count + 1, sizeof *runs->place);
    bool good = runs->policy.list != NULL && runs->order != NULL && runs->place != NULL;
    for (size_t i = 0; good && i < s->count; i++)
        good = made_read_one(s, i);
    if (!good)
        return false;
    made_order(s);
    made_policy(s);
    int rc = zone_load("", &runs->zone);
    if (rc != 0)
        log_warn("zone",
                 "cause=%s remedy=\"/etc/localtime is to be a zone's file; it is UTC until then\"",
                 log_quote_text(strerror(-rc)));
    uv_timer_init(worker_loop(s->w), &runs->timer);
    runs->timer.data = s;
    return true;
}

/* The timer is in it: it goes when the loop has let go of that. */
static void made_runs_free(struct snapshot_runs *runs)
{
    zone_free(runs->zone);
    free(runs->policy.list);
    free(runs->order);
    free(runs->place);
    free(runs);
}

static void made_on_closed(uv_handle_t *timer)
{
    made_runs_free(((struct snapshot_store *)timer->data)->runs);
}

void snapshot_made_free(struct snapshot_store *s)
{
    for (size_t i = 0; s->resources != NULL && i < s->count; i++) {
        struct snapshot_make *m = s->resources[i].make;
        if (m == NULL)
            continue;
        buffer_fini(&m->said);
        free(m->from);
        free(m->taken);
        free(m->url);
        free(m);
    }
    if (s->runs != NULL && s->runs->timer.data != NULL)
        uv_close((uv_handle_t *)&s->runs->timer, made_on_closed);
    else if (s->runs != NULL)
        made_runs_free(s->runs);
}

/* ---- what the newest versions were made from ---- */

policy_content snapshot_content(const struct snapshot_resource *r)
{
    char digits[17];
    if (!r->has)
        return 0;
    memcpy(digits, r->blob, 16);
    digits[16] = '\0';
    policy_content content = strtoull(digits, NULL, 16);
    return content != 0 ? content : 1;
}

static bool made_keeps(struct slice written, const char *value)
{
    return value == NULL || value[0] == '\0' ? written.len == 0
                                             : snapshot_trailers_keep(written, slice_of(value));
}

/* By the same command, from the same inputs, in the same order: else it is to be made anew. */
static bool made_is_same(const struct snapshot_store *s, const struct snapshot_make *m,
                         const struct snapshot_trailers *t)
{
    bool same = t->input_count == m->input_count && made_keeps(t->command, m->command) &&
                made_keeps(t->url, m->url);
    for (size_t k = 0; same && k < m->input_count; k++)
        same = slice_is(t->inputs[k].name, s->resources[m->inputs[k]].name);
    return same;
}

void snapshot_made_meets(struct snapshot_store *s, struct snapshot_resource *r,
                         const struct snapshot_trailers *t)
{
    struct snapshot_make *m = r->make;
    if (m == NULL)
        return;
    struct policy_resource *p = snapshot_policy_of(s, r);
    m->checked_s = r->time_s;
    p->ran = made_is_same(s, m, t);
    if (!p->ran || !slice_copy(t->etag, m->etag, sizeof m->etag))
        m->etag[0] = '\0';
    if (!p->ran || !slice_copy(t->modified, m->modified, sizeof m->modified))
        m->modified[0] = '\0';
    for (size_t k = 0; k < m->input_count; k++) {
        bool fits =
            p->ran && slice_copy(t->inputs[k].commit, m->from[k].commit, sizeof m->from[k].commit);
        if (!fits)
            m->from[k].commit[0] = '\0';
    }
}

/* The file as it was then; a commit that is not there any more leaves it unknown, and the version is made anew. */
static void made_from(struct snapshot_store *s, struct snapshot_resource *r)
{
    struct snapshot_make *m = r->make;
    struct policy_resource *p = snapshot_policy_of(s, r);
    char why[SNAPSHOT_WHY_SIZE];
    for (size_t k = 0; k < m->input_count; k++) {
        struct snapshot_taken *from = &m->from[k];
        if (from->commit[0] == '\0' ||
            !snapshot_repo_find(s->repo, from->commit, s->resources[m->inputs[k]].path, from->blob,
                                &from->size, why)) {
            p->ran = false;
            from->blob[0] = '\0';
            continue;
        }
        struct snapshot_resource then = {.has = true};
        memcpy(then.blob, from->blob, sizeof then.blob);
        p->ran_with[k] = snapshot_content(&then);
    }
}

void snapshot_made_known(struct snapshot_store *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct snapshot_resource *r = &s->resources[i];
        struct snapshot_make *m = r->make;
        snapshot_policy_of(s, r)->content = snapshot_content(r);
        if (m == NULL)
            continue;
        if (r->has)
            made_from(s, r);
        else
            snapshot_policy_of(s, r)->ran = false;
        if (m->scheduled) /* what was missed while nobody was there is made up for, once */
            m->next_s =
                schedule_next(&m->schedule, s->runs->zone,
                              m->checked_s != 0 ? m->checked_s : (int64_t)(clock_wall_ms() / 1000));
    }
}
