/*
 * test_backing_s3.c: a bucket as a store (backing_s3.h), against a small S3 of the suite's own: what it
 * keeps, what servers honour, and what is said of one that does not. (A real server: test/e2e/cache.)
 */
#include "test/unit/cache/backing_fixture.h"
#include "test/unit/cache/s3_fake.h"
#include "workers/cache/backing/backing_s3.h"

#include <check.h>
#include <errno.h>

static uv_loop_t loop;
static struct s3_fake server;
static struct backing *store;

static struct backing *open_store(bool conditional, uint64_t known_ms)
{
    char url[64], why[S3_WHY_SIZE] = "";
    struct backing *b;
    snprintf(url, sizeof url, S3_FAKE_URL, server.http.port);
    struct backing_s3_options options = {
        .s3 = {.url = url,
               .region = "r",
               .credentials_file = server.credentials,
               .http = {.parallel = 8, .timeout_ms = 5000, .answer_max = 1000}},
        .conditional = conditional,
        .known_max = 100,
        .known_ms = known_ms,
        .doubt_ms = 5000};
    ck_assert_msg(backing_s3_new(&loop, &options, &b, why, sizeof why) == 0, "%s", why);
    return b;
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    s3_fake_start(&server, &loop);
    store = open_store(true, 60000);
}

static void tear_down(void)
{
    store->ops->free(store);
    s3_fake_stop(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static void assert_done(struct backing_got got)
{
    ck_assert_msg(got.result == BACKING_DONE, "%d: %s", got.result, got.why);
}

static struct backing_got put(const char *key, const char *value, uint64_t version)
{
    return backing_put(&loop, store, key, value, version);
}

static struct backing_got get(const char *key)
{
    return backing_get(&loop, store, key);
}

/* Objects that there are. */
static unsigned objects(void)
{
    unsigned n = 0;
    for (size_t i = 0; i < S3_FAKE_OBJECTS; i++)
        n += server.objects[i].path[0] != '\0';
    return n;
}

static bool sent(const char *text)
{
    return strstr(server.last, text) != NULL;
}

/* ---- what it keeps ---- */

START_TEST(keeps)
{
    assert_done(backing_check(&loop, store));
    ck_assert_uint_eq(objects(), 0); /* the probe is gone */
    ck_assert(store->erases);
    ck_assert_int_eq(get("a b").result, BACKING_ABSENT);
    assert_done(put("a b", "hello", 5));
    ck_assert(sent("if-none-match: *\r\n"));
    const struct s3_fake_object *o = s3_fake_find(&server, "a%2520b"); /* its name is a%20b */
    ck_assert_ptr_nonnull(o);
    ck_assert_str_eq(o->meta, "v=5;e=1700000000000;f=term");
    struct backing_got got = get("a b");
    assert_done(got);
    ck_assert_str_eq(got.value, "hello");
    ck_assert_uint_eq(got.meta.version, 5);
    ck_assert_int_eq(got.meta.expiry_ms, 1700000000000);
    ck_assert_uint_eq(got.meta.form, 2);
    server.requests = 0;
    assert_done(put("a b", "six", 6));
    ck_assert(sent("if-match: \"5d41402abc4b2a76b9719d911017c592\"\r\n")); /* of "hello" */
    ck_assert_uint_eq(server.requests, 1);
    ck_assert_str_eq(get("a b").value, "six");
}
END_TEST

START_TEST(an_older_version_is_refused)
{
    struct backing *other = open_store(true, 60000);
    assert_done(put("a", "five", 5));
    struct backing_got got = backing_put(&loop, other, "a", "four", 4); /* knows nothing of it */
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 5);
    assert_done(backing_put(&loop, other, "a", "seven", 7));
    got = put("a", "six", 6); /* what it knows is old */
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 7);
    assert_done(put("a", "seven", 7)); /* repeated */
    assert_done(put("a", "eight", 8));
    ck_assert_str_eq(get("a").value, "eight");
    other->ops->free(other);
}
END_TEST

