/* test_redis_error.c: the server's errors in words, and the codec's EVAL for EVALSHA. */
#include "common/redis/redis_codec.h"
#include "common/redis/redis_conn.h"
#include "test/unit/suite.h"

#include <check.h>
#include <errno.h>

struct row {
    const char *error, *says;
    bool temporary, known;
};

static const struct row rows[] = {
    {"OOM command not allowed when used memory > 'maxmemory'.", "maxmemory", true, true},
    {"READONLY You can't write against a read only replica.", "replica", true, true},
    {"LOADING Redis is loading the dataset in memory", "LOADING", true, true},
    {"MISCONF Errors writing to the AOF file: No space left on device", "disk", true, true},
    {"BUSY Redis is busy running a script.", "SCRIPT KILL", true, true},
    {"MASTERDOWN Link with MASTER is down", "primary", true, true},
    {"ERR max number of clients reached", "maxclients", true, true},
    {"NOAUTH Authentication required.", "password_file", true, true},
    {"WRONGPASS invalid username-password pair or user is disabled.", "password_file", false, true},
    {"NOPERM this user has no permissions", "ACL", false, true},
    {"WRONGTYPE Operation against a key", "another type", false, true},
    {"MOVED 3999 127.0.0.1:6381", "Cluster", false, true},
    {"ERR DB index is out of range", "databases", false, true},
    {"ERR Error running script (call to f_1): @user_script:7: @user_script: 7: -OOM command not "
     "allowed",
     "maxmemory", true, true},
    {"ERR Error running script (call to f_1): something - else", "something", false, false},
    {"ERR unknown command 'FOO'", "unknown command 'FOO'", false, true},
    {"ERR unknown command 'FOO'", "rename-command", false, true},
    {"ERR platoon: RENAME visit:1\tERR The user executing the script can't run this command or "
     "subcommand script: f_ab, on @user_script:23.",
     "RENAME visit:1: ", false, true},
    {"ERR platoon: RENAME visit:1\tERR The user executing the script can't access at least one of "
     "the keys mentioned in the command arguments script: f_ab, on @user_script:23.",
     "ACL SETUSER", false, true},
    {"ERR platoon: PERSIST k\tERR ACL failure in script: User u has no permissions to run the "
     "'persist' command",
     "(ACL failure in script: User u has no permissions to run the 'persist' command)", false,
     true},
    {"ERR platoon: PERSIST k\tERR ACL failure in script: No permissions to access a key script: "
     "f_ab, "
     "on @user_script:1.",
     "ACL SETUSER, see RIGHTS IN REDIS in platoon.conf(5) (ACL failure in script: No permissions "
     "to "
     "access a key)",
     false, true},
    {"ERR platoon: RENAME visit:1\tERR Command 'RENAME' in script attempted to access keys that "
     "don't hash to the same slot script: f_ab, on @user_script:23.",
     "RENAME visit:1: the key lies in another slot of a Redis Cluster", false, true},
    {"ERR platoon: RENAME visit:1\tERR Script attempted to access a slot not served",
     "RENAME visit:1: the key lies in another slot of a Redis Cluster", false, true},
    {"ERR Error running script (call to f_1): @user_script:7: platoon: HDEL k\t@user_script: 7: "
     "Unknown Redis command called from Lua script",
     "HDEL k: ", false, true},
    {"ERR platoon: HPERSIST k\tERR Unknown command called from script script: f_1, on "
     "@user_script:1.",
     "HPERSIST k: the server has no such command", false, true},
    {"ERR platoon: SET k\tOOM command not allowed when used memory > 'maxmemory'. script: f_1",
     "SET k: OOM: ", true, true},
    {"ERR platoon: SET k\tREADONLY You can't write against a read only replica. script: f_1",
     "SET k: READONLY: ", true, true},
    {"ERR platoon: ZADD k\tERR something odd script: f_1, on @user_script:1.",
     "ZADD k: something odd", false, false},
    {"ERR platoon: no tab", "platoon: no tab", false, false},
    {"OOMPH", "OOMPH", false, false},
    {"", "", false, false},
};

START_TEST(test_explain)
{
    const struct row *r = &rows[_i];
    char text[300];
    ck_assert_int_eq(redis_error_explain(r->error, strlen(r->error), text, sizeof text),
                     r->temporary);
    ck_assert_msg(strstr(text, r->says) != NULL, "%s: %s", r->error, text);
    ck_assert_ptr_ne(strstr(text, "ERR "), text);
    ck_assert_int_eq(redis_error_known(r->error, strlen(r->error)), r->known);
    char small[8];
    redis_error_explain(r->error, strlen(r->error), small, sizeof small);
    ck_assert_uint_lt(strlen(small), sizeof small);
}
END_TEST

START_TEST(test_eval_for_evalsha)
{
    char sha[REDIS_SHA_SIZE];
    memset(sha, 'a', sizeof sha - 1);
    sha[sizeof sha - 1] = '\0';
    struct slice argv[40] = {slice_of("EVALSHA"), slice_of(sha), slice_of("1"),
                             slice_make("k\0\r\n", 4)};
    for (int i = 4; i < 40; i++)
        argv[i] = slice_of("argument");
    for (size_t argc = 4; argc <= 40;
         argc += 36) { /* few and many: with and without memory for the arrays */
        struct slice evalsha, eval;
        struct buffer made = BUFFER_EMPTY;
        ck_assert_int_eq(redis_codec_encode(argc, argv, &evalsha), 0);
        struct slice wanted[40];
        memcpy(wanted, argv, sizeof wanted);
        wanted[0] = slice_of("EVAL");
        wanted[1] = slice_of("return 1");
        ck_assert_int_eq(redis_codec_encode(argc, wanted, &eval), 0);
        ck_assert_int_eq(redis_codec_eval(evalsha, "return 1", &made), 0);
        ck_assert(slice_equal(buffer_slice(&made), eval));
        ck_assert_int_eq(redis_codec_eval(eval, "return 1", &made), -EINVAL);
        redis_codec_free(evalsha, true);
        redis_codec_free(eval, false);
        buffer_fini(&made);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("redis_error");
    TCase *tc = tcase_create("error");
    tcase_add_loop_test(tc, test_explain, 0, sizeof rows / sizeof rows[0]);
    tcase_add_test(tc, test_eval_for_evalsha);
    suite_add_tcase(s, tc);
    return suite_end(s);
}
