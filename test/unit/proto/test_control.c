/* test_control.c: requests and answers of the control socket, and the lists people read (proto/control.h). */
#include "proto/control.h"
#include "proto/systems.h"

#define CODEC_STRUCT(name) struct control_##name
#define CODEC_PACK(name)   control_##name##_pack
#define CODEC_FIELDS(NAME) CONTROL_FIELDS_##NAME
#include "test/unit/proto/codec_checks.h"

#define X(number, NAME, name, doc)                                                                 \
    static bool codec_unpack_##name(struct slice frame, struct control_##name *m)                  \
    {                                                                                              \
        return control_##name##_unpack(frame, m);                                                  \
    }
CONTROL_LIST(X)
#undef X

CONTROL_LIST(CODEC_CHECKS)

START_TEST(trailing_bytes)
{
    struct buffer b = BUFFER_EMPTY;
    struct control_request m;
    control_request_pack(
        &b, &(struct control_request){.verb = slice_of("tree"), .args = slice_of("\x90")});
    ck_assert(control_request_unpack(buffer_slice(&b), &m));
    buffer_append_char(&b, '\xc0');
    ck_assert(!control_request_unpack(buffer_slice(&b), &m));
    buffer_fini(&b);
}
END_TEST

START_TEST(meanings)
{
    ck_assert_str_eq(control_status_meaning(CONTROL_OK), "done");
    ck_assert_str_eq(control_status_meaning(CONTROL_NO_NAME), "no such name");
    ck_assert_str_eq(control_status_meaning(CONTROL_TIMEOUT), "timed out");
    ck_assert_str_eq(control_status_meaning(6), "unknown status");
}
END_TEST

/* What people type: the grammar begins with the words, and the help is one line of reasonable length. */
START_TEST(verbs_are_told)
{
    static const struct {
        const char *words, *grammar, *help;
    } verbs[] = {
#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help) {words, grammar, help},
        SYSTEMS(VERBS, X)
#undef X
    };
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        ck_assert(strncmp(verbs[i].grammar, verbs[i].words, strlen(verbs[i].words)) == 0);
        ck_assert_uint_lt(strlen(verbs[i].help), 80);
        ck_assert_ptr_null(strchr(verbs[i].help, '\n'));
        for (size_t k = 0; k < i; k++)
            ck_assert_str_ne(verbs[i].words, verbs[k].words);
    }
}
END_TEST

#define X(number, NAME, name, doc) codec_##name,
SUITE_MAIN("control", CONTROL_LIST(X) trailing_bytes, meanings, verbs_are_told)
