/*
 * test_ctl_queue_several.c: which servers of a backbone are asked what (ctl_queue_several.c), and what is said of their
 * answers. The servers are played: the file is compiled into this one, over the one call that reaches them.
 */
#include "master/ctl/queue/ctl_queue_several.c"

#include "test/unit/suite.h"

#define SERVERS 3

static struct ctl c;
static struct ctl_queue_servers servers;
static const char *answers[SERVERS]; /* JSON; "!WHY": it fails */
static char asked[256];              /* "a(x y) b(x y) " */
static json_t *answer;

int ctl_queue_server_ask(struct ctl *ctl, const struct ctl_queue_server *server, uint64_t deadline,
                         const char *verb, size_t count, const struct slice *args, json_t **out,
                         struct buffer *why)
{
    size_t i = (size_t)(server->name[0] - 'a'), used = strlen(asked);
    (void)ctl, (void)deadline, (void)verb;
    used += (size_t)snprintf(asked + used, sizeof asked - used, "%s(", server->name);
    for (size_t k = 0; k < count; k++)
        used += (size_t)snprintf(asked + used, sizeof asked - used, "%s%.*s", k > 0 ? " " : "",
                                 (int)args[k].len, args[k].ptr);
    snprintf(asked + used, sizeof asked - used, ") ");
    if (answers[i][0] == '!') {
        buffer_append_text(why, answers[i] + 1);
        return CONTROL_ERROR;
    }
    *out = json_loads(answers[i], JSON_DECODE_ANY, NULL);
    ck_assert_ptr_nonnull(*out);
    return CONTROL_OK;
}

static void set_up(void)
{
    servers = (struct ctl_queue_servers){.list = {{.name = "a", .worker = "w1"},
                                                  {.name = "b", .worker = "w2"},
                                                  {.name = "c", .worker = "w3"}},
                                         .count = SERVERS};
}

static void tear_down(void)
{
    json_decref(answer);
    answer = NULL;
}

/* Asks with these words, each with one blank behind it. */
static int ask(const char *verb, const char *text)
{
    static char words[200];
    struct slice args[8];
    size_t count = 0;
    snprintf(words, sizeof words, "%s", text);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        args[count++] = slice_of(word);
    asked[0] = '\0';
    tear_down();
    return ctl_queue_servers_ask(&c, &servers, verb, count, args, &answer);
}

static void answered(const char *a, const char *b, const char *third)
{
    answers[0] = a, answers[1] = b, answers[2] = third;
}

static void is(const char *expected)
{
    char *text = json_dumps(answer, JSON_COMPACT | JSON_SORT_KEYS);
    ck_assert_ptr_nonnull(text);
    ck_assert_str_eq(text, expected);
    free(text);
}

START_TEST(all_do_it_and_all_must)
{
    answered("{\"was\":1}", "{\"was\":2}", "{\"was\":1}");
    ck_assert_int_eq(ask("queue-weight", "q f 3"), CONTROL_OK);
    ck_assert_str_eq(asked, "a(q f 3) b(q f 3) c(q f 3) ");
    is("{\"servers\":[{\"server\":\"a\",\"was\":1},{\"server\":\"b\",\"was\":2},{\"server\":\"c\","
       "\"was\":1}],\"was\":1}");
    answered("{\"was\":1}", "!it is away", "{\"was\":1}");
    ck_assert_int_eq(ask("queue-weight", "q f 3"), CONTROL_ERROR);
    ck_assert_str_eq(asked, "a(q f 3) b(q f 3) c(q f 3) ");
    ck_assert_ptr_null(answer);
}
END_TEST

/* Who looks sees what there is to be seen. */
START_TEST(one_that_is_away_hides_no_other)
{
    answered("[{\"id\":\"1\"}]", "!it is away", "[{\"id\":\"1\"}]");
    ck_assert_int_eq(ask("queue-peek", "q 1"), CONTROL_OK);
    is("[{\"id\":\"1@a\",\"server\":\"a\"},{\"id\":\"1@c\",\"server\":\"c\"}]");
    answered("!away", "!away", "!away");
    ck_assert_int_eq(ask("queue-peek", "q 1"), CONTROL_ERROR);
    ck_assert_int_eq(ask("queue-status", "q"), CONTROL_ERROR);
}
END_TEST

START_TEST(facets_are_cut_behind_all)
{
    answered("{\"seen\":1,\"whole\":true,\"facets\":[{\"facet\":\"f\",\"waiting\":1}]}",
             "{\"seen\":1,\"whole\":true,\"facets\":[{\"facet\":\"g\",\"waiting\":2}]}",
             "{\"seen\":1,\"whole\":true,\"facets\":[{\"facet\":\"h\",\"waiting\":3}]}");
    ck_assert_int_eq(ask("queue-facets", "q 2 waiting"), CONTROL_OK);
    json_t *facets = json_object_get(answer, "facets");
    ck_assert_uint_eq(json_array_size(facets), 2);
    ck_assert_str_eq(ctl_value_text(json_array_get(facets, 0), "facet"), "h");
    ck_assert_str_eq(ctl_value_text(json_array_get(facets, 1), "facet"), "g");
}
END_TEST

