/* test_seed_order.c: each message of a seed comes back as it went; cut off, continued or too large it is refused. */
#include "proto/seed_order.h"

#include "common/pack.h"
#include "test/unit/suite.h"

#include <limits.h>

static bool reads(int kind, struct slice packet)
{
    struct seed_order order;
    struct seed_answer answer;
    uint64_t version;
    return kind == 0   ? seed_hello_unpack(packet, &version)
           : kind == 1 ? seed_order_unpack(packet, &order)
                       : seed_answer_unpack(packet, &answer);
}

/* Every beginning of it, and it with a byte behind it. */
static void only_whole(int kind, struct buffer *packet)
{
    ck_assert(buffer_ok(packet) && packet->len < SEED_PACKET_MAX);
    for (size_t len = 0; len < packet->len; len++)
        ck_assert(!reads(kind, slice_make(packet->data, len)));
    ck_assert(reads(kind, buffer_slice(packet)));
    pack_nil(packet);
    ck_assert(!reads(kind, buffer_slice(packet)));
    buffer_fini(packet);
}

START_TEST(test_hello)
{
    struct buffer packet = BUFFER_EMPTY;
    uint64_t version = 0;
    seed_hello_pack(&packet, 12345);
    ck_assert(seed_hello_unpack(buffer_slice(&packet), &version));
    ck_assert_uint_eq(version, 12345);
    only_whole(0, &packet);
}
END_TEST

START_TEST(test_order)
{
    struct buffer packet = BUFFER_EMPTY;
    struct seed_order order = {
        .name = slice_of("site/a.1"), .generation = UINT64_MAX, .log_level = slice_of("debug")};
    struct seed_order read;
    seed_order_pack(&packet, &order);
    ck_assert(seed_order_unpack(buffer_slice(&packet), &read));
    ck_assert(slice_is(read.name, "site/a.1") && slice_is(read.log_level, "debug"));
    ck_assert_uint_eq(read.generation, UINT64_MAX);
    only_whole(1, &packet);
}
END_TEST

START_TEST(test_answer)
{
    struct buffer packet = BUFFER_EMPTY;
    struct seed_answer answer = {.pid = 4711, .error = 11}, read;
    seed_answer_pack(&packet, &answer);
    ck_assert(seed_answer_unpack(buffer_slice(&packet), &read));
    ck_assert(read.pid == 4711 && read.error == 11);
    only_whole(2, &packet);
}
END_TEST

START_TEST(test_no_int_is_no_answer)
{
    const struct seed_answer wrong[] = {{.pid = (uint64_t)INT_MAX + 1},
                                        {.error = (uint64_t)INT_MAX + 1}};
    for (size_t i = 0; i < 2; i++) {
        struct buffer packet = BUFFER_EMPTY;
        struct seed_answer read;
        seed_answer_pack(&packet, &wrong[i]);
        ck_assert(!seed_answer_unpack(buffer_slice(&packet), &read));
        buffer_fini(&packet);
    }
}
END_TEST

SUITE_MAIN("seed_order", test_hello, test_order, test_answer, test_no_int_is_no_answer)
