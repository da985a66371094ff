/* snapshot_cut.c: see snapshot_cut.h. */
#include "workers/snapshot/snapshot_cut.h"

#include "common/name_index.h"
#include "common/time/civil.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_ID_SIZE 65 /* also of a repository of SHA-256 */

/* A commit that is kept under that name of a reference. */
struct cut_point {
    struct cut_point *next; /* that was met after it */
    char *name;
    char id[CUT_ID_SIZE];
    bool island; /* beyond the cut */
    bool is_set; /* the reference is there, and says so */
};

struct snapshot_cut {
    struct snapshot_cut_options options;
    char boundary[CUT_ID_SIZE]; /* the oldest of the branch that is kept */
    bool over;                  /* what comes is beyond it */
    bool any_beyond;
    bool is_mirrored; /* what comes is in the mirror */
    bool waits;
    struct cut_point *first, **last;
    struct name_index by_name;
    struct buffer refs;
};

struct snapshot_cut *snapshot_cut_new(const struct snapshot_cut_options *o)
{
    struct snapshot_cut *cut = calloc(1, sizeof *cut);
    if (cut == NULL)
        return NULL;
    cut->options = *o;
    cut->last = &cut->first;
    cut->is_mirrored = !o->mirrors;
    return cut;
}

void snapshot_cut_free(struct snapshot_cut *cut)
{
    if (cut == NULL)
        return;
    while (cut->first != NULL) {
        struct cut_point *p = cut->first;
        cut->first = p->next;
        free(p->name);
        free(p);
    }
    name_index_fini(&cut->by_name);
    buffer_fini(&cut->refs);
    free(cut);
}

/* ---- what is kept ---- */

static struct cut_point *cut_find(struct snapshot_cut *cut, struct slice name)
{
    return name_index_find(&cut->by_name, 0, name);
}

static bool cut_add(struct snapshot_cut *cut, struct slice name, struct slice id, bool is_set)
{
    struct cut_point *p = calloc(1, sizeof *p);
    if (p == NULL)
        return false;
    *cut->last = p;
    cut->last = &p->next;
    p->island = cut->over;
    p->is_set = is_set;
    p->name = slice_dup(name);
    return p->name != NULL && slice_copy(id, p->id, sizeof p->id) &&
           name_index_add(&cut->by_name, 0, p->name, p);
}

/* The first commit that comes under a name is its newest one. */
static bool cut_keep(struct snapshot_cut *cut, const char *kind, struct slice what, struct slice id,
                     bool is_set)
{
    struct buffer name = BUFFER_EMPTY;
    buffer_append_text(&name, kind);
    buffer_append_slice(&name, what);
    bool good = buffer_ok(&name) && (cut_find(cut, buffer_slice(&name)) != NULL ||
                                     cut_add(cut, buffer_slice(&name), id, is_set));
    buffer_fini(&name);
    return good;
}

static void cut_date(int64_t time_s, char text[16])
{
    struct civil c;
    civil_of(time_s, &c);
    snprintf(text, 16, "%04d-%02d-%02d", c.year % 10000, c.month, c.day);
}

/* Today has no last commit yet. */
static bool cut_is_daily(const struct snapshot_cut *cut, int64_t time_s)
{
    int64_t day = civil_day_of(time_s), today = civil_day_of(cut->options.now_s);
    return cut->options.daily_s > 0 && day < today &&
           day >= civil_day_of(cut->options.now_s - cut->options.daily_s);
}

bool snapshot_cut_commit(struct snapshot_cut *cut, struct slice id, int64_t time_s,
                         struct slice resource)
{
    char date[16];
    bool young = cut->options.keep_s == 0 || time_s >= cut->options.now_s - cut->options.keep_s;
    bool old = cut->boundary[0] != '\0' && !young;
    cut->over = cut->over || (old && cut->is_mirrored);
    cut->waits = cut->waits || (old && !cut->is_mirrored);
    cut->is_mirrored = cut->is_mirrored || slice_equal(id, cut->options.mirrored);
    if (cut->over)
        cut->any_beyond = true;
    else if (!slice_copy(id, cut->boundary, sizeof cut->boundary))
        return false;
    if (!cut_keep(cut, SNAPSHOT_CUT_NEWEST, resource, id, false))
        return false;
    cut_date(time_s, date);
    return !cut_is_daily(cut, time_s) ||
           cut_keep(cut, SNAPSHOT_CUT_DAILY, slice_of(date), id, false);
}

bool snapshot_cut_waits(const struct snapshot_cut *cut)
{
    return cut->waits;
}

/* ---- what there is ---- */

static bool cut_begins(struct slice text, const char *with, struct slice *rest)
{
    size_t len = strlen(with);
    bool begins = text.len > len && memcmp(text.ptr, with, len) == 0;
    if (begins)
        *rest = slice_make(text.ptr + len, text.len - len);
    return begins;
}

/* Beyond an older cut its commits are not met any more: whether it is too old is said by its name. */
static bool cut_is_expired(const struct snapshot_cut *cut, struct slice date)
{
    char oldest[16];
    cut_date(cut->options.now_s - cut->options.daily_s, oldest);
    return cut->options.daily_s == 0 || date.len != strlen(oldest) ||
           memcmp(date.ptr, oldest, date.len) < 0;
}

bool snapshot_cut_delete(struct snapshot_cut *cut, struct slice name)
{
    buffer_printf(&cut->refs, "delete %.*s\n", (int)name.len, name.ptr);
    return buffer_ok(&cut->refs);
}

bool snapshot_cut_ref(struct snapshot_cut *cut, struct slice name, struct slice id)
{
    struct slice what = slice_of("");
    bool daily = cut_begins(name, SNAPSHOT_CUT_DAILY, &what);
    if (!daily && !cut_begins(name, SNAPSHOT_CUT_NEWEST, &what))
        return true;
    if (daily && cut_is_expired(cut, what))
        return snapshot_cut_delete(cut, name);
    struct cut_point *met = cut_find(cut, name);
    if (met != NULL) {
        met->is_set = slice_is(id, met->id);
        return true;
    }
    cut->over = true; /* no commit of the branch: an island since an older cut */
    return cut_keep(cut, daily ? SNAPSHOT_CUT_DAILY : SNAPSHOT_CUT_NEWEST, what, id, true);
}

/* ---- what is to be done ---- */

/* A line of it. */
static bool cut_has_line(struct slice file, const char *id)
{
    size_t len = strlen(id);
    while (file.len > 0) {
        const char *end = memchr(file.ptr, '\n', file.len);
        size_t line = end != NULL ? (size_t)(end - file.ptr) : file.len;
        if (line == len && memcmp(file.ptr, id, len) == 0)
            return true;
        file = slice_make(file.ptr + line + (end != NULL), file.len - line - (end != NULL));
    }
    return false;
}

static void cut_add_line(struct buffer *file, const char *id)
{
    if (!cut_has_line(buffer_slice(file), id))
        buffer_printf(file, "%s\n", id);
}

bool snapshot_cut_end(struct snapshot_cut *cut, struct buffer *refs, struct buffer *shallow)
{
    buffer_append_slice(refs, buffer_slice(&cut->refs));
    if (cut->any_beyond || cut_has_line(cut->options.shallow, cut->boundary))
        cut_add_line(shallow, cut->boundary);
    for (const struct cut_point *p = cut->first; p != NULL; p = p->next) {
        if (!p->is_set)
            buffer_printf(refs, "update %s %s\n", p->name, p->id);
        if (p->island)
            cut_add_line(shallow, p->id);
    }
    return buffer_ok(refs) && buffer_ok(shallow) && !cut->refs.failed;
}
