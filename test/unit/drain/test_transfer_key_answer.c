/*
 * test_transfer_key_answer.c: the key service's policy (workers/drain/transfer_key_service.h):
 * questions, answers, giving up.
 */
#include "workers/drain/transfer_key_service.h"
#include "test/unit/suite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

START_TEST(answers)
{
    static const struct {
        int status;
        const char *body;
        enum key_verdict verdict;
        const char *bucket, *key, *why;
    } cases[] = {
        {200, "{\"bucket\":\"b\",\"key\":\"k\"}", KEY_FOUND, "b", "k", NULL},
        {200, " {\"key\":\"7\",\"bucket\":\"\\u00e4\",\"more\":[1]}\n", KEY_FOUND, "ä", "7", NULL},
        {200, "{\"bucket\":\"b\",\"key\":\"\"}", KEY_WRONG, NULL, NULL, "is empty"},
        {200, "{\"bucket\":\"\",\"key\":\"k\"}", KEY_WRONG, NULL, NULL, "is empty"},
        {200, "", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "null", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "<html>", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "{\"bucket\":\"b\",\"key\":\"k\"", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "{\"bucket\":\"b\",\"key\":\"k\"}x", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "{\"bucket\":\"b\",\"bucket\":\"c\",\"key\":\"k\"}", KEY_WRONG, NULL, NULL,
         "not JSON"},
        {200, "{\"bucket\":\"b\",\"key\":\"k\\u0000\"}", KEY_WRONG, NULL, NULL, "not JSON"},
        {200, "[]", KEY_WRONG, NULL, NULL, "no object with"},
        {200, "{}", KEY_WRONG, NULL, NULL, "no object with"},
        {200, "{\"bucket\":\"b\"}", KEY_WRONG, NULL, NULL, "no object with"},
        {200, "{\"bucket\":1,\"key\":\"k\"}", KEY_WRONG, NULL, NULL, "no object with"},
        {400, "{\"bucket\":\"b\",\"key\":\"k\"}", KEY_WRONG, NULL, NULL, "status 400"},
        {413, "", KEY_WRONG, NULL, NULL, "status 413"},
        {414, "", KEY_WRONG, NULL, NULL, "status 414"},
        {422, "", KEY_WRONG, NULL, NULL, "status 422"},
        {204, "", KEY_FAILED, NULL, NULL, "status 204"},
        {301, "", KEY_FAILED, NULL, NULL, "status 301"},
        {401, "", KEY_FAILED, NULL, NULL, "status 401"},
        {404, "", KEY_FAILED, NULL, NULL, "status 404"},
        {429, "", KEY_FAILED, NULL, NULL, "status 429"},
        {503, "", KEY_FAILED, NULL, NULL, "status 503"},
        {0, "", KEY_FAILED, NULL, NULL, "refused"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct transfer_key found = {0};
        char why[256] = "";
        enum key_verdict verdict = key_answer_read(cases[i].status, slice_of(cases[i].body),
                                                   "connection refused", &found, why, sizeof why);
        ck_assert_msg(verdict == cases[i].verdict, "%d %s: %d, %s", cases[i].status, cases[i].body,
                      verdict, why);
        if (verdict == KEY_FOUND) {
            ck_assert_str_eq(found.bucket, cases[i].bucket);
            ck_assert_str_eq(found.key, cases[i].key);
            ck_assert_ptr_null(found.refusal);
        } else {
            ck_assert_msg(strstr(why, cases[i].why) != NULL, "%s: %s", cases[i].body, why);
            ck_assert_ptr_null(found.bucket);
            ck_assert_ptr_null(found.key);
        }
        transfer_key_fini(&found);
    }
}
END_TEST

/* Answers cut short at every byte, and with every byte changed: never a crash, and never half a key. */
START_TEST(broken_answers)
{
    const char text[] = "{\"bucket\":\"b\",\"key\":\"k\"}";
    char why[256];
    for (size_t len = 0; len < sizeof text - 1; len++) {
        struct transfer_key found = {0};
        char *exact = malloc(len + 1); /* ASan sees a byte too far */
        memcpy(exact, text, len);
        ck_assert_int_eq(key_answer_read(200, slice_make(exact, len), "", &found, why, sizeof why),
                         KEY_WRONG);
        free(exact);
    }
    for (size_t at = 0; at < sizeof text - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            struct transfer_key found = {0};
            char copy[sizeof text];
            memcpy(copy, text, sizeof text);
            copy[at] = (char)byte;
            enum key_verdict v = key_answer_read(200, slice_make(copy, sizeof text - 1), "", &found,
                                                 why, sizeof why);
            ck_assert_int_eq(v == KEY_FOUND, found.bucket != NULL && found.key != NULL);
            transfer_key_fini(&found);
        }
    }
}
END_TEST

