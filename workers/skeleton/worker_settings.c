/*
 * worker_settings.c: a worker's settings, as CONFIG brought them.
 *
 * A sorted array over one copy of the text: settings are read a few dozen times at start, and are never changed.
 */
#include "common/log.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Copies text and its NUL to *at and moves *at on. False when it holds a NUL: it could not be read back whole. */
static bool worker_settings_copy(char **at, struct slice text)
{
    bool whole = slice_copy(text, *at, text.len + 1);
    *at += text.len + 1;
    return whole;
}

static int worker_settings_compare(const void *a, const void *b)
{
    const struct worker_setting *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static bool worker_settings_unique(const struct worker_settings *s)
{
    for (size_t i = 1; i < s->count; i++)
        if (strcmp(s->list[i - 1].name, s->list[i].name) == 0)
            return false;
    return true;
}

static bool worker_settings_fill(struct worker_settings *s, struct unpack *u)
{
    char *at = s->text;
    for (size_t i = 0; i < s->count; i++) {
        struct slice name = unpack_str(u);
        struct slice value = unpack_str(u);
        if (!unpack_ok(u))
            return false;
        s->list[i] = (struct worker_setting){at, at + name.len + 1};
        if (!worker_settings_copy(&at, name) || !worker_settings_copy(&at, value))
            return false;
    }
    qsort(s->list, s->count, sizeof s->list[0], worker_settings_compare);
    return unpack_end(u) && worker_settings_unique(s);
}

int worker_settings_read(struct worker_settings *s, struct slice map)
{
    struct unpack u = unpack_start(map);
    uint32_t count = unpack_map(&u);
    if (!unpack_ok(&u))
        return -EBADMSG;
    if (count > WORKER_SETTINGS_MAX)
        return -E2BIG;
    struct worker_settings read = {.count = count};
    read.list = calloc(count + 1, sizeof read.list[0]);
    /* Every text loses at least its type byte and gains a NUL: the map's own length is always enough. */
    read.text = malloc(map.len + 1);
    int rc = read.list == NULL || read.text == NULL ? -ENOMEM : 0;
    if (rc == 0 && !worker_settings_fill(&read, &u))
        rc = -EBADMSG;
    if (rc == 0)
        *s = read;
    else
        worker_settings_fini(&read);
    return rc;
}

void worker_settings_fini(struct worker_settings *s)
{
    free(s->list);
    free(s->text);
    *s = (struct worker_settings){0};
}

const char *worker_settings_find(const struct worker_settings *s, const char *name)
{
    if (s->count == 0)
        return NULL;
    struct worker_setting key = {.name = name};
    const struct worker_setting *found =
        bsearch(&key, s->list, s->count, sizeof s->list[0], worker_settings_compare);
    return found == NULL ? NULL : found->value;
}

void worker_settings_each(const struct worker_settings *s, const char *prefix,
                          void (*fn)(const char *name, const char *value, void *ctx), void *ctx)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < s->count; i++)
        if (strncmp(s->list[i].name, prefix, len) == 0)
            fn(s->list[i].name, s->list[i].value, ctx);
}

/* ---- worker.h ---- */

const char *worker_setting(const struct worker *w, const char *name)
{
    return worker_settings_find(&w->settings, name);
}

const char *worker_setting_text(const struct worker *w, const char *name)
{
    const char *value = worker_setting(w, name);
    if (value == NULL || value[0] == '\0')
        /* Ends the process: the cast is harmless, and keeps `const` honest for every caller that only reads. */
        worker_exit((struct worker *)w, CONTRACT_EXIT_CONFIG,
                    "%s: setting %s is missing; the master should have sent it: do both come from "
                    "one build?",
                    w->name, name);
    return value;
}

uint64_t worker_setting_u64(const struct worker *w, const char *name)
{
    const char *text = worker_setting_text(w, name);
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9')
        worker_exit((struct worker *)w, CONTRACT_EXIT_CONFIG,
                    "%s: setting %s is %s, not a whole number; correct it in the configuration",
                    w->name, name, log_quote_text(text));
    return value;
}

const char *worker_setting_item(const struct worker *w, const char *list, size_t i,
                                const char *what)
{
    char name[CONTRACT_ITEM_SIZE];
    snprintf(name, sizeof name, CONTRACT_ITEM, list, i, what);
    return worker_setting(w, name);
}

uint64_t worker_setting_item_u64(const struct worker *w, const char *list, size_t i,
                                 const char *what)
{
    char name[CONTRACT_ITEM_SIZE];
    snprintf(name, sizeof name, CONTRACT_ITEM, list, i, what);
    return worker_setting_u64(w, name);
}

void worker_setting_each(const struct worker *w, const char *prefix,
                         void (*fn)(const char *name, const char *value, void *ctx), void *ctx)
{
    worker_settings_each(&w->settings, prefix, fn, ctx);
}
