/*
 * test_backing_s3_writers.c: no older version ever wins in a bucket (backing_s3.h), whose server keeps
 * conditions, but loses answers, and does late what nobody waits for any more.
 */
#include "test/unit/cache/backing_writer.h"
#include "test/unit/cache/s3_fake.h"
#include "workers/cache/backing/backing_s3.h"

#include <check.h>
#include <stdlib.h>

#define LATE_MS 60

static uv_loop_t loop;
static struct s3_fake server;
static struct backing *reader;

static struct backing *open_store(void)
{
    char url[64], why[S3_WHY_SIZE] = "";
    struct backing *b;
    snprintf(url, sizeof url, S3_FAKE_URL, server.http.port);
    struct backing_s3_options options = {
        .s3 = {.url = url,
               .region = "r",
               .credentials_file = server.credentials,
               .http = {.parallel = 8, .timeout_ms = 5000, .answer_max = 1000}},
        .conditional = true,
        .known_max = BACKING_KEYS,
        .known_ms = 20,
        .doubt_ms = 4 * LATE_MS}; /* and a busy machine */
    ck_assert_msg(backing_s3_new(&loop, &options, &b, why, sizeof why) == 0, "%s", why);
    return b;
}

static void set_up(void)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    s3_fake_start(&server, &loop);
    reader = open_store();
}

static void tear_down(void)
{
    reader->ops->free(reader);
    s3_fake_stop(&server);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

/* Looks on until they are through, and until all that is late has arrived. */
static void watch(struct backing_writer *writers, size_t count, uint64_t *versions)
{
    for (size_t i = 0, busy = 1; busy > 0 || server.waiting > 0; i++) {
        busy = 0;
        for (size_t w = 0; w < count; w++)
            busy += writers[w].working;
        backing_look(&loop, reader, i % BACKING_KEYS, writers->same, &versions[i % BACKING_KEYS]);
    }
    for (size_t i = 0; i < BACKING_KEYS; i++)
        backing_look(&loop, reader, i, writers->same, &versions[i]);
}

static void run(struct backing_writer *writers, size_t count, unsigned seed)
{
    uint64_t versions[BACKING_KEYS] = {0};
    for (size_t w = 0; w < count; w++)
        backing_writer_start(&writers[w], &loop, open_store(), (unsigned)w, seed);
    watch(writers, count, versions);
    for (size_t i = 0; i < BACKING_KEYS; i++)
        ck_assert_uint_eq(versions[i], count == 2 ? BACKING_VERSIONS : BACKING_VERSIONS - 1);
    for (size_t w = 0; w < count; w++)
        writers[w].store->ops->free(writers[w].store);
}

START_TEST(two_writers)
{
    static struct backing_writer writers[2];
    server.delay_ms = 4;
    run(writers, 2, 1);
    ck_assert_uint_eq(writers[0].away, 0);
}
END_TEST

START_TEST(two_writers_whose_requests_are_lost_and_late)
{
    static struct backing_writer writers[2];
    server.delay_ms = 4;
    server.late_ms = LATE_MS;
    server.lose_one_in = 10;
    writers[0].timeout_ms = writers[1].timeout_ms = 25;
    run(writers, 2, 2);
    ck_assert_uint_gt(writers[0].away + writers[1].away, 3);
}
END_TEST

/* Where ETags say nothing, because all values are the same and deletions are. */
START_TEST(one_writer_of_the_same_bytes)
{
    static struct backing_writer writer;
    writer.deletes = writer.same = true;
    writer.timeout_ms = 25;
    server.delay_ms = 2;
    server.late_ms = LATE_MS;
    server.lose_one_in = 20;
    run(&writer, 1, 3);
    ck_assert_uint_gt(writer.away, 3);
}
END_TEST

SUITE_MAIN_WITH("backing_s3_writers", set_up, tear_down, two_writers,
                two_writers_whose_requests_are_lost_and_late, one_writer_of_the_same_bytes)