START_TEST(questions)
{
    struct template_field fields[] = {
        {slice_of("app"), slice_of("shop & co")},
        {slice_of(""), slice_of("")},
        {slice_of("ä="), slice_make("\0\xff~-._", 6)},
    };
    struct buffer out = BUFFER_EMPTY;
    key_question_write(&out, fields, 3);
    ck_assert_str_eq(buffer_text(&out), "app=shop%20%26%20co&=&%C3%A4%3D=%00%FF~-._");
    buffer_clear(&out);
    key_question_write(&out, fields, 0);
    ck_assert_uint_eq(out.len, 0);
    buffer_fini(&out);
}
END_TEST

/* While nobody is answered well, nothing is held against a record. */
START_TEST(outage_blames_nobody)
{
    struct key_tries tries = {.seen = 7};
    for (int i = 0; i < 1000; i++)
        ck_assert(!key_tries_give_up(&tries, KEY_FAILED, 7, 2));
    struct key_tries wrong = {0};
    for (int i = 0; i < 1000; i++)
        ck_assert(!key_tries_give_up(&wrong, KEY_WRONG, 0, 2));
    ck_assert_uint_eq(tries.failed, 1000);
}
END_TEST

START_TEST(given_up_while_others_are_well)
{
    struct key_tries tries = {.seen = 0};
    ck_assert(!key_tries_give_up(&tries, KEY_FAILED, 1, 2));
    ck_assert(!key_tries_give_up(&tries, KEY_FAILED, 2, 2));
    ck_assert(!key_tries_give_up(&tries, KEY_FAILED, 2, 2)); /* nobody in between */
    ck_assert(key_tries_give_up(&tries, KEY_FAILED, 3, 2));
}
END_TEST

START_TEST(wrong_answers_need_no_others)
{
    struct key_tries tries = {.seen = 5};
    ck_assert(!key_tries_give_up(&tries, KEY_WRONG, 5, 2));
    ck_assert(!key_tries_give_up(&tries, KEY_WRONG, 5, 2));
    ck_assert(key_tries_give_up(&tries, KEY_WRONG, 5, 2));
    struct key_tries none = {.seen = 5};
    ck_assert(key_tries_give_up(&none, KEY_WRONG, 5, 0));
}
END_TEST

START_TEST(pauses)
{
    ck_assert_uint_eq(key_tries_pause(1, 0, 2000), 50);
    ck_assert_uint_eq(key_tries_pause(2, 0, 2000), 100);
    ck_assert_uint_eq(key_tries_pause(5, 0, 2000), 800);
    ck_assert_uint_eq(key_tries_pause(7, 0, 2000), 2000);
    ck_assert_uint_eq(key_tries_pause(4000000000u, 0, 2000), 2000);
    ck_assert_uint_eq(key_tries_pause(1, 0, 10), 10);
    ck_assert_uint_eq(key_tries_pause(1, 5000, 2000), 5000); /* asked for by the service */
    ck_assert_uint_eq(key_tries_pause(1, 3600000, 2000), 60000);
}
END_TEST

SUITE_MAIN("transfer_key_answer", answers, broken_answers, questions, outage_blames_nobody,
           given_up_while_others_are_well, wrong_answers_need_no_others, pauses)
