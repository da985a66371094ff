/* test_transfer_records.c: from a RECORDS message to rows (workers/drain/transfer.h). */
#include "test/unit/suite.h"
#include "workers/drain/transfer.h"

#include <errno.h>
#include <stdlib.h>

static struct transfer_rows rows;
static struct transfer_keys keys;
static struct buffer refused, blob;
static uint32_t refused_count;

static void set_keys(const char *bucket, const char *key)
{
    char why[128];
    keys.bucket_text = bucket;
    keys.key_text = key;
    ck_assert_int_eq(template_compile(bucket, &keys.bucket, why, sizeof why), 0);
    ck_assert_int_eq(template_compile(key, &keys.key, why, sizeof why), 0);
}

static void set_up(void)
{
    memset(&rows, 0, sizeof rows);
    memset(&keys, 0, sizeof keys);
    refused_count = 0;
}

static void tear_down(void)
{
    transfer_rows_fini(&rows);
    template_free(keys.bucket);
    template_free(keys.key);
    buffer_fini(&refused);
    buffer_fini(&blob);
}

/* A record whose fields are name, value, name, value … as slices. */
static void add(uint64_t seq, struct slice member, const struct slice *fields, size_t count)
{
    pack_array(&blob, (uint32_t)(3 + 2 * count));
    pack_u64(&blob, seq);
    pack_bin(&blob, member);
    pack_u64(&blob, count);
    for (size_t i = 0; i < 2 * count; i++)
        pack_bin(&blob, fields[i]);
}

#define F(text)                                                                                    \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define ADD(seq, member, ...)                                                                      \
    do {                                                                                           \
        static const struct slice f[] = {__VA_ARGS__};                                             \
        add(seq, slice_of(member), f, sizeof f / sizeof *f / 2);                                   \
    } while (0)

static int read_all(uint64_t count)
{
    char *exact = malloc(blob.len + 1);
    memcpy(exact, blob.data, blob.len);
    int rc = transfer_records_read(&rows, &keys, slice_make(exact, blob.len), count, &refused,
                                   &refused_count);
    free(exact); /* rows hold copies */
    return rc;
}

static void row_is(size_t i, const char *bucket, const char *key, const char *data, uint64_t seq)
{
    ck_assert_uint_lt(i, rows.count);
    const struct transfer_row *r = &rows.list[i];
    const char *bytes = rows.bytes.data;
    ck_assert(slice_is(slice_make(bytes + r->bucket, r->bucket_len), bucket));
    ck_assert_msg(slice_is(slice_make(bytes + r->key, r->key_len), key), "%.*s", (int)r->key_len,
                  bytes + r->key);
    ck_assert_msg(slice_is(slice_make(bytes + r->data, r->data_len), data), "%.*s",
                  (int)r->data_len, bytes + r->data);
    ck_assert_uint_eq(r->seq, seq);
}

START_TEST(rows_from_templates)
{
    set_keys("visits", "{app}/{member}");
    ADD(41, "v:1", F("app"), F("shop"), F("n"), F("7"));
    ADD(42, "v:2", F("app"), F(""));
    ck_assert_int_eq(read_all(2), 0);
    ck_assert_uint_eq(rows.count, 2);
    row_is(0, "visits", "shop/v:1", "{\"app\":\"shop\",\"n\":\"7\"}", 41);
    row_is(1, "visits", "/v:2", "{\"app\":\"\"}", 42);
    ck_assert_uint_eq(refused_count, 0);
}
END_TEST

START_TEST(bytes_that_are_no_text)
{
    set_keys("b", "{k}");
    ADD(1, "v", F("k"), F("\xff"), F("\xfe\0"), F("\x80"));
    ck_assert_int_eq(read_all(1), 0);
    row_is(0, "b",
           "base64:/w==", "{\"k\":{\"base64\":\"/w==\"},\"base64:/gA=\":{\"base64\":\"gA==\"}}", 1);
}
END_TEST

START_TEST(missing_fields_are_refused)
{
    set_keys("{app}", "{id}");
    ADD(1, "v:1", F("app"), F("a"), F("id"), F("1"));
    ADD(2, "v:2", F("app"), F("a"));
    ADD(3, "v:3", F("id"), F("3"));
    ADD(4, "v:4", F("app"), F("a"), F("id"), F("4"));
    ck_assert_int_eq(read_all(4), 0);
    ck_assert_uint_eq(rows.count, 2);
    row_is(0, "a", "1", "{\"app\":\"a\",\"id\":\"1\"}", 1);
    row_is(1, "a", "4", "{\"app\":\"a\",\"id\":\"4\"}", 4);
    ck_assert_uint_eq(refused_count, 2);
    struct unpack u = unpack_start(buffer_slice(&refused));
    ck_assert_uint_eq(unpack_array(&u), 2);
    ck_assert_uint_eq(unpack_u64(&u), 2);
    ck_assert(slice_is(unpack_str(&u), "field id is missing, the template {id} needs it"));
    ck_assert_uint_eq(unpack_array(&u), 2);
    ck_assert_uint_eq(unpack_u64(&u), 3);
    ck_assert(slice_is(unpack_str(&u), "field app is missing, the template {app} needs it"));
    ck_assert(unpack_end(&u));
}
END_TEST