START_TEST(deletions)
{
    assert_done(backing_check(&loop, store));
    assert_done(put("a", "five", 5));
    assert_done(backing_delete(&loop, store, "a", 6));
    const struct s3_fake_object *o = s3_fake_find(&server, "a");
    ck_assert_str_eq(o->meta, "v=6;d=1");
    ck_assert_uint_eq(o->body.len, 0);
    struct backing_got got = get("a");
    ck_assert_int_eq(got.result, BACKING_ABSENT);
    ck_assert_uint_eq(got.meta.version, 6);
    ck_assert_int_eq(put("a", "late", 5).result, BACKING_NEWER);
    ck_assert_int_eq(backing_erase(&loop, store, "a", 5).result, BACKING_NEWER);
    assert_done(backing_erase(&loop, store, "a", 6));
    ck_assert_uint_eq(objects(), 0);
    ck_assert_uint_eq(get("a").meta.version, 0);
    assert_done(backing_erase(&loop, store, "a", 6));
    assert_done(put("a", "seven", 7));
    ck_assert_int_eq(backing_erase(&loop, store, "a", 7).result, BACKING_NEWER);
    ck_assert_str_eq(get("a").value, "seven");
}
END_TEST

START_TEST(what_a_person_put_there)
{
    s3_fake_put(&server, "a", "", "by hand");
    struct backing_got got = get("a");
    assert_done(got);
    ck_assert_str_eq(got.value, "by hand");
    ck_assert_uint_eq(got.meta.version, 0);
    assert_done(put("a", "one", 1));
    s3_fake_put(&server, "a", "v=x", "by hand");
    for (int i = 0; i < 2; i++) {
        got = i == 0 ? get("a") : put("a", "two", 2);
        ck_assert_int_eq(got.result, BACKING_REFUSED);
        ck_assert_ptr_nonnull(strstr(got.why, "object a: its x-amz-meta-platoon is damaged"));
    }
    char large[1002] = "";
    memset(large, 'x', 1001);
    s3_fake_put(&server, "a", "", large);
    ck_assert_int_eq(get("a").result, BACKING_REFUSED);
    /* Taken away by hand: what was known is wrong, and nothing newer is there. */
    assert_done(put("b", "five", 5));
    s3_fake_find(&server, "b")->path[0] = '\0';
    assert_done(put("b", "six", 6));
    s3_fake_find(&server, "b")->path[0] = '\0';
    assert_done(put("b", "three", 3));
}
END_TEST

/* ---- ETags that say nothing of versions ---- */

/* Another has put versions with the same bytes: the ETag is the one that was known. */
START_TEST(the_same_bytes)
{
    struct backing *other = open_store(true, 60000);
    struct backing *soon = open_store(true, 0);
    assert_done(backing_put(&loop, soon, "a", "A", 5));
    assert_done(backing_put(&loop, other, "a", "A", 9));
    struct backing_got got = backing_put(&loop, soon, "a", "B", 7);
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 9);
    /* Of what is empty nothing known is used. */
    assert_done(backing_delete(&loop, store, "b", 5));
    assert_done(backing_put(&loop, other, "b", "x", 6));
    assert_done(backing_delete(&loop, other, "b", 9));
    got = put("b", "seven", 7);
    ck_assert_int_eq(got.result, BACKING_NEWER);
    ck_assert_uint_eq(got.meta.version, 9);
    other->ops->free(other);
    soon->ops->free(soon);
}
END_TEST

static void put_in_vain(const char *value, uint64_t version)
{
    struct backing_got got = {0};
    struct backing_meta meta = {.version = version, .expiry_ms = BACKING_NEVER};
    ck_assert_int_eq(store->ops->put(store, slice_of("a"), slice_of(value), &meta, 30,
                                     backing_on_got, &got, &got.call),
                     0);
    backing_wait(&loop, &got);
    ck_assert_int_eq(got.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(got.why, "no answer for 30 ms"));
}

/* A write that was given up arrives late, where the object has the bytes again that it had then. */
START_TEST(a_late_request_undoes_nothing)
{
    assert_done(put("a", "A", 5));
    server.delay_ms = server.late_ms = 0;
    server.stands = true;
    put_in_vain("B", 6);
    server.stands = false;
    assert_done(put("a", "C", 7));
    struct backing_got got = put("a", "A", 8); /* what the lost one waits for */
    ck_assert_int_eq(got.result, BACKING_AWAY);
    ck_assert_uint_gt(got.retry_after_ms, 1000);
    ck_assert_uint_le(got.retry_after_ms, 5000);
    got = backing_erase(&loop, store, "a", 8);
    ck_assert_int_eq(got.result, store->erases ? BACKING_AWAY : BACKING_DONE);
    assert_done(put("a", "D", 9));
    ck_assert_str_eq(get("a").value, "D");
}
END_TEST

