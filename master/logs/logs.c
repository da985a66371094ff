/* logs.c: a ring of lines. See logs.h. */
#include "master/logs/logs.h"

#include "common/pack.h"
#include "common/unpack.h"
#include "master/tree/tree_match.h"
#include "proto/contract.h"

#include <stdio.h>
#include <stdlib.h>

struct logs_line {
    uint64_t wall_ms;
    enum log_level level;
    size_t len;
    char worker[CONTRACT_NAME_MAX];
    char text[];
};

/* Lines first .. next - 1 are there, each at its number modulo LOGS_LINES_MAX. */
static struct {
    struct logs_line *lines[LOGS_LINES_MAX];
    uint64_t first, next;
    size_t bytes;
} logs = {.first = 1, .next = 1};

static struct logs_line **logs_at(uint64_t number)
{
    return &logs.lines[number % LOGS_LINES_MAX];
}

static void logs_drop_first(void)
{
    struct logs_line **at = logs_at(logs.first++);
    logs.bytes -= sizeof **at + (*at)->len;
    free(*at);
    *at = NULL;
}

void logs_add(uint64_t wall_ms, enum log_level level, const char *worker, struct slice line)
{
    size_t bytes = sizeof(struct logs_line) + line.len;
    while (logs.first < logs.next &&
           (logs.next - logs.first == LOGS_LINES_MAX || logs.bytes + bytes > LOGS_BYTES_MAX))
        logs_drop_first();
    struct logs_line *l = malloc(bytes);
    if (l == NULL)
        return;
    *l = (struct logs_line){.wall_ms = wall_ms, .level = level, .len = line.len};
    snprintf(l->worker, sizeof l->worker, "%s", worker);
    memcpy(l->text, line.ptr, line.len);
    logs.bytes += bytes;
    *logs_at(logs.next++) = l;
}

/* ---- whose line it is ---- */

/* The worker that a line of the master's own is about: "worker-exit name=redis/send.1 …". */
static bool logs_is_about(const struct logs_line *l, const char *name)
{
    static const char key[] = " name=";
    char about[CONTRACT_NAME_MAX];
    const char *found = memmem(l->text, l->len, key, sizeof key - 1);
    if (found == NULL)
        return false;
    found += sizeof key - 1;
    size_t left = l->len - (size_t)(found - l->text), n = 0;
    while (n < left && found[n] != ' ')
        n++;
    return slice_copy(slice_make(found, n), about, sizeof about) && tree_name_matches(about, name);
}

static bool logs_belongs(const struct logs_line *l, const char *name)
{
    return tree_name_matches(l->worker, name) ||
           (strcmp(l->worker, "platoon") == 0 && logs_is_about(l, name));
}

/* ---- out ---- */

static void logs_pack_line(struct buffer *out, const struct logs_line *l)
{
    pack_array(out, 4);
    pack_u64(out, l->wall_ms);
    pack_text(out, log_level_name(l->level));
    pack_text(out, l->worker);
    pack_str(out, slice_make(l->text, l->len));
}

size_t logs_pack(struct buffer *out, struct slice name, uint64_t after, size_t limit,
                 uint64_t *last)
{
    char text[CONTRACT_NAME_MAX];
    bool known = slice_copy(name, text, sizeof text); /* a longer name is nobody's */
    uint64_t from = after + 1 > logs.first ? after + 1 : logs.first, begin = logs.next;
    size_t count = 0;
    for (uint64_t i = logs.next; known && i > from && count < limit; i--) {
        if (!logs_belongs(*logs_at(i - 1), text))
            continue;
        begin = i - 1;
        count++;
    }
    pack_array(out, (uint32_t)count);
    for (uint64_t i = begin; i < logs.next; i++)
        if (logs_belongs(*logs_at(i), text))
            logs_pack_line(out, *logs_at(i));
    *last = logs.next - 1;
    return count;
}

void logs_restore(struct slice packed, uint64_t last)
{
    struct unpack u = unpack_start(packed);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u) || logs.next != 1 || last < count)
        return;
    logs.first = logs.next = last - count + 1;
    for (uint32_t i = 0; i < count; i++) {
        unpack_array(&u);
        uint64_t wall_ms = unpack_u64(&u);
        char level[8], worker[CONTRACT_NAME_MAX];
        enum log_level parsed = LOG_LEVEL_INFO;
        bool named = slice_copy(unpack_str(&u), level, sizeof level) &&
                     slice_copy(unpack_str(&u), worker, sizeof worker);
        struct slice line = unpack_bytes(&u);
        if (!unpack_ok(&u) || !named)
            return;
        log_level_parse(level, &parsed);
        logs_add(wall_ms, parsed, worker, line);
    }
}

void logs_fini(void)
{
    while (logs.first < logs.next)
        logs_drop_first();
}
