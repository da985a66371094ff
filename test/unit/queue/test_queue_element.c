/* test_queue_element.c: elements of lists and names of facets; beside the scripts, which write and read the same. */
#include "proto/queue/queue_element.h"
#include "test/unit/queue/queue_fixture.h"

#define LITERAL(text) slice_make(text, sizeof(text) - 1)

static struct queue_element read_of(struct slice bytes)
{
    return queue_element_read(bytes);
}

START_TEST(what_is_read)
{
    struct queue_element e = read_of(LITERAL("\0001"
                                             "17 23 bo\0dy"));
    ck_assert(e.kind == QUEUE_ENVELOPE && slice_is(e.id, "17") && e.at_ms == 23 &&
              slice_equal(e.body, LITERAL("bo\0dy")));
    e = read_of(LITERAL("\0001"
                        "17 23 "));
    ck_assert(e.kind == QUEUE_ENVELOPE && e.body.len == 0);
    e = read_of(LITERAL("\0r"
                        "17"));
    ck_assert(e.kind == QUEUE_REFERENCE && slice_is(e.id, "17"));
}
END_TEST

START_TEST(all_else_is_a_bare_body)
{
    const struct slice bare[] = {LITERAL(""),
                                 LITERAL("body"),
                                 LITERAL("\0"),
                                 LITERAL("\0001"),
                                 LITERAL("\0001"
                                         "17"),
                                 LITERAL("\0001"
                                         "17 23"),
                                 LITERAL("\0001"
                                         " 23 x"),
                                 LITERAL("\0001"
                                         "a 23 x"),
                                 LITERAL("\0r"),
                                 LITERAL("\0r"
                                         "17 "),
                                 LITERAL("\0r"
                                         "12345678901234567"),
                                 LITERAL("\0002"
                                         "17 23 x"),
                                 LITERAL("\0001"
                                         "12345678901234567 1 x"),
                                 LITERAL("\0001"
                                         "1 12345678901234567 x")};
    for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) {
        struct queue_element e = read_of(bare[i]);
        ck_assert_msg(e.kind == QUEUE_BARE && e.id.len == 0 && slice_equal(e.body, bare[i]), "%zu",
                      i);
    }
}
END_TEST

START_TEST(an_envelope_is_what_the_scripts_write)
{
    struct buffer out = BUFFER_EMPTY;
    queue_register("q", "");
    queue_deliver("t", "a", "body");
    queue_redis("LINDEX @Nq:a 0");
    struct slice element = slice_make(queue.reply->str, queue.reply->len);
    struct queue_element e = read_of(element);
    ck_assert(e.kind == QUEUE_ENVELOPE && slice_is(e.body, "body"));
    ck_assert(queue_envelope_write(&out, e.id, e.at_ms, e.body));
    ck_assert(buffer_ok(&out) && slice_equal(buffer_slice(&out), element));
    ck_assert(!queue_envelope_write(&out, slice_of("x"), 1, e.body));
    ck_assert(!queue_envelope_write(&out, slice_of(""), 1, e.body));
    buffer_fini(&out);
    queue_pull("q", 1, 60000);
    q_int(AGAIN, "q", "0", "", pulled[0].receipt);
    queue_redis("LINDEX @Nq:a 0");
    ck_assert_int_eq(read_of(slice_make(queue.reply->str, queue.reply->len)).kind, QUEUE_REFERENCE);
}
END_TEST

/* What is malformed is a body to the scripts as well. */
START_TEST(a_bare_body_may_begin_as_it_likes)
{
    static const struct slice bodies[] = {{"\0001"
                                           "17 23",
                                           7},
                                          {"\0r"
                                           "x",
                                           3},
                                          {"\0", 1}};
    char key[64];
    queue_register("q", "");
    snprintf(key, sizeof key, "%sq:a", queue.space);
    for (int i = 0; i < 3; i++) {
        original_deliver("t", "a", "x");
        const struct slice set[] = {slice_of("LSET"), slice_of(key), slice_of("0"), bodies[i]};
        queue_command(4, set);
    }
    queue_call(QUEUE_SCRIPT_QUEUE_PULL, "me", "9", "60000", "q", NULL);
    ck_assert_uint_eq(queue.reply->elements, 3);
    for (int i = 0; i < 3; i++) {
        const redisReply *body = queue.reply->element[i]->element[5];
        ck_assert(slice_equal(slice_make(body->str, body->len), bodies[i]));
    }
}
END_TEST

START_TEST(names_of_facets_are_stored_as_the_scripts_do)
{
    static const char *const names[] = {
        "a",        "length", "limit", "priorities", "facet_queue", "facet_pool", "active_facets",
        "inflight", "=",      "=a",    "a:inflight", ":inflight",   "inflight:",  "a:inflight:b",
        ""};
    queue_register("q", "");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct buffer out = BUFFER_EMPTY;
        queue_facet_store(&out, slice_of(names[i]));
        ck_assert(buffer_ok(&out));
        struct slice stored = buffer_slice(&out);
        ck_assert(slice_is(queue_facet_shown(stored), names[i]));
        queue_deliver("t", names[i], "x");
        queue_redis("LINDEX @Nq:facet_queue 0");
        ck_assert_msg(slice_equal(stored, slice_make(queue.reply->str, queue.reply->len)), "%s",
                      names[i]);
        buffer_fini(&out);
    }
}
END_TEST

SUITE_MAIN_WITH("queue_element", queue_set_up_fcall, queue_tear_down, what_is_read,
                all_else_is_a_bare_body, an_envelope_is_what_the_scripts_write,
                a_bare_body_may_begin_as_it_likes, names_of_facets_are_stored_as_the_scripts_do)
