/* test_upgrade_state.c: every record of what one master hands to the next, both ways, and what must be refused. */
#include "proto/upgrade_state.h"
#include "proto/message.h"

#define CODEC_STRUCT(name) struct upgrade_##name
#define CODEC_PACK(name)   upgrade_##name##_pack
#define CODEC_FIELDS(NAME) UPGRADE_FIELDS_##NAME
#include "test/unit/proto/codec_checks.h"

#define X(number, NAME, name, doc)                                                                 \
    static bool codec_unpack_##name(struct slice frame, struct upgrade_##name *m)                  \
    {                                                                                              \
        struct unpack u = unpack_start(frame);                                                     \
        return upgrade_##name##_unpack(&u, m) && unpack_end(&u);                                   \
    }
UPGRADE_LIST(X)
#undef X

UPGRADE_LIST(CODEC_CHECKS)

/* Records follow each other; one that stops in the middle is none. */
START_TEST(one_after_the_other)
{
    struct buffer b = BUFFER_EMPTY;
    struct upgrade_branch one = {.name = slice_of("site"), .wanted = 1}, back;
    upgrade_branch_pack(&b, &one);
    size_t first = b.len;
    upgrade_branch_pack(&b, &one);
    struct unpack u = unpack_start(buffer_slice(&b));
    ck_assert(upgrade_branch_unpack(&u, &back) && upgrade_branch_unpack(&u, &back));
    ck_assert(unpack_end(&u));
    u = unpack_start(slice_make(b.data, first - 1));
    ck_assert(!upgrade_branch_unpack(&u, &back));
    buffer_fini(&b);
}
END_TEST

/*
 * The number for message versions 3 and 77; 1003 is what builds with link version 3 and message version 3 have always
 * written.
 */
#undef MESSAGE_VERSION
#define MESSAGE_VERSION 3
static const uint64_t version_of_messages_3 = UPGRADE_VERSION;
#undef MESSAGE_VERSION
#define MESSAGE_VERSION 77
static const uint64_t version_of_messages_77 = UPGRADE_VERSION;

/* A master that would set workers of two message versions beside each other must refuse the state. */
START_TEST(the_version_counts_messages_too)
{
    ck_assert_uint_eq(version_of_messages_3, 1000 + CONTRACT_LINK_VERSION);
    ck_assert_uint_ne(version_of_messages_77, version_of_messages_3);
}
END_TEST

#define X(number, NAME, name, doc) codec_##name,
SUITE_MAIN("upgrade_state", UPGRADE_LIST(X) one_after_the_other, the_version_counts_messages_too)
