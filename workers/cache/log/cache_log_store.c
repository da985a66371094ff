/*
 * cache_log_store.c: of which store the log's records speak. See cache_log.h.
 *
 * What is clean is so for one store only: with another behind, or with the same after a while without, it would be
 * taken for stored and lost. So the file `store` beside the segments says which store it is (the second line), and
 * from which segment on (the first): when that is another than it was, all that is there is of before, and a new
 * segment is begun for what comes. It is written before that, so whenever the process dies, what is of before is
 * known; nothing is written anew, and what was stored since is not stored again. No file: of no store.
 */
#include "common/fault.h"
#include "common/whole_file.h"
#include "workers/cache/log/cache_log_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STORE_FILE   "store"
#define STORE_DIGITS 8
#define STORE_HEAD   (STORE_DIGITS + 1)

static const char *store_name(const struct cache_log *l)
{
    return l->options.store != NULL ? l->options.store : "";
}

/* Whether the file says that store; then since when. What cannot be read, or is longer, is another. */
static bool store_read(const struct cache_log *l, uint32_t *since)
{
    size_t len = STORE_HEAD + strlen(store_name(l)) + 1;
    char *text = malloc(len + 1);
    int fd = openat(l->dir, STORE_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd >= 0 && text != NULL ? read(fd, text, len + 1) : -1;
    bool same = n == (ssize_t)len && text[STORE_DIGITS] == '\n' && text[len - 1] == '\n' &&
                memcmp(text + STORE_HEAD, store_name(l), len - 1 - STORE_HEAD) == 0;
    if (same) {
        text[STORE_DIGITS] = '\0';
        *since = (uint32_t)strtoul(text, NULL, 16);
    }
    if (fd >= 0)
        close(fd);
    free(text);
    return same;
}

static int store_write(const struct cache_log *l, uint32_t since)
{
    struct buffer path = BUFFER_EMPTY, text = BUFFER_EMPTY;
    char head[STORE_HEAD + 1];
    snprintf(head, sizeof head, "%08" PRIx32 "\n", since);
    buffer_append_text(&path, l->path);
    buffer_append_text(&path, "/" STORE_FILE);
    buffer_append_text(&text, head);
    buffer_append_text(&text, store_name(l));
    buffer_append_text(&text, "\n");
    const char *at = buffer_text(&path);
    int rc = FAULT_POINT("cache-log.store", slice_of("")) ? -EIO
             : at == NULL || text.failed                  ? -ENOMEM
                                         : whole_file_write(at, buffer_slice(&text));
    buffer_fini(&path);
    buffer_fini(&text);
    return rc;
}

static int store_remove(const struct cache_log *l)
{
    if (unlinkat(l->dir, STORE_FILE, 0) != 0)
        return errno == ENOENT ? 0 : -errno;
    return fsync(l->dir) != 0 ? -errno : 0;
}

static int store_change(struct cache_log *l, uint32_t next)
{
    l->since = store_name(l)[0] != '\0' ? next : 0;
    return store_name(l)[0] != '\0' ? store_write(l, next) : store_remove(l);
}

int cache_log_store_open(struct cache_log *l, char *why, size_t why_size)
{
    struct cache_log_part *last = l->part_count > 0 ? &l->parts[l->part_count - 1] : NULL;
    uint32_t next = last != NULL ? last->number + 1 : 1;
    bool same = store_name(l)[0] != '\0' && store_read(l, &l->since) && l->since <= next;
    int rc = same ? 0 : store_change(l, next);
    if (rc != 0)
        cache_log_explain(why, why_size, "say whose store it is in", l->path, NULL, rc);
    if (last != NULL && last->number < l->since)
        last->full = true;
    return rc;
}
