/* test_erlang_request.c: what messages of Brain's and Plato's clients ask for. */
#include "test/unit/erlang/erlang_bytes.h"
#include "test/unit/suite.h"
#include "workers/erlang/erlang_request.h"

#define PID  "Xw\3n@h\0\0\0\1\0\0\0\2\0\0\0\3"
#define ID   "m\0\0\0\1i"
#define LIST "l\0\0\0\1w\3getj"

static struct erlang_request r;

static void reads(struct slice message, enum erlang_request_kind kind)
{
    erlang_request_read(message, &r);
    ck_assert_int_eq(r.kind, kind);
}

static bool is_answered(void)
{
    return slice_equal(r.pid, BYTES(PID)) && erlang_term_atom_is(&r.node, "n@h");
}

START_TEST(brain)
{
    reads(BYTES("h\2w\x09get_nodes" PID), ERLANG_REQUEST_NODES);
    ck_assert(is_answered());
    reads(BYTES("h\2d\0\x09get_nodes" PID), ERLANG_REQUEST_NODES); /* of an old node */
    reads(BYTES("h\3w\1s" ID "h\0"), ERLANG_REQUEST_SET);
    ck_assert(slice_equal(r.id, BYTES(ID)) && slice_equal(r.value, BYTES("h\0")));
    reads(BYTES("h\5w\1gw\4true" ID PID "j"), ERLANG_REQUEST_GET);
    ck_assert(r.strong && slice_equal(r.id, BYTES(ID)) && is_answered());
    reads(BYTES("h\5w\1gw\5false" ID PID "j"), ERLANG_REQUEST_GET);
    ck_assert(!r.strong);
    reads(BYTES("h\2w\1p" ID), ERLANG_REQUEST_PERSIST);
    ck_assert(slice_equal(r.id, BYTES(ID)));
}
END_TEST

START_TEST(plato)
{
    reads(BYTES("h\3" PID "w\4send" LIST), ERLANG_REQUEST_SEND);
    ck_assert(is_answered() && slice_equal(r.command, BYTES(LIST)));
    reads(BYTES("h\3w\4send" LIST PID), ERLANG_REQUEST_SEND);
    ck_assert(is_answered() && slice_equal(r.command, BYTES(LIST)));
    reads(BYTES("h\2w\4send" LIST), ERLANG_REQUEST_SEND);
    ck_assert(r.pid.len == 0 && slice_equal(r.command, BYTES(LIST)));
}
END_TEST

START_TEST(ping)
{
    reads(BYTES("h\3w\x09$gen_callh\2" PID "l\0\0\0\1w\5aliasjh\2w\7is_authw\3n@h"),
          ERLANG_REQUEST_PING);
    ck_assert(is_answered() && slice_equal(r.tag, BYTES("l\0\0\0\1w\5aliasj")));
    reads(BYTES("h\3w\x09$gen_callh\2" PID "jw\5hello"), ERLANG_REQUEST_NONE);
    reads(BYTES("h\3w\x09$gen_calljh\2w\7is_authw\3n@h"), ERLANG_REQUEST_NONE);
    reads(BYTES("h\3w\x09$gen_callh\2jjh\2w\7is_authw\3n@h"), ERLANG_REQUEST_NONE);
}
END_TEST

START_TEST(anything_else)
{
    static const struct slice messages[] = {
        BYTES("w\5hello"),
        BYTES("h\0"),
        BYTES("j"),
        BYTES(PID),
        BYTES("h\2w\x09get_nodesw\2me"),
        BYTES("h\3w\x09get_nodes" PID PID),
        BYTES("h\2w\1s" ID),
        BYTES("h\5w\1gw\5maybe" ID PID "j"),
        BYTES("h\5w\1gw\4true" ID "jj"),
        BYTES("h\4w\1gw\4true" ID PID),
        BYTES("h\3" PID "w\4sent" LIST),
        BYTES("h\3w\4send" LIST "j"),
        BYTES("h\6jjjjjj"),
        BYTES("i\0\0\1\0j"),
    };
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        erlang_request_read(messages[i], &r);
        ck_assert_msg(r.kind == ERLANG_REQUEST_NONE, "%zu", i);
    }
}
END_TEST

SUITE_MAIN("erlang_request", brain, plato, ping, anything_else)
