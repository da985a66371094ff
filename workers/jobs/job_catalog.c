/* job_catalog.c: see job_catalog.h. */
#include "workers/jobs/job_catalog.h"

#include "common/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* A find looks at the one file; whether others have come is looked for no more often than so. */
#define CATALOG_LOOK_MS 500u

/* What is broken is tried again so late: what was short then need not be now. */
#define CATALOG_AGAIN_MS 60000u

/* What somebody has killed is read again at once, so often in a row. */
#define CATALOG_KILLS 3u

enum catalog_state { CATALOG_UNREAD, CATALOG_READING, CATALOG_SOUND, CATALOG_BROKEN };

struct catalog_entry {
    struct catalog_entry *next; /* by id, then by file */
    char *id, *file;
    struct stat st; /* as it was when it was read */
    enum job_platform_kind kind;
    enum catalog_state state;
    struct job_platform_spec spec;
    char why[JOB_SPEC_WHY_SIZE];
    uint64_t broken_ms; /* clock_mono_ms */
    unsigned kills;
    bool seen;
    bool again; /* it has changed while it was read */
};

struct job_catalog {
    struct job_user *user; /* they are read as; NULL: as we are */
    uv_loop_t *loop;
    const char *folder, *python, *path;
    job_catalog_fn fn;
    void *ctx;
    struct catalog_entry *first;
    struct catalog_entry *reading; /* the program that is asked */
    struct job_spec_read *read;    /* NULL: nothing is read */
    uint64_t looked_ms;            /* clock_mono_ms; 0: never */
    int error;                     /* of the last look */
};

static void catalog_read_next(struct job_catalog *c);

/* ---- entries ---- */

static void entry_free(struct catalog_entry *e)
{
    job_platform_spec_fini(&e->spec);
    free(e->id);
    free(e->file);
    free(e);
}