START_TEST(a_receipt_goes_to_its_server)
{
    answered("{\"acked\":2}", "!not asked", "{\"acked\":0,\"lost\":1}");
    ck_assert_int_eq(ask("queue-ack", "q 1.1@a 1.1@c 2.1@a"), CONTROL_OK);
    ck_assert_str_eq(asked, "a(q 1.1 2.1) c(q 1.1) ");
    is("{\"acked\":2,\"lost\":1}");
    ck_assert_int_eq(ask("queue-again", "q -1 why 1.1@c"), CONTROL_OK);
    ck_assert_str_eq(asked, "c(q -1 why 1.1) ");
}
END_TEST

START_TEST(a_receipt_of_no_server_is_asked_of_nobody)
{
    answered("{}", "{}", "{}");
    ck_assert_int_eq(ask("queue-ack", "q 1.1"), CONTROL_USAGE);
    ck_assert_int_eq(ask("queue-ack", "q 1.1@a 1.1@d"), CONTROL_USAGE);
    ck_assert_int_eq(ask("queue-ack", "q 1.1@"), CONTROL_USAGE);
    ck_assert_str_eq(asked, "");
}
END_TEST

START_TEST(all_letters_are_everybodys)
{
    answered("{\"count\":1}", "{\"count\":0}", "{\"count\":4}");
    ck_assert_int_eq(ask("queue-dead-drop", "q all"), CONTROL_OK);
    ck_assert_str_eq(asked, "a(q all) b(q all) c(q all) ");
    is("{\"count\":5}");
}
END_TEST

/* Each begins somewhere else, and the first that has something is the last that is asked. */
START_TEST(a_pull_goes_on_until_somebody_has_something)
{
    bool first[SERVERS] = {false};
    answered("[]", "[{\"receipt\":\"7.1\"}]", "[]");
    for (int i = 0; i < 200; i++) {
        ck_assert_int_eq(ask("queue-pull", "me 1 q"), CONTROL_OK);
        is("[{\"receipt\":\"7.1@b\",\"server\":\"b\"}]");
        ck_assert_str_eq(asked + strlen(asked) - strlen("b(me 1 q) "), "b(me 1 q) ");
        first[asked[0] - 'a'] = true;
    }
    ck_assert(first[0] && first[1] && first[2]);
    answered("[]", "[]", "[]");
    ck_assert_int_eq(ask("queue-pull", "me 1 q"), CONTROL_OK);
    is("[]");
}
END_TEST

START_TEST(a_delivery_goes_to_another_only_when_it_is_surely_not_there)
{
    answered("!" DELIVERY_NOT_QUEUED ": it is away", "{\"id\":\"1@b\"}",
             "!" DELIVERY_NOT_QUEUED ": it is full");
    for (int i = 0; i < 50; i++) {
        ck_assert_int_eq(ask("queue-deliver", "t f x"), CONTROL_OK);
        is("{\"id\":\"1@b\"}");
    }
    answered("!whether it is queued is unknown", "!whether it is queued is unknown",
             "!whether it is queued is unknown");
    ck_assert_int_eq(ask("queue-deliver", "t f x"), CONTROL_ERROR);
    ck_assert_ptr_eq(strchr(asked, ')'), asked + strlen(asked) - 2); /* of one only */
}
END_TEST

/* Nobody is asked of whom no worker is ready. */
START_TEST(who_has_no_worker_gets_no_delivery)
{
    answered("!" DELIVERY_NOT_QUEUED ": it is away", "!" DELIVERY_NOT_QUEUED ": it is away",
             "{\"id\":\"1@c\"}");
    servers.list[0].worker[0] = servers.list[1].worker[0] = '\0';
    ck_assert_int_eq(ask("queue-deliver", "t f x"), CONTROL_OK);
    ck_assert_str_eq(asked, "c(t f x) ");
    servers.list[2].worker[0] = '\0';
    ck_assert_int_eq(ask("queue-deliver", "t f x"), CONTROL_ERROR);
    ck_assert_str_eq(asked, "");
}
END_TEST

START_TEST(what_nobody_knows_is_asked_of_nobody)
{
    ck_assert_int_eq(ask("queue-what", "q"), CONTROL_USAGE);
    ck_assert_str_eq(asked, "");
}
END_TEST

SUITE_MAIN_WITH("ctl_queue_several", set_up, tear_down, all_do_it_and_all_must,
                one_that_is_away_hides_no_other, facets_are_cut_behind_all,
                a_receipt_goes_to_its_server, a_receipt_of_no_server_is_asked_of_nobody,
                all_letters_are_everybodys, a_pull_goes_on_until_somebody_has_something,
                a_delivery_goes_to_another_only_when_it_is_surely_not_there,
                who_has_no_worker_gets_no_delivery, what_nobody_knows_is_asked_of_nobody)
