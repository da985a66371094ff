/*
 * fuzz_cache_call.c: what anybody may say to a cache node as a call or a request (cache_call.h, cache_ask.h): lines of
 * JSON, or a verb with msgpack; without a store, or with one that never answers. Each has one answer in its form, or
 * waits; what has failed has written one line; and what a set has acknowledged a get tells.
 *
 * The first byte of an input chooses the store; of each line behind it, whether it is a call, and which verb.
 */
#include "common/json/json_check.h"
#include "common/unpack.h"
#include "test/fuzz/cache/fuzz_node.h"
#include "workers/cache/cache_ask.h"
#include "workers/cache/cache_call.h"
#include "workers/cache/cache_need.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* ---- what is said to it ---- */

static bool is_line(struct slice s)
{
    return s.len > 0 && memchr(s.ptr, '\n', s.len) == NULL;
}

static void say_call(struct cache_node *n, struct slice text, struct buffer *out,
                     struct cache_need *need)
{
    bool done = cache_call(n, text, out, need);
    struct slice said = buffer_slice(out);
    if (!buffer_ok(out))
        abort(); /* there is memory */
    if (done ? need->waits || !json_check_object(said)
             : !need->waits && (!is_line(said) || said.len < 2 || said.ptr[0] != '"' ||
                                said.ptr[said.len - 1] != '"'))
        abort();
}

static void say_ask(struct cache_node *n, unsigned verb, struct slice args, struct buffer *out,
                    struct cache_need *need)
{
    static const char *const verbs[] = {"get",       "set",        "del",       "dump",
                                        "dump-wait", "dump-all",   "dirty",     "dead-list",
                                        "dead-show", "dead-retry", "dead-drop", "json"};
    const char *name = verbs[verb % (sizeof verbs / sizeof *verbs)];
    enum control_status status = cache_ask(n, slice_of(name), args, out, need);
    struct slice said = buffer_slice(out);
    struct unpack u = unpack_start(said);
    if (!buffer_ok(out))
        abort();
    if (need->waits)
        return;
    unpack_raw(&u);
    if (status == CONTROL_OK ? !unpack_end(&u) : !is_line(said))
        abort();
}

static void say(struct cache_node *n, struct slice line, struct buffer *out)
{
    struct cache_need need = {0};
    unsigned char what = line.len > 0 ? (unsigned char)line.ptr[0] : 0;
    struct slice rest = slice_make(line.ptr + 1, line.len > 0 ? line.len - 1 : 0);
    buffer_clear(out);
    if (line.len > 0 && what == '{')
        say_call(n, line, out, &need);
    else if (line.len > 0)
        say_ask(n, what, rest, out, &need);
    buffer_fini(&need.key);
}

/* A set that was done is there: in a room of its own, whatever was said before. */
static void set_is_told(struct cache_node *n, struct buffer *out)
{
    struct cache_need need = {0};
    if (cache_call(n, slice_of("{\"set\":\"one more\",\"value\":\"a\\u0000\"}"), out, &need) &&
        (!cache_call(n, slice_of("{\"get\":\"one more\"}"), out, &need) ||
         !slice_is(buffer_slice(out), "{\"ok\":\"a\\u0000\"}")))
        abort();
    buffer_fini(&need.key);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct cache_node n;
    struct buffer out = BUFFER_EMPTY;
    node_begin(&n, node_loop(), size > 0 && data[0] % 2 == 1);
    for (size_t at = 1, end; at < size; at = end + 1) {
        for (end = at; end < size && data[end] != '\n'; end++)
            ;
        say(&n, slice_make(data + at, end - at), &out);
    }
    set_is_told(&n, &out);
    buffer_fini(&out);
    node_end(&n);
    return 0;
}
