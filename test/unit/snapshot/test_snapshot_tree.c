/* test_snapshot_tree.c: which nodes snapshots and web make, and what these are told. */
#include "test/unit/build/tree_build_fixture.h"

#include "test/unit/suite.h"

START_TEST(web_is_told_all_stores)
{
    build(PLATOON "snapshot plan { open = true  journal = 1MB }\n"
                  "snapshot other { public = \"/srv/pages\" }\n"
                  "resource a { snapshot = plan  path = in/a.tsv }\n"
                  "resource b { snapshot = other }\n"
                  "web { listen = \"127.0.0.1:9180\"  subscribers_max = 7 }\n");
    expect_workers(
        "snapshot/plan/store snapshot/plan/keeper snapshot/other/store snapshot/other/keeper web ");
    ck_assert_str_eq(setting("web", "web.listen"), "127.0.0.1:9180");
    ck_assert_str_eq(setting("web", "web.subscribers_max"), "7");
    ck_assert_str_eq(setting("web", "stores.0.name"), "plan");
    ck_assert_str_eq(setting("web", "stores.0.worker"), "snapshot/plan/store");
    ck_assert_str_eq(setting("web", "stores.0.open"), "1");
    ck_assert_str_eq(setting("web", "stores.0.journal"), "1048576");
    ck_assert_str_eq(setting("web", "stores.1.public"), "/srv/pages");
    ck_assert_str_eq(setting("web", "stores.1.open"), "0");
    ck_assert_str_eq(setting("web", "served.0.store"), "plan");
    ck_assert_str_eq(setting("web", "served.0.resource"), "a");
    ck_assert_str_eq(setting("web", "served.0.path"), "in/a.tsv");
    ck_assert_str_eq(setting("web", "served.1.resource"), "b");
}
END_TEST

/* Who makes is started behind who says so, who asks behind both. */
START_TEST(one_branch_a_section_in_start_order)
{
    build(PLATOON
          "redis main { url = \"redis://127.0.0.1/\" }\n"
          "snapshot plan { public = public  listen = \"unix:/run/plan.sock\" }\n"
          "snapshot told { notify = main }\n"
          "snapshot loud { nanomsg = true }\n"
          "resource raw { snapshot = plan  url = \"https://sheets.example/plan.tsv\"\n"
          "               every = 15m  fresh = 2h }\n"
          "resource holidays { snapshot = plan }\n"
          "resource clean { snapshot = plan  inputs = raw  command = \"bin/condition\" }\n"
          "resource app { snapshot = plan  inputs = \"clean holidays\"\n"
          "               command = \"bin/qplan\"  header = \"qplan app\"  timeout = 30s }\n"
          "web { listen = \"127.0.0.1:9180\" }\n");
    expect_workers("redis/send.1 snapshot/plan/store snapshot/plan/keeper snapshot/plan/raw "
                   "snapshot/plan/clean snapshot/plan/app snapshot/plan/whatif.1 "
                   "snapshot/plan/gate snapshot/told/store snapshot/told/keeper "
                   "snapshot/told/gate snapshot/loud/store snapshot/loud/keeper "
                   "snapshot/loud/gate web ");
}
END_TEST

START_TEST(no_web_without_an_address)
{
    build(PLATOON "snapshot plan { }\nresource a { }\n");
    expect_workers("snapshot/plan/store snapshot/plan/keeper ");
}
END_TEST

START_TEST(whatifs_are_told_what_makes_what)
{
    build(PLATOON
          "snapshot plan { whatifs = 2 }\n"
          "snapshot other { }\n"
          "snapshot none { whatifs = 0 }\n"
          "resource raw { snapshot = plan  command = \"pull me\" }\n"
          "resource a { snapshot = plan  inputs = raw  command = \"make it 'so and so'\"\n"
          "             size_max = 1MB  timeout = 2s  environment = \"A=1 B=2\"  nice = 3 }\n"
          "resource b { snapshot = plan  inputs = a  command = cat  directory = /tmp }\n"
          "resource c { snapshot = other }\n"
          "resource d { snapshot = none }\n"
          "resource e { snapshot = none  inputs = d  command = cat }\n");
    expect_workers("snapshot/plan/store snapshot/plan/keeper snapshot/plan/raw snapshot/plan/a "
                   "snapshot/plan/b snapshot/plan/whatif.1 snapshot/plan/whatif.2 "
                   "snapshot/other/store snapshot/other/keeper "
                   "snapshot/none/store snapshot/none/keeper snapshot/none/e ");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "snapshot.name"), "plan");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.name"), "a");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.argv.2"), "so and so");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.env.1"), "B=2");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.nice"), "3");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.timeout"), "2000");
    ck_assert_str_eq(setting("snapshot/plan/whatif.2", "steps.0.size_max"), "1048576");
    ck_assert_str_eq(setting("snapshot/plan/whatif.1", "steps.1.dir"), "/tmp");
    ck_assert_ptr_null(setting("snapshot/plan/whatif.1", "steps.2.name"));
    ck_assert_ptr_null(setting("snapshot/plan/a", "steps.0.name"));
    ck_assert_str_eq(setting("snapshot/plan/a", "command.argv.2"), "so and so");
}
END_TEST

SUITE_MAIN_WITH("snapshot_tree", start, finish, one_branch_a_section_in_start_order,
                no_web_without_an_address, web_is_told_all_stores, whatifs_are_told_what_makes_what)
