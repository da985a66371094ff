/* zone.c: see zone.h. */
#include "common/time/zone.h"

#include "common/time/zone_rule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ZONE_FOLDER     "/usr/share/zoneinfo/"
#define ZONE_FILE_MAX   (64 * 1024)
#define ZONE_TYPES_MAX  256
#define ZONE_OFFSET_MAX (26 * 3600)

struct zone {
    size_t changes;
    int64_t *times;   /* ascending */
    int32_t *offsets; /* from each of them on */
    int32_t first;    /* before all of them */
    bool ruled;       /* after the last */
    struct zone_rule rule;
};

void zone_free(struct zone *z)
{
    if (z == NULL)
        return;
    free(z->times);
    free(z->offsets);
    free(z);
}

/* ---- TZif ---- */

#define HEAD 44

struct head {
    uint64_t ut, standard, leaps, times, types, chars;
};

static uint64_t read_big(const char *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value = value << 8 | (unsigned char)at[i];
    return value;
}

static bool head_read(struct slice file, struct head *h)
{
    if (file.len < HEAD || memcmp(file.ptr, "TZif", 4) != 0 || file.ptr[4] < '2')
        return false;
    uint64_t *const counts[] = {&h->ut, &h->standard, &h->leaps, &h->times, &h->types, &h->chars};
    for (int i = 0; i < 6; i++)
        *counts[i] = read_big(file.ptr + 20 + 4 * i, 4);
    return true;
}

/* Counts have 32 bits each: the sum fits. */
static uint64_t body_size(const struct head *h, uint64_t time_size)
{
    return h->times * (time_size + 1) + h->types * 6 + h->chars + h->leaps * (time_size + 4) +
           h->standard + h->ut;
}

static bool zone_read_changes(struct zone *z, const struct head *h, const char *body)
{
    const char *indices = body + h->times * 8, *types = indices + h->times;
    int32_t offsets[ZONE_TYPES_MAX] = {0};
    for (size_t i = 0; i < h->types; i++) {
        offsets[i] = (int32_t)(uint32_t)read_big(types + 6 * i, 4);
        if (offsets[i] < -ZONE_OFFSET_MAX || offsets[i] > ZONE_OFFSET_MAX)
            return false;
    }
    z->first = offsets[0];
    for (size_t i = 0; i < h->times; i++) {
        unsigned type = (unsigned char)indices[i];
        z->times[i] = (int64_t)read_big(body + 8 * i, 8);
        if (type >= h->types || (i > 0 && z->times[i] <= z->times[i - 1]))
            return false;
        z->offsets[i] = offsets[type];
    }
    z->changes = h->times;
    return true;
}

/* What follows the body: a line feed, the rule (or nothing), a line feed. */
static bool zone_read_rule(struct zone *z, struct slice rest)
{
    const char *end =
        rest.len > 0 && rest.ptr[0] == '\n' ? memchr(rest.ptr + 1, '\n', rest.len - 1) : NULL;
    if (end == NULL)
        return false;
    struct slice rule = slice_make(rest.ptr + 1, (size_t)(end - rest.ptr - 1));
    z->ruled = rule.len > 0;
    return rule.len == 0 || zone_rule_parse(rule, &z->rule) == 0;
}

int zone_parse(struct slice file, struct zone **out)
{
    struct head h;
    if (!head_read(file, &h) || body_size(&h, 4) > file.len - HEAD)
        return -EBADMSG;
    uint64_t old = HEAD + body_size(&h, 4);
    file = slice_make(file.ptr + old, file.len - old);
    if (!head_read(file, &h) || body_size(&h, 8) > file.len - HEAD || h.leaps > 0 || h.types == 0 ||
        h.types > ZONE_TYPES_MAX)
        return -EBADMSG;
    uint64_t whole = HEAD + body_size(&h, 8);
    struct zone *z = calloc(1, sizeof *z);
    if (z == NULL)
        return -ENOMEM;
    z->times = malloc((h.times + 1) * sizeof *z->times);
    z->offsets = malloc((h.times + 1) * sizeof *z->offsets);
    int rc = -ENOMEM;
    if (z->times != NULL && z->offsets != NULL)
        rc = zone_read_changes(z, &h, file.ptr + HEAD) &&
                     zone_read_rule(z, slice_make(file.ptr + whole, file.len - whole))
                 ? 0
                 : -EBADMSG;
    if (rc == 0)
        *out = z;
    else
        zone_free(z);
    return rc;
}

