/* test_message.c: what workers say to each other (proto/message.h): every message, envelopes, many in a frame. */
#include "proto/message.h"

#define CODEC_STRUCT(name) struct message_##name
#define CODEC_PACK(name)   message_##name##_pack
#define CODEC_FIELDS(NAME) MESSAGE_FIELDS_##NAME
#include "test/unit/proto/codec_checks.h"

#define X(number, NAME, name, doc)                                                                 \
    static bool codec_unpack_##name(struct slice frame, struct message_##name *m)                  \
    {                                                                                              \
        struct unpack u = unpack_start(frame);                                                     \
        return message_##name##_unpack(&u, m) && unpack_end(&u);                                   \
    }
SYSTEMS(MESSAGES, X)
#undef X

SYSTEMS(MESSAGES, CODEC_CHECKS)

/* The cursor stands behind each message: a frame is read one after the other. */
START_TEST(many_in_a_frame)
{
    struct buffer b = BUFFER_EMPTY;
    message_envelope_pack(&b, &(struct message_envelope){.sender = slice_of("redis/send.1"),
                                                         .generation = 7,
                                                         .proof = 1ull << 63});
    message_linked_pack(&b, &(struct message_linked){.since_ms = 3});
    message_json_pack(&b, &(struct message_json){.text = slice_of("{}")});
    message_linked_pack(&b, &(struct message_linked){.since_ms = 4});
    struct unpack u = unpack_start(buffer_slice(&b));
    struct message_envelope e;
    struct message_linked linked;
    struct message_json json;
    ck_assert(message_envelope_unpack(&u, &e));
    ck_assert(slice_is(e.sender, "redis/send.1") && e.generation == 7);
    ck_assert_uint_eq(schema_peek_type(u), MESSAGE_LINKED);
    ck_assert(message_linked_unpack(&u, &linked) && linked.since_ms == 3);
    ck_assert_uint_eq(schema_peek_type(u), MESSAGE_JSON);
    ck_assert(!message_linked_unpack(&(struct unpack){u.at, u.end, false}, &linked));
    ck_assert(message_json_unpack(&u, &json) && slice_is(json.text, "{}"));
    ck_assert(message_linked_unpack(&u, &linked) && linked.since_ms == 4);
    ck_assert(unpack_end(&u));
    buffer_fini(&b);
}
END_TEST

START_TEST(envelopes_that_are_none)
{
    static const struct slice frames[] = {{"", 0},
                                          {"\x93\x02\xa1x\x01", 5},
                                          {"\x92\x01\xa1x", 4},
                                          {"\x93\x01\x05\x01", 4},
                                          {"\x93\x01\xa1x\xff", 5},
                                          {"hello", 5}};
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
        struct unpack u = unpack_start(frames[i]);
        struct message_envelope e;
        ck_assert_msg(!message_envelope_unpack(&u, &e), "frame %zu", i);
    }
}
END_TEST

/* A frame of any version says whose it is. */
START_TEST(origin_of_another_version)
{
    struct message_origin o;
    ck_assert(message_origin_unpack(slice_make("\x94\x63\xa2hi\x07\xc0", 7), &o));
    ck_assert(o.version == 0x63 && slice_is(o.sender, "hi") && o.generation == 7);
    ck_assert(!message_origin_unpack(slice_make("\x92\x63\xa2hi\x07", 6), &o));
    ck_assert(!message_origin_unpack(slice_make("\x94\x63\xa2hi", 5), &o));
    ck_assert(!message_origin_unpack(slice_of("GET / HTTP/1.1"), &o));
    ck_assert(!message_origin_unpack(slice_of(""), &o));
}
END_TEST

START_TEST(names)
{
    ck_assert_str_eq(message_type_name(MESSAGE_CALL), "CALL");
    ck_assert_str_eq(message_type_name(0), "?");
}
END_TEST

#define X(number, NAME, name, doc) codec_##name,
SUITE_MAIN("message", SYSTEMS(MESSAGES, X) many_in_a_frame, envelopes_that_are_none,
           origin_of_another_version, names)
