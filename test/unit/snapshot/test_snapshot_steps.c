/* test_snapshot_steps.c: which resources a what-if makes (workers/snapshot/snapshot_steps.h). */
#include "workers/snapshot/snapshot_steps.h"

#include "test/unit/suite.h"

#include <stdlib.h>

enum { RAW, HOLIDAYS, CLEAN, SIDE, APP, TOP, COUNT };

/* raw → clean → app ← holidays, raw → side, app → top ← side */
static struct policy_resource list[COUNT] = {
    [CLEAN] = {.made = true, .inputs = {RAW}, .input_count = 1},
    [SIDE] = {.made = true, .inputs = {RAW}, .input_count = 1},
    [APP] = {.made = true, .inputs = {CLEAN, HOLIDAYS}, .input_count = 2},
    [TOP] = {.made = true, .inputs = {APP, SIDE}, .input_count = 2},
};
static const struct policy policy = {.list = list, .count = COUNT};

/* Whether exactly these are steps, and exactly those are read; both as bits. */
static void expect(size_t wanted, unsigned given, unsigned steps, unsigned read)
{
    struct snapshot_mark marks[COUNT] = {{.given = false}};
    size_t idle;
    for (size_t i = 0; i < COUNT; i++)
        marks[i].given = (given >> i & 1) != 0;
    ck_assert(snapshot_steps_find(&policy, wanted, marks, &idle));
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_msg(marks[i].step == ((steps >> i & 1) != 0), "step %zu", i);
        ck_assert_msg(marks[i].read == ((read >> i & 1) != 0), "read %zu", i);
    }
}

static void refuse(size_t wanted, unsigned given, size_t who)
{
    struct snapshot_mark marks[COUNT] = {{.given = false}};
    size_t idle;
    for (size_t i = 0; i < COUNT; i++)
        marks[i].given = (given >> i & 1) != 0;
    ck_assert(!snapshot_steps_find(&policy, wanted, marks, &idle));
    ck_assert_uint_eq(idle, who);
}

#define BIT(i) (1u << (i))

START_TEST(from_what_is_given_to_what_is_wanted)
{
    expect(CLEAN, BIT(RAW), BIT(CLEAN), 0);
    expect(APP, BIT(RAW), BIT(CLEAN) | BIT(APP), BIT(HOLIDAYS));
    expect(APP, BIT(HOLIDAYS), BIT(APP), BIT(CLEAN));
    expect(TOP, BIT(RAW), BIT(CLEAN) | BIT(SIDE) | BIT(APP) | BIT(TOP), BIT(HOLIDAYS));
    expect(TOP, BIT(HOLIDAYS), BIT(APP) | BIT(TOP), BIT(CLEAN) | BIT(SIDE));
    expect(TOP, BIT(SIDE), BIT(TOP), BIT(APP));
}
END_TEST

START_TEST(what_is_given_is_not_made)
{
    expect(APP, BIT(RAW) | BIT(CLEAN), BIT(APP), BIT(HOLIDAYS));
    expect(APP, BIT(RAW) | BIT(CLEAN) | BIT(HOLIDAYS), BIT(APP), 0);
    expect(TOP, BIT(RAW) | BIT(APP), BIT(SIDE) | BIT(TOP), 0);
    expect(TOP, BIT(APP) | BIT(SIDE), BIT(TOP), 0);
}
END_TEST

START_TEST(what_it_is_not_made_from)
{
    refuse(APP, BIT(SIDE), SIDE);
    refuse(APP, BIT(APP), APP);
    refuse(APP, BIT(RAW) | BIT(TOP), TOP);
    refuse(SIDE, BIT(HOLIDAYS), HOLIDAYS);
    refuse(RAW, BIT(RAW), RAW);
}
END_TEST

/* Against the definition: one is a step when it is needed, not given, and reads something given or a step. */
START_TEST(any_graph)
{
    enum { MANY = 12 };
    srand(7);
    for (int n = 0; n < 3000; n++) {
        struct policy_resource some[MANY] = {{.made = false}};
        struct policy p = {.list = some, .count = MANY};
        struct snapshot_mark marks[MANY] = {{.given = false}};
        bool wanted[MANY] = {false}, needed[MANY] = {false}, changed[MANY] = {false};
        size_t of = (size_t)rand() % MANY, idle;
        for (size_t i = 1; i < MANY; i++)
            for (size_t k = 0; k < i; k++)
                if (rand() % 4 == 0)
                    some[i].inputs[some[i].input_count++] = k;
        wanted[of] = true;
        for (size_t i = MANY; i-- > 0;)
            for (size_t k = 0; wanted[i] && k < some[i].input_count; k++)
                wanted[some[i].inputs[k]] = true;
        bool good = true;
        for (size_t i = 0; i < MANY; i++) {
            marks[i].given = rand() % 3 == 0 && i != of && (wanted[i] || rand() % 20 == 0);
            good = good && (!marks[i].given || wanted[i]);
        }
        needed[of] = true;
        for (size_t i = MANY; i-- > 0;)
            for (size_t k = 0; needed[i] && !marks[i].given && k < some[i].input_count; k++)
                needed[some[i].inputs[k]] = true;
        ck_assert_int_eq(snapshot_steps_find(&p, of, marks, &idle), good);
        for (size_t i = 0; good && i < MANY; i++) {
            for (size_t k = 0; k < some[i].input_count; k++)
                changed[i] = changed[i] || changed[some[i].inputs[k]];
            bool step = needed[i] && !marks[i].given && changed[i];
            changed[i] = changed[i] || marks[i].given;
            ck_assert_int_eq(marks[i].step, step);
        }
    }
}
END_TEST

SUITE_MAIN("snapshot_steps", any_graph, from_what_is_given_to_what_is_wanted,
           what_is_given_is_not_made, what_it_is_not_made_from)