/* ---- servers ---- */

START_TEST(bare_etags)
{
    server.bare = true;
    assert_done(backing_check(&loop, store));
    assert_done(put("a", "hello", 5));
    assert_done(put("a", "six", 6));
    ck_assert(sent("if-match: 5d41402abc4b2a76b9719d911017c592\r\n"));
}
END_TEST

START_TEST(conditions_are_ignored)
{
    for (int i = 0; i < 3; i++) {
        server.ignores_match = i == 0;
        server.ignores_none_match = i == 1;
        server.loses_meta = i == 2;
        struct backing_got got = backing_check(&loop, store);
        ck_assert_int_eq(got.result, BACKING_REFUSED);
        ck_assert_msg(strstr(got.why, i == 0   ? "does not honour If-Match:"
                                      : i == 1 ? "does not honour If-None-Match:"
                                               : "loses the header") != NULL,
                      "%s", got.why);
        ck_assert(i == 2 || strstr(got.why, "conditional = false") != NULL);
        ck_assert_uint_eq(objects(), 0);
    }
    server.loses_meta = false;
    server.hides_nothing = true; /* a key without s3:ListBucket */
    struct backing_got hidden = backing_check(&loop, store);
    ck_assert_int_eq(hidden.result, BACKING_FORBIDDEN);
    ck_assert_msg(strstr(hidden.why, "s3:ListBucket") != NULL, "%s", hidden.why);
    server.hides_nothing = false;
    server.ignores_match = server.ignores_none_match = true;
    store->ops->free(store);
    store = open_store(false, 60000);
    assert_done(backing_check(&loop, store));
    ck_assert(!store->erases);
    assert_done(put("a", "five", 5));
    ck_assert(!sent("if-"));
    ck_assert_int_eq(put("a", "four", 4).result, BACKING_NEWER);
    assert_done(put("a", "six", 6));
    ck_assert(!sent("if-"));
    assert_done(backing_delete(&loop, store, "a", 7));
    assert_done(backing_erase(&loop, store, "a", 7));
    ck_assert_uint_eq(objects(), 1); /* the tombstone stays */
}
END_TEST

START_TEST(no_conditions_on_delete)
{
    server.honours_delete = false;
    assert_done(backing_check(&loop, store));
    ck_assert(!store->erases);
    assert_done(backing_delete(&loop, store, "a", 7));
    assert_done(backing_erase(&loop, store, "a", 7));
    ck_assert_str_eq(s3_fake_find(&server, "a")->meta, "v=7;d=1");
}
END_TEST

struct trouble {
    const char *status, *code;
    enum backing_result put, check;
    const char *text;
};

