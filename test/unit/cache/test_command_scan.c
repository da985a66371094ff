/* test_command_scan.c: keys without naming them. */
#include "test/unit/cache/command_fixture.h"

static void fill(const char *name, int count)
{
    char line[64];
    for (int i = 0; i < count; i++) {
        snprintf(line, sizeof line, "SET %s:%d v", name, i);
        say(line);
    }
}

/* How many keys a whole SCAN with these options finds; in how many calls. */
static int scan(const char *options, int *calls)
{
    char line[256], cursor[32] = "0";
    int found = 0;
    *calls = 0;
    do {
        int keys;
        snprintf(line, sizeof line, "SCAN %s%s", cursor, options);
        ck_assert_int_eq(sscanf(say(line), "*2 $%*d %31[0-9] *%d", cursor, &keys), 2);
        found += keys;
        ++*calls;
    } while (strcmp(cursor, "0") != 0);
    return found;
}

START_TEST(keys)
{
    expect("KEYS *", "*0");
    say("MSET abc 1 abd 2 x 3");
    expect("KEYS a?d", "*1 $3 abd");
    expect("KEYS [^a]", "*1 $1 x");
    ck_assert_ptr_nonnull(strstr(say("KEYS *"), "*3 "));
    say("PEXPIREAT x 1000001");
    cache_db_begin(node.db, 1000001 * INT64_C(1000), 0);
    expect("KEYS x", "*0");
}
END_TEST

/* "*" alone is no pattern; any other matches nothing empty. */
START_TEST(the_empty_key)
{
    say("SET '' v");
    expect("KEYS *", "*1 $0 ");
    expect("KEYS **", "*0");
    ck_assert_ptr_nonnull(strstr(say("SCAN 0 MATCH * COUNT 1000"), " *1 $0 "));
    ck_assert_ptr_nonnull(strstr(say("SCAN 0 MATCH ** COUNT 1000"), " *0"));
}
END_TEST

START_TEST(scans)
{
    int calls;
    fill("a", 300);
    fill("b", 100);
    ck_assert_int_eq(scan("", &calls), 400);
    ck_assert_int_gt(calls, 10);
    ck_assert_int_eq(scan(" COUNT 1000", &calls), 400);
    ck_assert_int_eq(calls, 1);
    ck_assert_int_eq(scan(" COUNT 9223372036854775807", &calls), 400);
    ck_assert_int_eq(scan(" match b:* count 7", &calls), 100);
    ck_assert_int_eq(scan(" TYPE String", &calls), 400);
    ck_assert_int_eq(scan(" TYPE list", &calls), 0);
    ck_assert_int_eq(scan(" TYPE list TYPE string MATCH a* MATCH *", &calls), 400);
}
END_TEST

/* Ten buckets a key asked for, whatever is in them. */
START_TEST(scan_is_bounded)
{
    int calls;
    say("SET a v");
    scan(" COUNT 1", &calls);
    ck_assert_int_ge(calls, PLAIN_BUCKETS / 10);
}
END_TEST

START_TEST(wrong_words)
{
    static const char *const cursors[] = {"x", "-", "+", "0x", "1.0", "18446744073709551616"};
    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++) {
        char line[64];
        snprintf(line, sizeof line, "SCAN %s COUNT x", cursors[i]);
        expect(line, "-ERR invalid cursor");
    }
    expect("SCAN -1", "*2 $1 0 *0");                                 /* as strtoul takes it */
    ck_assert_ptr_nonnull(strstr(say("SCAN '' COUNT 1000"), " *0")); /* the beginning */
    expect("SCAN 0 COUNT", "-ERR syntax error");
    expect("SCAN 0 COUNT 0", "-ERR syntax error");
    expect("SCAN 0 COUNT x", "-ERR value is not an integer or out of range");
    expect("SCAN 0 FOO bar", "-ERR syntax error");
}
END_TEST

START_TEST(random_key)
{
    bool a = false, b = false;
    expect("RANDOMKEY", "$-1");
    say("MSET a 1 b 2");
    for (int i = 0; i < 1000 && !(a && b); i++) {
        const char *said = say("RANDOMKEY");
        a = a || strcmp(said, "$1 a") == 0;
        b = b || strcmp(said, "$1 b") == 0;
    }
    ck_assert(a && b);
}
END_TEST

/* What would be more than a client may have unread fails as a whole, as if memory were short. */
START_TEST(replies_are_bounded)
{
    fill("a", 300);
    client.reply.max = 1000;
    say("KEYS *");
    ck_assert(!buffer_ok(&client.reply.out));
    client.reply.max = 0;
}
END_TEST

SUITE_MAIN_WITH("command_scan", set_up, tear_down, keys, the_empty_key, scans, scan_is_bounded,
                wrong_words, random_key, replies_are_bounded)
