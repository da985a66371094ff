/* test_ctl_queue_merge.c: one answer made of those of several servers (master/ctl/queue/ctl_queue_servers.h). */
#include "master/ctl/queue/ctl_queue_servers.h"
#include "test/unit/suite.h"

#include <stdlib.h>
#include <string.h>

static json_t *all;

static void tear_down(void)
{
    json_decref(all);
    all = NULL;
}

static json_t *from_text(const char *text)
{
    json_error_t error;
    json_t *value = json_loads(text, JSON_DECODE_ANY, &error);
    ck_assert_msg(value != NULL, "%s in %s", error.text, text);
    return value;
}

/* What `all` is, as text; members in the order of their names. */
static void is(const char *expected)
{
    char *text = json_dumps(all, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_str_eq(text, expected);
    free(text);
}

static void status(const char *text, const char *server)
{
    json_t *list = from_text(text);
    all = all != NULL ? all : json_array();
    ck_assert(ctl_queue_merge_status(all, list, server));
    json_decref(list);
}

static void sweep(const char *text, const char *server)
{
    json_t *one = from_text(text);
    all = all != NULL ? all : json_object();
    ck_assert(ctl_queue_merge_sweep(all, one, server));
    json_decref(one);
}

START_TEST(numbers_are_added_and_times_are_the_longest)
{
    status("[{\"queue\":\"q\",\"waiting\":3,\"oldest_ms\":5,\"wait_p50_ms\":null,\"wrong\":[]}]",
           "a");
    status("[{\"queue\":\"q\",\"waiting\":4,\"oldest_ms\":9,\"wait_p50_ms\":7,\"wrong\":[]}]", "b");
    status("[{\"queue\":\"q\",\"waiting\":1,\"oldest_ms\":null,\"wait_p50_ms\":2,\"wrong\":[]}]",
           "c");
    is("[{\"oldest_ms\":9,\"queue\":\"q\",\"servers\":["
       "{\"oldest_ms\":5,\"queue\":\"q\",\"server\":\"a\",\"wait_p50_ms\":null,\"waiting\":3,"
       "\"wrong\":[]},"
       "{\"oldest_ms\":9,\"queue\":\"q\",\"server\":\"b\",\"wait_p50_ms\":7,\"waiting\":4,"
       "\"wrong\":[]},"
       "{\"oldest_ms\":null,\"queue\":\"q\",\"server\":\"c\",\"wait_p50_ms\":2,\"waiting\":1,"
       "\"wrong\":[]}],\"wait_p50_ms\":7,\"waiting\":8,\"wrong\":[]}]");
}
END_TEST

/* Paused or raw anywhere is that; a pattern that the first does not know is another's. */
START_TEST(what_is_so_on_one_is_so)
{
    status("[{\"queue\":\"q\",\"paused\":false,\"raw\":true,\"pattern\":null,\"wrong\":[]}]", "a");
    status("[{\"queue\":\"q\",\"paused\":true,\"raw\":false,\"pattern\":\"x\",\"wrong\":[]}]", "b");
    json_t *row = json_array_get(all, 0);
    ck_assert(json_is_true(json_object_get(row, "paused")));
    ck_assert(json_is_true(json_object_get(row, "raw")));
    ck_assert_str_eq(json_string_value(json_object_get(row, "pattern")), "x");
}
END_TEST

START_TEST(a_queue_that_only_one_has_is_shown)
{
    status("[{\"queue\":\"p\",\"waiting\":1,\"wrong\":[]}]", "a");
    status("[{\"queue\":\"q\",\"waiting\":2,\"wrong\":[]}]", "b");
    is("[{\"queue\":\"p\",\"servers\":[{\"queue\":\"p\",\"server\":\"a\",\"waiting\":1,\"wrong\":"
       "[]}],\"waiting\":1,\"wrong\":[]},"
       "{\"queue\":\"q\",\"servers\":[{\"queue\":\"q\",\"server\":\"b\",\"waiting\":2,\"wrong\":"
       "[]}],\"waiting\":2,\"wrong\":[]}]");
}
END_TEST

START_TEST(what_is_wrong_says_where)
{
    status("[{\"queue\":\"q\",\"wrong\":[\"x is no list\"]}]", "a");
    status("[{\"queue\":\"q\",\"wrong\":[\"y is no set\",\"z\"]}]", "b");
    json_t *row = json_array_get(all, 0);
    char *text = json_dumps(json_object_get(row, "wrong"), JSON_COMPACT);
    ck_assert_str_eq(text, "[\"a: x is no list\",\"b: y is no set\",\"b: z\"]");
    free(text);
}
END_TEST

/* A facet that two have is seen once. */
START_TEST(facets_of_all)
{
    sweep("{\"seen\":2,\"age_ms\":1,\"whole\":true,\"facets\":["
          "{\"facet\":\"f\",\"waiting\":3,\"weight\":2,\"oldest_ms\":4},"
          "{\"facet\":\"g\",\"waiting\":1,\"weight\":1,\"oldest_ms\":null}]}",
          "a");
    sweep("{\"seen\":2,\"age_ms\":6,\"whole\":true,\"facets\":["
          "{\"facet\":\"h\",\"waiting\":9,\"weight\":1,\"oldest_ms\":1},"
          "{\"facet\":\"f\",\"waiting\":4,\"weight\":1,\"oldest_ms\":8}]}",
          "b");
    is("{\"age_ms\":6,\"facets\":["
       "{\"facet\":\"f\",\"oldest_ms\":8,\"servers\":[\"a\",\"b\"],\"waiting\":7,\"weight\":2},"
       "{\"facet\":\"g\",\"oldest_ms\":null,\"servers\":[\"a\"],\"waiting\":1,\"weight\":1},"
       "{\"facet\":\"h\",\"oldest_ms\":1,\"servers\":[\"b\"],\"waiting\":9,\"weight\":1}],"
       "\"seen\":3,\"whole\":true}");
}
END_TEST

START_TEST(what_one_has_not_seen_whole_is_not_whole)
{
    sweep("{\"seen\":1,\"age_ms\":1,\"whole\":true,\"facets\":[]}", "a");
    sweep("{\"seen\":1,\"age_ms\":1,\"whole\":false,\"facets\":[]}", "b");
    sweep("{\"seen\":1,\"age_ms\":1,\"whole\":true,\"facets\":[]}", "c");
    is("{\"age_ms\":1,\"facets\":[],\"seen\":3,\"whole\":false}");
}
END_TEST

/* The facets as they stand, blanks between. */
static const char *order(void)
{
    static char text[64];
    size_t i;
    json_t *facet;
    text[0] = '\0';
    json_array_foreach(json_object_get(all, "facets"), i, facet)
    {
        strcat(text, i > 0 ? " " : "");
        strcat(text, json_string_value(json_object_get(facet, "facet")));
    }
    return text;
}

START_TEST(the_first_by_a_number)
{
    sweep("{\"seen\":3,\"age_ms\":1,\"whole\":true,\"facets\":["
          "{\"facet\":\"f\",\"waiting\":1,\"in_flight\":5,\"oldest_ms\":null},"
          "{\"facet\":\"g\",\"waiting\":2,\"in_flight\":3,\"oldest_ms\":7},"
          "{\"facet\":\"h\",\"waiting\":3,\"in_flight\":4,\"oldest_ms\":6}]}",
          "a");
    ck_assert(ctl_queue_merge_cut(all, 10, "waiting"));
    ck_assert_str_eq(order(), "h g f");
    ck_assert(ctl_queue_merge_cut(all, 10, "in_flight"));
    ck_assert_str_eq(order(), "f h g");
    ck_assert(ctl_queue_merge_cut(all, 2, "oldest"));
    ck_assert_str_eq(order(), "g h");
    ck_assert(ctl_queue_merge_cut(all, 0, "oldest"));
    ck_assert_str_eq(order(), "");
}
END_TEST

START_TEST(ids_and_receipts_name_their_server)
{
    all = from_text("[{\"id\":\"12\",\"body\":\"x\"},{\"receipt\":\"12.1\"},{\"receipt\":\"\"}]");
    ck_assert(ctl_queue_merge_mark(all, "b"));
    is("[{\"body\":\"x\",\"id\":\"12@b\",\"server\":\"b\"},{\"receipt\":\"12.1@b\",\"server\":"
       "\"b\"},{\"receipt\":\"\",\"server\":\"b\"}]");
}
END_TEST

START_TEST(counts_are_added)
{
    json_t *one = from_text("{\"acked\":2,\"lost\":1}"), *other = from_text("{\"acked\":3}");
    all = json_object();
    ck_assert(ctl_queue_merge_counts(all, one) && ctl_queue_merge_counts(all, other));
    is("{\"acked\":5,\"lost\":1}");
    json_decref(one);
    json_decref(other);
}
END_TEST

SUITE_MAIN_WITH("ctl_queue_merge", NULL, tear_down, numbers_are_added_and_times_are_the_longest,
                what_is_so_on_one_is_so, a_queue_that_only_one_has_is_shown,
                what_is_wrong_says_where, facets_of_all, what_one_has_not_seen_whole_is_not_whole,
                the_first_by_a_number, ids_and_receipts_name_their_server, counts_are_added)