/* ---- by name ---- */

static bool zone_is_name(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
    return name[0] != '/' && strlen(name) <= ZONE_NAME_MAX && name[strspn(name, allowed)] == '\0';
}

static int zone_utc_make(struct zone **out)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? 0 : -ENOMEM;
}

/* A folder of zones ("Europe") cannot be read: -EBADMSG as for any other file that is none. */
static int zone_read(const char *path, struct zone **out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    char *bytes = malloc(ZONE_FILE_MAX);
    size_t len = 0;
    ssize_t n = 0;
    while (bytes != NULL && len < ZONE_FILE_MAX &&
           (n = read(fd, bytes + len, ZONE_FILE_MAX - len)) > 0)
        len += (size_t)n;
    int rc = bytes == NULL                   ? -ENOMEM
             : n < 0 && errno != EISDIR      ? -errno
             : n < 0 || len == ZONE_FILE_MAX ? -EBADMSG
                                             : zone_parse(slice_make(bytes, len), out);
    free(bytes);
    close(fd);
    return rc;
}

int zone_load(const char *name, struct zone **out)
{
    char path[sizeof ZONE_FOLDER + ZONE_NAME_MAX] = "/etc/localtime";
    if (!zone_is_name(name))
        return -EINVAL;
    if (strcmp(name, "UTC") == 0) /* needs no tzdata */
        return zone_utc_make(out);
    if (name[0] != '\0')
        snprintf(path, sizeof path, ZONE_FOLDER "%s", name);
    int rc = zone_read(path, out);
    return rc == -ENOENT && name[0] == '\0' ? zone_utc_make(out) : rc;
}

/* ---- asking ---- */

/* How many changes lie at or before `utc`. */
static size_t zone_find(const struct zone *z, int64_t utc)
{
    size_t low = 0, high = z->changes;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (z->times[middle] <= utc)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int32_t zone_offset(const struct zone *z, int64_t utc)
{
    if (z == NULL)
        return 0;
    size_t n = zone_find(z, utc);
    if (z->ruled && n == z->changes)
        return zone_rule_offset(&z->rule, utc);
    return n > 0 ? z->offsets[n - 1] : z->first;
}

/* The first change after `utc`; INT64_MAX: none. */
static int64_t zone_next(const struct zone *z, int64_t utc)
{
    size_t n = zone_find(z, utc);
    if (n < z->changes)
        return z->times[n];
    return z->ruled ? zone_rule_next(&z->rule, utc) : INT64_MAX;
}

/* From a change to the next the offset stands: is `local` shown there? Offsets are within a day and two hours. */
int64_t zone_utc(const struct zone *z, int64_t local, enum zone_local *how)
{
    *how = ZONE_ONCE;
    if (z == NULL)
        return local;
    int64_t from = local - ZONE_OFFSET_MAX - 1, found = INT64_MAX;
    while (from <= local + ZONE_OFFSET_MAX) {
        int64_t next = zone_next(z, from), at = local - zone_offset(z, from);
        if (at < from && found == INT64_MAX) {
            *how = ZONE_SKIPPED;
            return from;
        }
        if (at >= from && at < next) {
            if (found != INT64_MAX) {
                *how = ZONE_TWICE;
                return found;
            }
            found = at;
        }
        from = next;
    }
    return found;
}
