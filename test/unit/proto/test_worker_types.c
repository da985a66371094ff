/* test_worker_types.c: what the TYPES of all systems must have in common (proto/worker_types.h). */
#include "proto/worker_types.h"
#include "test/unit/suite.h"

#include <string.h>

/* It is the name of a program in libexec, and of a file when its dashes become underscores. */
START_TEST(names_are_unique)
{
    for (int i = 0; i < WORKER_TYPE_COUNT; i++) {
        const char *name = worker_type_name((enum worker_type)i);
        ck_assert_uint_gt(strlen(name), 0);
        ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz-"), strlen(name));
        for (int j = 0; j < i; j++)
            ck_assert_str_ne(worker_type_name((enum worker_type)j), name);
    }
}
END_TEST

START_TEST(records_are_whole)
{
    for (int i = 0; i < WORKER_TYPE_COUNT; i++) {
        const struct worker_type_record *r = worker_type_record((enum worker_type)i);
        ck_assert_str_eq(r->name, worker_type_name((enum worker_type)i));
        ck_assert_int_lt(r->kind, CONFIG_KIND_COUNT);
        ck_assert_int_le(r->runs, WORKER_RUNS_CUSTOM);
        ck_assert_ptr_nonnull(r->workers_key);
        /* The title stands in it once at most: nothing else is formatted into a path. */
        const char *mark = strchr(r->path, '%');
        ck_assert_msg(mark == NULL || (mark[1] == 's' && strchr(mark + 1, '%') == NULL), "%s",
                      r->path);
    }
}
END_TEST

START_TEST(a_path_is_taken_with_all_above_it)
{
    ck_assert(worker_type_takes(WORKER_TYPE_COMMAND, "redis/server"));
    ck_assert(worker_type_takes(WORKER_TYPE_COMMAND, "redis"));
    ck_assert(!worker_type_takes(WORKER_TYPE_COMMAND, "redis/serve"));
    ck_assert(!worker_type_takes(WORKER_TYPE_COMMAND, "redis/server/x"));
    ck_assert(!worker_type_takes(WORKER_TYPE_COMMAND, ""));
    ck_assert(worker_type_takes(WORKER_TYPE_HEALTH, "health"));
    ck_assert(!worker_type_takes(WORKER_TYPE_PORT, "port")); /* its section says where */
}
END_TEST

START_TEST(who_is_not_of_our_making)
{
    ck_assert(worker_type_is_custom("custom"));
    ck_assert(!worker_type_is_custom("port"));
    ck_assert(!worker_type_is_custom(""));
}
END_TEST

SUITE_MAIN("worker_types", names_are_unique, records_are_whole, a_path_is_taken_with_all_above_it,
           who_is_not_of_our_making)