START_TEST(what_servers_say)
{
    static const struct trouble cases[] = {
        {"404 Not Found", "NoSuchBucket", BACKING_FORBIDDEN, BACKING_FORBIDDEN, "make the bucket"},
        {"403 Forbidden", "InvalidAccessKeyId", BACKING_FORBIDDEN, BACKING_FORBIDDEN,
         "aws_access_key_id"},
        {"500 Internal Server Error", "InternalError", BACKING_AWAY, BACKING_AWAY, "500"},
        {"400 Bad Request", "EntityTooLarge", BACKING_REFUSED, BACKING_FORBIDDEN, "EntityTooLarge"},
        {"503 Slow Down\r\nRetry-After: 7", "SlowDown", BACKING_AWAY, BACKING_AWAY, "SlowDown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int check = 0; check < 2; check++) {
            server.fail_count = 1;
            server.fail_status = cases[i].status;
            server.fail_code = cases[i].code;
            struct backing_got got =
                check ? backing_check(&loop, store) : put(cases[i].code, "x", 1);
            ck_assert_msg(got.result == (check ? cases[i].check : cases[i].put), "%s", got.why);
            ck_assert_msg(strstr(got.why, cases[i].text) != NULL, "%s", got.why);
            ck_assert_uint_eq(got.retry_after_ms, i == 4 ? 7000 : 0);
        }
    /* To a HEAD there is no code: that a 400 is for this object is not said. */
    assert_done(backing_delete(&loop, store, "d", 1));
    server.fail_count = 2;
    server.fail_status = "400 Bad Request";
    server.fail_code = NULL;
    ck_assert_int_eq(put("d", "x", 2).result, BACKING_AWAY);
    /* Two at once: once more, and it is done. */
    server.fail_count = 2;
    server.fail_status = "409 Conflict";
    server.fail_code = "ConditionalRequestConflict";
    assert_done(put("e", "x", 1));
    server.fail_count = 1;
    assert_done(get("e"));
}
END_TEST

static void fails(unsigned count, const char *status, const char *code)
{
    server.fail_count = count;
    server.fail_status = status;
    server.fail_code = code;
}

/* Who stands between answers in S3's place: neither absent, nor refused, nor done; and nothing is overwritten. */
START_TEST(a_proxy_answers)
{
    static const char *const statuses[] = {"404 Not Found", "405 No",     "413 Large",
                                           "302 Found",     "418 Teapot", "501 No",
                                           "403 No",        "304 No",     "200 OK"};
    for (int conditional = 0; conditional < 2; conditional++) {
        store->ops->free(store);
        store = open_store(conditional != 0, 60000);
        assert_done(backing_check(&loop, store));
        assert_done(put("a", "nine", conditional ? 10 : 9));
        struct backing *other = open_store(conditional != 0, 60000); /* knows nothing of it */
        for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
            fails(100, statuses[i], NULL);
            struct backing_got gots[] = {get("a"), put("a", "three", 8), put("a", "eleven", 11),
                                         backing_check(&loop, store),
                                         backing_put(&loop, other, "a", "two", 2)};
            for (size_t n = 0; n < sizeof gots / sizeof *gots; n++)
                ck_assert_msg(gots[n].result == BACKING_AWAY ||
                                  gots[n].result == BACKING_FORBIDDEN || (n == 4 && i == 8),
                              "%s, %zu: %d %s", statuses[i], n, gots[n].result, gots[n].why);
            fails(0, NULL, NULL);
            assert_done(backing_check(&loop, store));
            ck_assert_str_eq(get("a").value, "nine");
        }
        /* The look alone is answered so; the write would come through. */
        fails(2, "404 Not Found", NULL);
        struct backing_got got = backing_put(&loop, other, "a", "two", 2);
        ck_assert_int_ne(got.result, BACKING_DONE);
        fails(0, NULL, NULL);
        ck_assert_str_eq(get("a").value, "nine");
        other->ops->free(other);
    }
}
END_TEST

