/* test_drain_lists.c: the drain's messages and counters by name, and its messages behind one another in a frame. */
#include "proto/counters.h"
#include "proto/message.h"
#include "test/unit/suite.h"

START_TEST(many_in_a_frame)
{
    struct buffer b = BUFFER_EMPTY;
    message_credit_pack(&b, &(struct message_credit){.claims_total = 3});
    message_json_pack(&b, &(struct message_json){.text = slice_of("{}")});
    message_credit_pack(&b, &(struct message_credit){.claims_total = 4});
    struct unpack u = unpack_start(buffer_slice(&b));
    struct message_credit credit;
    struct message_json json;
    ck_assert_uint_eq(schema_peek_type(u), MESSAGE_CREDIT);
    ck_assert(message_credit_unpack(&u, &credit) && credit.claims_total == 3);
    ck_assert(!message_credit_unpack(&(struct unpack){u.at, u.end, false}, &credit));
    ck_assert(message_json_unpack(&u, &json) && slice_is(json.text, "{}"));
    ck_assert(message_credit_unpack(&u, &credit) && credit.claims_total == 4);
    ck_assert(unpack_end(&u));
    buffer_fini(&b);
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(message_type_name(MESSAGE_CLAIM), "CLAIM");
    ck_assert_int_eq(counter_find("stored_total", 12), COUNTER_STORED);
    ck_assert_int_eq(counter_find("stored", 6), COUNTER_COUNT);
}
END_TEST

SUITE_MAIN("drain_lists", many_in_a_frame, names)