static bool entry_same(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mode == b->st_mode && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
           a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* To be read when it is not as it was. */
static void entry_look(struct catalog_entry *e)
{
    struct stat st;
    bool again = e->state == CATALOG_BROKEN && clock_mono_ms() - e->broken_ms > CATALOG_AGAIN_MS;
    if (stat(e->file, &st) != 0 || (entry_same(&st, &e->st) && !again))
        return;
    e->st = st;
    e->kind = job_platform_kind(e->file);
    if (e->state == CATALOG_READING)
        e->again = true;
    else
        e->state = CATALOG_UNREAD;
}

static struct catalog_entry *entry_new(struct slice id, const char *file)
{
    struct catalog_entry *e = calloc(1, sizeof *e);
    if (e == NULL)
        return NULL;
    e->id = slice_dup(id);
    e->file = strdup(file);
    if (e->id != NULL && e->file != NULL)
        return e;
    entry_free(e);
    return NULL;
}

static int entry_order(const struct catalog_entry *e, const char *id, const char *file)
{
    int by_id = strcmp(e->id, id);
    return by_id != 0 ? by_id : strcmp(e->file, file);
}

/* ---- reading ---- */

static void catalog_broken(struct catalog_entry *e, const char *why)
{
    e->state = CATALOG_BROKEN;
    e->broken_ms = clock_mono_ms();
    snprintf(e->why, sizeof e->why, "%s", why);
}

static void catalog_take(struct catalog_entry *e, const json_t *spec)
{
    struct buffer why = BUFFER_EMPTY;
    struct job_platform_spec read;
    int rc = job_platform_read_spec(spec, &read, &why);
    const char *text = why.len > 0 ? buffer_text(&why) : NULL;
    if (rc == 0) {
        job_platform_spec_fini(&e->spec);
        e->spec = read;
        e->state = CATALOG_SOUND;
        e->kills = 0;
        e->why[0] = '\0';
    } else {
        catalog_broken(e, text != NULL ? text : "memory was short");
    }
    buffer_fini(&why);
}

static bool catalog_again(struct catalog_entry *e, bool killed)
{
    return e->again || (killed && ++e->kills < CATALOG_KILLS);
}

static void catalog_on_spec(void *ctx, const json_t *spec, const char *why, bool killed)
{
    struct job_catalog *c = ctx;
    struct catalog_entry *e = c->reading;
    c->read = NULL;
    c->reading = NULL;
    if (catalog_again(e, killed))
        e->state = CATALOG_UNREAD;
    else if (spec != NULL)
        catalog_take(e, spec);
    else
        catalog_broken(e, why);
    e->again = false;
    catalog_read_next(c);
    c->fn(c->ctx);
}

/* One answer for all: what the interpreter knows of a class, or why it does not. */
static void catalog_take_class(struct catalog_entry *e, const json_t *all, const char *why,
                               bool killed)
{
    const json_t *spec = json_object_get(json_object_get(all, "platforms"), e->id),
                 *broken = json_object_get(json_object_get(all, "broken"), e->id);
    if (catalog_again(e, killed))
        e->state = CATALOG_UNREAD;
    else if (json_is_object(spec))
        catalog_take(e, spec);
    else if (json_is_string(broken))
        catalog_broken(e, json_string_value(broken));
    else
        catalog_broken(e, all == NULL ? why : "the interpreter says nothing of it");
    e->again = false;
}

static void catalog_on_classes(void *ctx, const json_t *all, const char *why, bool killed)
{
    struct job_catalog *c = ctx;
    c->read = NULL;
    for (struct catalog_entry *e = c->first; e != NULL; e = e->next)
        if (e->kind == JOB_PLATFORM_CLASS && (e->state == CATALOG_READING || all != NULL))
            catalog_take_class(e, all, why, killed);
    catalog_read_next(c);
    c->fn(c->ctx);
}

#define CATALOG_PATHS 32

static struct job_spec_read *catalog_start_classes(struct job_catalog *c,
                                                   char why[JOB_SPEC_WHY_SIZE])
{
    char folder[PATH_MAX], file[PATH_MAX + 32], *path = strdup(c->path), *rest = path, *one;
    const char *argv[4 + CATALOG_PATHS + 1] = {c->python, file, "--specs", c->folder};
    struct job_spec_read *read = NULL;
    if (path == NULL || !job_platform_python(folder, sizeof folder)) {
        snprintf(why, JOB_SPEC_WHY_SIZE,
                 "what reads classes is not installed: share/platoon/python");
        free(path);
        return NULL;
    }
    snprintf(file, sizeof file, "%s/platoon_jobs.py", folder);
    for (size_t i = 4; i < 4 + CATALOG_PATHS && (one = strsep(&rest, ":")) != NULL;)
        if (one[0] != '\0')
            argv[i++] = one;
    struct child_options options = {.argv = argv, .folder = c->folder};
    job_user_apply(c->user, &options);
    read = job_spec_read_start(c->loop, &options, JOB_SPEC_ALL_MS, catalog_on_classes, c, why);
    free(path);
    return read;
}

/* All that are to be read are being read, or broken. */
static void catalog_read_classes(struct job_catalog *c)
{
    char why[JOB_SPEC_WHY_SIZE];
    c->read = catalog_start_classes(c, why);
    for (struct catalog_entry *e = c->first; e != NULL; e = e->next) {
        if (e->kind != JOB_PLATFORM_CLASS || e->state != CATALOG_UNREAD)
            continue;
        if (c->read != NULL)
            e->state = CATALOG_READING;
        else
            catalog_broken(e, why);
    }
}

static struct job_spec_read *catalog_start(struct job_catalog *c, const struct catalog_entry *e,
                                           char why[JOB_SPEC_WHY_SIZE])
{
    const char *const argv[] = {e->file, "--spec", NULL};
    struct child_options options = {.argv = argv, .folder = c->folder};
    job_user_apply(c->user, &options);
    return job_spec_read_start(c->loop, &options, JOB_SPEC_READ_MS, catalog_on_spec, c, why);
}

static void catalog_read_next(struct job_catalog *c)
{
    char why[JOB_SPEC_WHY_SIZE];
    for (struct catalog_entry *e = c->first; e != NULL && c->read == NULL; e = e->next) {
        if (e->state != CATALOG_UNREAD)
            continue;
        if (e->kind == JOB_PLATFORM_CLASS) {
            catalog_read_classes(c);
            continue;
        }
        c->read = catalog_start(c, e, why);
        c->reading = c->read != NULL ? e : NULL;
        if (c->read != NULL)
            e->state = CATALOG_READING;
        else
            catalog_broken(e, why);
    }
}

/* ---- the folder ---- */

static void catalog_saw(struct slice id, const char *file, void *ctx)
{
    struct job_catalog *c = ctx;
    struct catalog_entry **at = &c->first;
    char name[JOB_PLATFORM_MAX + 1];
    slice_copy(id, name, sizeof name);
    while (*at != NULL && entry_order(*at, name, file) < 0)
        at = &(*at)->next;
    if (*at == NULL || entry_order(*at, name, file) != 0) {
        struct catalog_entry *e = entry_new(id, file);
        if (e == NULL) {
            c->error = -ENOMEM;
            return;
        }
        e->next = *at;
        *at = e;
    }
    (*at)->seen = true;
    entry_look(*at);
}

/* What is being read stays until it has been. */
static void catalog_drop_unseen(struct job_catalog *c)
{
    for (struct catalog_entry **at = &c->first, *e; (e = *at) != NULL;) {
        if (e->seen || e == c->reading) {
            at = &e->next;
            continue;
        }
        *at = e->next;
        entry_free(e);
    }
}

int job_catalog_look(struct job_catalog *c)
{
    c->error = 0;
    for (struct catalog_entry *e = c->first; e != NULL; e = e->next)
        e->seen = false;
    if (!job_platform_each(c->folder, catalog_saw, c)) {
        c->error = -errno;
        return c->error;
    }
    catalog_drop_unseen(c);
    c->looked_ms = clock_mono_ms();
    catalog_read_next(c);
    return c->error != 0 ? c->error : c->read != NULL ? -EBUSY : 0;
}

/* ---- answers ---- */

static struct catalog_entry *catalog_of(struct job_catalog *c, struct slice id)
{
    struct catalog_entry *e = c->first;
    while (e != NULL && (!e->seen || !slice_is(id, e->id)))
        e = e->next;
    return e;
}

static size_t catalog_count(const struct catalog_entry *e)
{
    size_t count = 0;
    for (const struct catalog_entry *other = e; other != NULL && strcmp(other->id, e->id) == 0;
         other = other->next)
        count += other->seen;
    return count;
}

static void catalog_show(const struct catalog_entry *e, struct job_catalog_platform *out,
                         char *twice, size_t size)
{
    *out = (struct job_catalog_platform){.id = e->id, .file = e->file, .why = e->why};
    if (catalog_count(e) > 1) {
        snprintf(twice, size, "it is there %zu times, first as %s: take all but one out",
                 catalog_count(e), e->file);
        out->why = twice;
    } else if (e->state == CATALOG_SOUND) {
        out->spec = &e->spec;
    }
}

int job_catalog_find(struct job_catalog *c, struct slice id, struct job_catalog_platform *out,
                     char *why, size_t size)
{
    struct catalog_entry *e = catalog_of(c, id);
    char twice[JOB_SPEC_WHY_SIZE];
    int len = (int)(id.len < JOB_PLATFORM_MAX ? id.len : JOB_PLATFORM_MAX);
    if (e == NULL || clock_mono_ms() - c->looked_ms >= CATALOG_LOOK_MS) {
        job_catalog_look(c);
        e = catalog_of(c, id);
    } else {
        entry_look(e);
        catalog_read_next(c);
    }
    if (c->error != 0) {
        snprintf(why, size, "%s cannot be read: %s", c->folder, strerror(-c->error));
        return -ENOENT;
    }
    if (e == NULL) {
        snprintf(why, size, "there is no platform %.*s in %s", len, id.ptr, c->folder);
        return -ENOENT;
    }
    catalog_show(e, out, twice, sizeof twice);
    if (out->why != twice && (e->state == CATALOG_UNREAD || e->state == CATALOG_READING))
        return -EBUSY;
    if (out->spec != NULL)
        return 0;
    snprintf(why, size, "platform %s is broken: %s", e->id, out->why);
    *out = (struct job_catalog_platform){0}; /* its `why` may be ours */
    return -EINVAL;
}

void job_catalog_each(struct job_catalog *c,
                      void (*fn)(const struct job_catalog_platform *p, void *ctx), void *ctx)
{
    char twice[JOB_SPEC_WHY_SIZE];
    const char *last = "";
    for (const struct catalog_entry *e = c->first; e != NULL; e = e->next) {
        struct job_catalog_platform p;
        if (!e->seen || strcmp(e->id, last) == 0)
            continue;
        last = e->id;
        catalog_show(e, &p, twice, sizeof twice);
        if (p.why == twice || e->state == CATALOG_SOUND || e->state == CATALOG_BROKEN)
            fn(&p, ctx);
    }
}

/* ---- life ---- */

struct job_catalog *job_catalog_new(uv_loop_t *loop, const char *folder, const char *python,
                                    const char *path, job_catalog_fn fn, void *ctx)
{
    struct job_catalog *c = calloc(1, sizeof *c);
    if (c != NULL)
        *c = (struct job_catalog){
            .loop = loop, .folder = folder, .python = python, .path = path, .fn = fn, .ctx = ctx};
    return c;
}

void job_catalog_set_user(struct job_catalog *c, struct job_user *user)
{
    c->user = user;
}

void job_catalog_free(struct job_catalog *c)
{
    if (c == NULL)
        return;
    if (c->read != NULL)
        job_spec_read_end(c->read);
    for (struct catalog_entry *e = c->first, *next; e != NULL; e = next) {
        next = e->next;
        entry_free(e);
    }
    free(c);
}
