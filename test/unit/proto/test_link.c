/* test_link.c: every message of a worker's link, both ways, and what must be refused (proto/link.h). */
#include "proto/link.h"
#include "proto/contract.h"

#define CODEC_STRUCT(name) struct link_##name
#define CODEC_PACK(name)   link_##name##_pack
#define CODEC_FIELDS(NAME) LINK_FIELDS_##NAME
#include "test/unit/proto/codec_checks.h"

#include <errno.h>

#define X(number, NAME, name, doc)                                                                 \
    static bool codec_unpack_##name(struct slice frame, struct link_##name *m)                     \
    {                                                                                              \
        return link_##name##_unpack(frame, m);                                                     \
    }
LINK_LIST(X)
#undef X

LINK_LIST(CODEC_CHECKS)

START_TEST(names)
{
    ck_assert_str_eq(link_type_name(LINK_HELLO), "HELLO");
    ck_assert_str_eq(link_type_name(LINK_REPLY), "REPLY");
    ck_assert_str_eq(link_type_name(0), "?");
    ck_assert_str_eq(link_type_name(UINT64_MAX), "?");
}
END_TEST

START_TEST(frame_types)
{
    struct buffer b = BUFFER_EMPTY;
    link_stop_pack(&b, &(struct link_stop){.deadline_ms = 5});
    ck_assert_uint_eq(link_frame_type(buffer_slice(&b)), LINK_STOP);
    ck_assert_uint_eq(link_frame_type(slice_of("")), 0);
    ck_assert_uint_eq(link_frame_type(slice_of("\x90")), 0);
    ck_assert_uint_eq(link_frame_type(slice_of("\x91\xa1x")), 0);
    ck_assert_uint_eq(link_frame_type(slice_of("GET / HTTP/1.1")), 0);
    buffer_fini(&b);
}
END_TEST

/* A frame holds one message: what stands behind it is an error, not the next one. */
START_TEST(trailing_bytes)
{
    struct buffer b = BUFFER_EMPTY;
    struct link_bye m;
    link_bye_pack(&b, &(struct link_bye){.reason = slice_of("done")});
    link_bye_pack(&b, &(struct link_bye){.reason = slice_of("done")});
    ck_assert(!link_bye_unpack(buffer_slice(&b), &m));
    buffer_fini(&b);
}
END_TEST

START_TEST(exit_codes)
{
    ck_assert_str_eq(contract_exit_meaning(0), "finished on purpose");
    ck_assert_str_eq(contract_exit_meaning(78), "configuration error, a restart cannot help");
    ck_assert_str_eq(contract_exit_meaning(1), "temporary failure, restart");
    ck_assert_str_eq(contract_exit_meaning(101), "found its own state inconsistent, restart");
    ck_assert_str_eq(contract_exit_meaning(3), "crashed");
    ck_assert_str_eq(contract_exit_meaning(-1), "crashed");
    ck_assert_int_eq(contract_exit_for(ENOENT), CONTRACT_EXIT_TEMPORARY);
    ck_assert_str_eq(contract_shortage_remedy(ENOENT), "");
    for (int error = 1; error < 200; error++) {
        bool is_short = contract_exit_for(error) == CONTRACT_EXIT_SHORT;
        ck_assert(is_short == contract_is_shortage(error));
        ck_assert(is_short == (contract_shortage_remedy(error)[0] != '\0'));
        bool is_full = error == ENOSPC || error == EDQUOT;
        char text[64];
        ck_assert_str_eq(contract_shortage_remedy_at(error, "/a/b", text, sizeof text),
                         is_full ? "make room where /a/b is" : contract_shortage_remedy(error));
    }
}
END_TEST

#define X(number, NAME, name, doc) codec_##name,
START_TEST(mailbox_ids)
{
    char id[CONTRACT_NAME_MAX], name[2 * CONTRACT_NAME_MAX];
    contract_mailbox_id("redis/visits/get-hash.2", id);
    ck_assert_str_eq(id, "redis,visits,get-hash.2");
    contract_mailbox_id("", id);
    ck_assert_str_eq(id, "");
    memset(name, '/', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    contract_mailbox_id(name, id);
    ck_assert_uint_eq(strlen(id), CONTRACT_NAME_MAX - 1);
    ck_assert_uint_eq(strspn(id, ","), CONTRACT_NAME_MAX - 1);
}
END_TEST

SUITE_MAIN("link", mailbox_ids, LINK_LIST(X) names, frame_types, trailing_bytes, exit_codes)