START_TEST(answers_in_their_order)
{
    static char bucket[] = "b", key[] = "k\n", sorry[] = "key service: no";
    const struct transfer_key answers[] = {
        {.bucket = bucket, .key = key}, {.refusal = sorry}, {.bucket = key, .key = bucket}};
    keys.answers = answers;
    for (uint64_t seq = 1; seq <= 3; seq++)
        ADD(seq, "v", F("a"), F("1"));
    ck_assert_int_eq(read_all(3), 0);
    row_is(0, "b", "k\n", "{\"a\":\"1\"}", 1);
    row_is(1, "k\n", "b", "{\"a\":\"1\"}", 3);
    struct unpack u = unpack_start(buffer_slice(&refused));
    ck_assert_uint_eq(unpack_array(&u), 2);
    ck_assert_uint_eq(unpack_u64(&u), 2);
    ck_assert(slice_is(unpack_str(&u), "key service: no"));
}
END_TEST

/* All or nothing: a message that cannot be read to its end adds no row. */
START_TEST(broken_messages_add_nothing)
{
    set_keys("b", "{member}");
    ADD(1, "v:1", F("a"), F("1"));
    ck_assert_int_eq(read_all(1), 0);
    size_t bytes = rows.bytes.len, whole = blob.len;
    ADD(2, "v:2", F("a"), F("2"));
    ck_assert_int_eq(read_all(1), -EBADMSG); /* more than announced */
    ck_assert_int_eq(read_all(3), -EBADMSG); /* less */
    for (size_t len = 1; len < whole; len++) {
        blob.len = len;
        ck_assert_int_eq(read_all(1), -EBADMSG);
    }
    ck_assert_uint_eq(rows.count, 1);
    ck_assert_uint_eq(rows.bytes.len, bytes);
    row_is(0, "b", "v:1", "{\"a\":\"1\"}", 1);
}
END_TEST

START_TEST(lies_about_counts)
{
    set_keys("b", "k");
    static const struct slice blobs[] = {{"\x93\x01\xc4\0\xce\xff\xff\xff\xff", 9},
                                         {"\x93\x01\xc4\0\x01", 5},
                                         {"\x95\x01\xc4\0\0\xc4\0\xc4\0", 9},
                                         {"\x90", 1},
                                         {"\x93\xff\xc4\0\0", 5}};
    for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++)
        ck_assert_msg(transfer_records_read(&rows, &keys, blobs[i], 1, &refused, &refused_count) ==
                          -EBADMSG,
                      "case %zu", i);
    ck_assert_int_eq(
        transfer_records_read(&rows, &keys, slice_of(""), UINT64_MAX, &refused, &refused_count),
        -EBADMSG);
    ck_assert_uint_eq(rows.count, 0);
}
END_TEST

START_TEST(no_fields_at_all)
{
    set_keys("b", "{member}");
    add(7, slice_of(""), NULL, 0);
    ck_assert_int_eq(read_all(1), 0);
    row_is(0, "b", "", "{}", 7);
    ck_assert_int_eq(transfer_records_read(&rows, &keys, slice_of(""), 0, &refused, &refused_count),
                     0);
}
END_TEST

START_TEST(random_bytes)
{
    set_keys("{a|x}", "{member}");
    srand(8);
    for (int round = 0; round < 20000; round++) {
        buffer_clear(&blob);
        ADD(1, "v:1", F("a"), F("1"), F("b"), F("22"));
        ADD(2, "v:2", F("c"), F(""));
        for (int k = rand() % 3; k >= 0; k--)
            blob.data[(size_t)rand() % blob.len] = (char)rand();
        size_t before = rows.count;
        if (read_all(2) != 0)
            ck_assert_uint_eq(rows.count, before);
        transfer_rows_clear(&rows);
        buffer_clear(&refused);
    }
}
END_TEST

SUITE_MAIN_WITH("transfer_records", set_up, tear_down, rows_from_templates, bytes_that_are_no_text,
                missing_fields_are_refused, answers_in_their_order, broken_messages_add_nothing,
                lies_about_counts, no_fields_at_all, random_bytes)
