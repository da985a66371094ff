/* test_queue_script.c: texts, names, and the library, which a server takes whole. */
#include "test/unit/queue/queue_fixture.h"

START_TEST(each_script_is_there)
{
    for (int i = 0; i < QUEUE_SCRIPT_COUNT; i++) {
        const char *text = queue_script_text((enum queue_script)i);
        ck_assert_ptr_nonnull(strstr(text, "begin(KEYS, ARGV)"));
        const struct slice words[] = {slice_of("SCRIPT"), slice_of("LOAD"), slice_of(text)};
        queue_command(3, words);
        ck_assert_msg(queue.reply->type == REDIS_REPLY_STRING, "%s: %s",
                      queue_script_name((enum queue_script)i), queue_text());
    }
    ck_assert_str_eq(queue_script_name(QUEUE_SCRIPT_QUEUE_DELIVER), "queue_deliver");
}
END_TEST

START_TEST(each_is_a_function_with_its_flags)
{
    queue_redis("FUNCTION LIST LIBRARYNAME platoon");
    const char *all = queue_text();
    for (int i = 0; i < QUEUE_SCRIPT_COUNT; i++) {
        const char *name = queue_script_name((enum queue_script)i) + strlen("queue_");
        bool adds = strcmp(name, "deliver") == 0 || strcmp(name, "deliver_many") == 0 ||
                    strcmp(name, "inbox_take") == 0;
        char entry[128];
        snprintf(entry, sizeof entry, "[name platoon_%s description nil flags [%s]]", name,
                 adds ? "" : "allow-oom");
        ck_assert_msg(strstr(all, entry) != NULL, "%s is not in %s", entry, all);
    }
}
END_TEST

/* A server that is full, or is started anew, has it still; loading it again is no error. */
START_TEST(it_is_loaded_again)
{
    const struct slice words[] = {slice_of("FUNCTION"), slice_of("LOAD"), slice_of("REPLACE"),
                                  slice_of(redis_library_queue)};
    queue_command(4, words);
    ck_assert_str_eq(queue_text(), "platoon");
    queue_register("q", "");
    queue_deliver("t", "a", "x");
    queue_redis("FUNCTION FLUSH");
    ck_assert_ptr_nonnull(strstr(q_text(PULL, "me", "1", "60000", "q"), "!ERR Function not found"));
    queue_command(4, words);
    ck_assert_str_eq(queue_bodies("q", 1, 60000), "x");
}
END_TEST

SUITE_MAIN_WITH("queue_script", queue_set_up_fcall, queue_tear_down, each_script_is_there,
                each_is_a_function_with_its_flags, it_is_loaded_again)