/* Only what a server has shown makes it one that cannot be used. */
START_TEST(a_check_that_is_refused_in_passing)
{
    static const char *const codes[][2] = {{"400 Bad Request", "InvalidRequest"},
                                           {"405 Method Not Allowed", "MethodNotAllowed"},
                                           {"400 Bad Request", NULL},
                                           {"405 Method Not Allowed", NULL}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        for (unsigned step = 0; step < 8; step++) {
            server.fail_after = step;
            fails(1, codes[i][0], codes[i][1]);
            struct backing_got got = backing_check(&loop, store);
            ck_assert_msg(got.result != BACKING_REFUSED, "%s %u: %s", codes[i][0], step, got.why);
            ck_assert(got.result == BACKING_DONE || strstr(got.why, "S3 says 40") != NULL);
            fails(0, NULL, NULL);
            assert_done(backing_check(&loop, store));
        }
    server.fail_after = 3; /* it does not know the header */
    fails(1, "501 Not Implemented", "NotImplemented");
    struct backing_got got = backing_check(&loop, store);
    ck_assert_int_eq(got.result, BACKING_DONE); /* in passing: the second time it does */
    server.fail_after = 3;
    server.unknown_none_match = true;
    got = backing_check(&loop, store);
    ck_assert_int_eq(got.result, BACKING_REFUSED);
    ck_assert_ptr_nonnull(strstr(got.why, "does not honour If-None-Match"));
}
END_TEST

/* A server that is busy for longer than a moment: who asked hears of it, and why, long before its time is over. */
START_TEST(the_cause_is_said)
{
    static const char *const statuses[] = {"503 Slow Down", "429 Too Many", "409 Conflict"};
    static const char *const codes[] = {"SlowDown", NULL, "OperationAborted"};
    assert_done(put("a", "one", 1));
    for (size_t i = 0; i < 3; i++) {
        fails(1000, statuses[i], codes[i]);
        uint64_t began = uv_hrtime();
        struct backing_got gots[] = {get("a"), put("a", "two", 2), backing_check(&loop, store)};
        ck_assert_uint_lt(uv_hrtime() - began, UINT64_C(15000000000)); /* each has 10 s */
        for (size_t n = 0; n < 3; n++) {
            ck_assert_int_eq(gots[n].result, BACKING_AWAY);
            ck_assert_msg(strncmp(gots[n].why + strlen("S3 says "), statuses[i], 3) == 0, "%s",
                          gots[n].why);
        }
        struct backing_got got = {0};
        ck_assert_int_eq(
            store->ops->get(store, slice_of("a"), 150, backing_on_got, &got, &got.call), 0);
        backing_wait(&loop, &got);
        ck_assert_int_eq(got.result, BACKING_AWAY);
        ck_assert_ptr_nonnull(strstr(got.why, "tried for 150 ms"));
        ck_assert_int_eq(strncmp(got.why + strlen("S3 says "), statuses[i], 3), 0);
    }
}
END_TEST

START_TEST(nobody_answers)
{
    server.bare = true;
    assert_done(backing_check(&loop, store));
    assert_done(put("a", "one", 1));
    http_fake_stop(&server.http);
    uv_run(&loop, UV_RUN_NOWAIT);
    struct backing_got got = put("a", "two", 2);
    ck_assert_int_eq(got.result, BACKING_AWAY);
    ck_assert_ptr_nonnull(strstr(got.why, "S3 at http://127.0.0.1:"));
    ck_assert_int_eq(get("a").result, BACKING_AWAY);
    ck_assert_int_eq(backing_check(&loop, store).result, BACKING_AWAY);
    http_fake_start_again(&server.http);
    assert_done(put("a", "two", 2)); /* a check in vain has not made anything unknown */
    ck_assert(store->erases);
    ck_assert_str_eq(get("a").value, "two");
}
END_TEST

START_TEST(cancelled_and_freed)
{
    struct backing_got got = {0}, other = {0};
    struct backing_meta meta = {.version = 1, .expiry_ms = BACKING_NEVER};
    ck_assert_int_eq(store->ops->put(store, slice_of("a"), slice_of("x"), &meta, 1000,
                                     backing_on_got, &got, &got.call),
                     0);
    store->ops->cancel(got.call);
    ck_assert_int_eq(
        store->ops->get(store, slice_of("a"), 1000, backing_on_got, &other, &other.call), 0);
    ck_assert_int_eq(store->ops->check(store, 1000, backing_on_got, &other, &other.call), 0);
    store->ops->free(store);
    store = open_store(true, 60000);
    uv_run(&loop, UV_RUN_NOWAIT);
    ck_assert_uint_eq(got.calls + other.calls, 0);
}
END_TEST

START_TEST(what_cannot_be_used)
{
    struct backing *b;
    char why[S3_WHY_SIZE];
    struct backing_s3_options options = {
        .s3 = {.url = "http://h", .region = "r", .credentials_file = server.credentials}};
    ck_assert_int_eq(backing_s3_new(&loop, &options, &b, why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "BUCKET"));
}
END_TEST

SUITE_MAIN_WITH("backing_s3", set_up, tear_down, keeps, an_older_version_is_refused, deletions,
                what_a_person_put_there, the_same_bytes, a_late_request_undoes_nothing, bare_etags,
                conditions_are_ignored, no_conditions_on_delete, what_servers_say, a_proxy_answers,
                a_check_that_is_refused_in_passing, the_cause_is_said, nobody_answers,
                cancelled_and_freed, what_cannot_be_used)
