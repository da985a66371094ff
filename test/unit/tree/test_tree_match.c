/* test_tree_match.c: which workers a name stands for. */
#include "master/tree/tree_match.h"

#include "test/unit/suite.h"

START_TEST(test_a_name_a_branch_a_pattern_and_all)
{
    static const struct {
        const char *worker, *name;
        bool matches;
    } cases[] = {
        {"shop/send.1", "", true},
        {"shop/send.1", "shop/send.1", true},
        {"shop/send.1", "shop", true},
        {"shop/send.1/pet.2", "shop/send.1", true},
        {"shop/send.1", "shop/", false},
        {"shop/send.10", "shop/send.1", false},
        {"shopping/send.1", "shop", false},
        {"shop", "shop/send.1", false},
        {"shop/send.1", "*/send.?", true},
        {"shop/send.1", "*send*", true},
        {"shop/send.10", "shop/send.?", false},
        {"shop/send.1", "*/watcher.*", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        ck_assert_msg(tree_name_matches(cases[i].worker, cases[i].name) == cases[i].matches,
                      "%s for %s", cases[i].name, cases[i].worker);
}
END_TEST

SUITE_MAIN("tree_match", test_a_name_a_branch_a_pattern_and_all)
