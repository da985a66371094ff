/*
 * test_ledger.c: names and members of the ledger as C sees them (proto/drain/ledger.h). The scripts:
 * test/e2e/drain/test_ledger*.py.
 */
#include "proto/drain/ledger.h"
#include "common/pack.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

START_TEST(scripts_are_embedded)
{
    for (int i = 0; i < LEDGER_SCRIPT_COUNT; i++) {
        const char *text = ledger_script_text((enum ledger_script)i);
        ck_assert_ptr_nonnull(strstr(text, "local P = KEYS[1]")); /* lib.lua stands in front */
        ck_assert_ptr_null(strstr(text, "\n--"));
        ck_assert_uint_gt(strlen(ledger_script_name((enum ledger_script)i)), 2);
    }
    ck_assert_ptr_nonnull(strstr(ledger_script_text(LEDGER_CLAIM), "SPOP"));
}
END_TEST

START_TEST(names)
{
    char prefix[LEDGER_PREFIX_SIZE];
    ck_assert_int_eq(ledger_prefix(prefix, "visits"), 0);
    ck_assert_str_eq(prefix, "platoon:{visits}:");
}
END_TEST

START_TEST(names_that_do_not_fit)
{
    char prefix[LEDGER_PREFIX_SIZE] = "kept";
    char name[LEDGER_PREFIX_SIZE];
    memset(name, 'n', sizeof name);
    name[LEDGER_PREFIX_SIZE - strlen("platoon:{}:")] = '\0';
    ck_assert_int_eq(ledger_prefix(prefix, name), -ENAMETOOLONG);
    ck_assert_str_eq(prefix, "kept");
    name[LEDGER_PREFIX_SIZE - strlen("platoon:{}:") - 1] = '\0';
    ck_assert_int_eq(ledger_prefix(prefix, name), 0);
}
END_TEST

static void pack_member(struct buffer *b, uint64_t seq, const char *member, uint64_t state)
{
    pack_array(b, 3);
    pack_u64(b, seq);
    pack_str(b, slice_of(member));
    pack_u64(b, state);
}

START_TEST(members)
{
    struct buffer b = BUFFER_EMPTY;
    struct unpack u;
    struct ledger_member m;
    char key[LEDGER_KEY_SIZE];
    pack_array(&b, 4);
    pack_member(&b, 41, "v:1", LEDGER_ASIDE);
    pack_member(&b, UINT64_C(1) << 53, "", LEDGER_MISSING);
    pack_member(&b, 43, "v:3", LEDGER_IN_PLACE);
    pack_member(&b, 44, "v:4", LEDGER_FOLLOWS);
    ck_assert_uint_eq(ledger_members_start(buffer_slice(&b), &u), 4);
    ck_assert(ledger_members_next(&u, &m) && m.seq == 41 && !ledger_is_missing(&m));
    ck_assert(slice_is(ledger_hash_key("platoon:{t}:", &m, key), "platoon:{t}:aside:41"));
    ck_assert(ledger_members_next(&u, &m) && m.member.len == 0 && ledger_is_missing(&m));
    ck_assert(
        slice_is(ledger_hash_key("platoon:{t}:", &m, key), "platoon:{t}:aside:9007199254740992"));
    ck_assert(ledger_members_next(&u, &m) && !ledger_is_missing(&m));
    ck_assert(slice_is(ledger_hash_key("platoon:{t}:", &m, key), "v:3"));
    ck_assert(ledger_members_next(&u, &m) && ledger_is_missing(&m));
    ck_assert(!ledger_members_next(&u, &m));
    ck_assert_uint_eq(m.seq, 44); /* untouched */
    buffer_fini(&b);
}
END_TEST

START_TEST(members_that_are_none)
{
    static const struct slice packed[] = {
        {"", 0}, {"\x90", 1}, {"\x80", 1}, {"hello", 5}, {"\xdd\xff\xff\xff\xff", 5}};
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++) {
        struct unpack u;
        ck_assert_uint_eq(ledger_members_start(packed[i], &u), 0);
    }
    static const struct slice bad[] = {
        {"\x91\x92\x01\xa1x", 5},
        {"\x91\x93\x01\xa1x\x04", 6},
        {"\x91\x93\xff\xa1x\x00", 6},
        {"\x91\x93\x01\x02\x00", 5},
        {"\x91\xc0", 2},
        {"\x91\x93\x01\xa1x\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 14}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct unpack u;
        struct ledger_member m;
        ck_assert_uint_eq(ledger_members_start(bad[i], &u), 1);
        ck_assert_msg(!ledger_members_next(&u, &m), "case %zu", i);
    }
}
END_TEST

/* Any bytes: read or refused, and never one too far (ASan). */
START_TEST(members_of_random_bytes)
{
    srand(9);
    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + (size_t)rand() % 40;
        char *bytes = malloc(n);
        for (size_t i = 0; i < n; i++) {
            static const unsigned char likely[] = {0x93, 0x91, 0x92, 0x01, 0xa1, 0xc4, 0x00, 0xcf};
            bytes[i] = (char)(rand() % 3 ? likely[(size_t)rand() % sizeof likely] : rand());
        }
        struct unpack u;
        struct ledger_member m;
        uint32_t count = ledger_members_start(slice_make(bytes, n), &u);
        ck_assert_uint_le(count, n);
        while (ledger_members_next(&u, &m))
            ck_assert_uint_le(m.member.len, n);
        free(bytes);
    }
}
END_TEST

SUITE_MAIN("ledger", scripts_are_embedded, names, names_that_do_not_fit, members,
           members_that_are_none, members_of_random_bytes)
