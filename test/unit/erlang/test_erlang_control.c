/* test_erlang_control.c: what nodes say to each other, and what is said back. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_control.h"

#define FROM "Xw\3n@h\0\0\0\1\0\0\0\2\0\0\0\3"
#define OURS "Xw\3g@h\0\0\0\1\0\0\0\0\0\0\0\5"
#define REF  "Z\0\1w\3n@h\0\0\0\1\0\0\0\7"
#define NAME "w\7manager"
#define HEAD "p\x83"
#define SAID "\x83h\0"

static struct erlang_control c;

START_TEST(messages)
{
    static const struct {
        struct slice frame;
        bool named;
    } cases[] = {
        {BYTES(HEAD "h\3a\2w\0" OURS SAID), false},              /* SEND */
        {BYTES(HEAD "h\4a\6" FROM "w\0" NAME SAID), true},       /* REG_SEND */
        {BYTES(HEAD "h\4a\x0cw\0" OURS "j" SAID), false},        /* SEND_TT */
        {BYTES(HEAD "h\5a\x10" FROM "w\0" NAME "j" SAID), true}, /* REG_SEND_TT */
        {BYTES(HEAD "h\3a\x16" FROM OURS SAID), false},          /* SEND_SENDER */
        {BYTES(HEAD "h\4a\x17" FROM OURS "j" SAID), false},      /* SEND_SENDER_TT */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(erlang_control_read(cases[i].frame, &c), "%zu", i);
        ck_assert_int_eq(c.kind, ERLANG_CONTROL_MESSAGE);
        ck_assert(slice_equal(c.message, BYTES("h\0")));
        ck_assert(erlang_term_atom_is(&c.name, cases[i].named ? "manager" : ""));
        ck_assert(cases[i].named || slice_equal(c.to, BYTES(OURS)));
    }
}
END_TEST

static void answered(struct slice frame, enum erlang_control_kind kind, struct slice answer)
{
    struct buffer out = BUFFER_EMPTY;
    ck_assert(erlang_control_read(frame, &c));
    ck_assert_int_eq(c.kind, kind);
    erlang_control_refuse(&out, &c);
    ck_assert(slice_equal(buffer_slice(&out), answer));
    buffer_fini(&out);
}

START_TEST(what_a_node_without_the_process_says)
{
    answered(BYTES(HEAD "h\3a\1" FROM OURS), ERLANG_CONTROL_LINK,
             BYTES(HEAD "h\4a\3" OURS FROM "w\6noproc"));
    answered(BYTES(HEAD "h\4a\x13" FROM NAME REF), ERLANG_CONTROL_MONITOR,
             BYTES(HEAD "h\5a\x15" NAME FROM REF "w\6noproc"));
    answered(BYTES(HEAD "h\4a\x23"
                        "a\7" FROM OURS),
             ERLANG_CONTROL_UNLINK,
             BYTES(HEAD "h\4a\x24"
                        "a\7" OURS FROM));
}
END_TEST

/* Nobody waits for an answer to these; and one that is not known here is none. */
START_TEST(what_is_passed_over)
{
    static const struct slice frames[] = {
        BYTES(HEAD "h\4a\3" FROM OURS "w\1x"),
        BYTES(HEAD "h\3a\4" FROM OURS),
        BYTES(HEAD "h\3a\7" FROM OURS),
        BYTES(HEAD "h\4a\x08" FROM OURS "w\1x"),
        BYTES(HEAD "h\5a\x0d" FROM OURS "jw\1x"),
        BYTES(HEAD "h\5a\x12" FROM OURS "jw\1x"),
        BYTES(HEAD "h\4a\x14" FROM NAME REF),
        BYTES(HEAD "h\4a\x63jjj" SAID),
        BYTES(HEAD "h\7a\1jjjjjj"),
        BYTES(HEAD "h\1a\5"),
    };
    struct buffer out = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        ck_assert_msg(erlang_control_read(frames[i], &c), "%zu", i);
        ck_assert_msg(c.kind == ERLANG_CONTROL_NONE, "%zu", i);
        erlang_control_refuse(&out, &c);
        ck_assert_uint_eq(out.len, 0);
    }
    ck_assert(erlang_control_read(slice_of(""), &c) && c.kind == ERLANG_CONTROL_TICK);
    erlang_control_refuse(&out, &c);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

START_TEST(what_is_no_control_message)
{
    static const struct slice frames[] = {
        BYTES("q"),
        BYTES("\x83h\3a\2w\0" OURS SAID),
        BYTES(HEAD),
        BYTES(HEAD "h\0"),
        BYTES(HEAD "a\1"),
        BYTES("pph\1a\1"),
        BYTES(HEAD "h\1w\1x"),
        BYTES(HEAD "h\3a\2w\0" OURS),           /* a message that is not there */
        BYTES(HEAD "h\3a\2w\0" OURS "h\0"),     /* or has no version */
        BYTES(HEAD "h\3a\2w\0" OURS SAID "x"),  /* or something behind it */
        BYTES(HEAD "h\3a\2w\0" OURS "\x83h\1"), /* or is cut off */
        BYTES(HEAD "i\xff\xff\xff\xff"
                   "a\2"),
    };
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        ck_assert_msg(!erlang_control_read(frames[i], &c), "%zu", i);
}
END_TEST

START_TEST(sending)
{
    struct buffer out = BUFFER_EMPTY;
    erlang_control_send(&out, BYTES(FROM), BYTES("w\2ko"));
    ck_assert(slice_equal(buffer_slice(&out), BYTES(HEAD "h\3a\2w\0" FROM "\x83w\2ko")));
    ck_assert(erlang_control_read(buffer_slice(&out), &c) && c.kind == ERLANG_CONTROL_MESSAGE);
    buffer_fini(&out);
}
END_TEST

SUITE_MAIN("erlang_control", messages, what_a_node_without_the_process_says, what_is_passed_over,
           what_is_no_control_message, sending)
