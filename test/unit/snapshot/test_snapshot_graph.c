/* test_snapshot_graph.c: what `graph` draws of resources (ctl_snapshot_graph.c). */
#include "master/ctl/ctl_graph.h"
#include "test/unit/ctl/ctl_render_fixture.h"

START_TEST(resources_and_what_they_are_made_from)
{
    ctl_graph_snapshot_render(
        from_json("{\"snapshots\":[{\"store\":\"plan\",\"resources\":["
                  "{\"resource\":\"raw\",\"state\":\"ok\",\"inputs\":[]},"
                  "{\"resource\":\"app\",\"state\":\"held\",\"inputs\":[\"clean\",\"raw\"]}]}]}"),
        &out);
    ck_assert_str_eq(shown(),
                     "    subgraph \"cluster_resources plan\" {\n"
                     "        label=\"resources of plan\";\n"
                     "        \"resource raw\" [shape=ellipse, style=filled, label=\"raw\\nok\", "
                     "fillcolor=palegreen];\n"
                     "        \"resource app\" [shape=ellipse, style=filled, label=\"app\\nheld\", "
                     "fillcolor=salmon];\n"
                     "        \"resource clean\" -> \"resource app\";\n"
                     "        \"resource raw\" -> \"resource app\";\n"
                     "    }\n");
}
END_TEST

START_TEST(a_store_that_is_away_says_why)
{
    ctl_graph_snapshot_render(from_json("{\"snapshots\":[{\"store\":\"plan\",\"resources\":[],"
                                        "\"error\":\"no \\\"store\\\"\\u001b[31m is ready\"}]}"),
                              &out);
    ck_assert_str_eq(shown(), "    subgraph \"cluster_resources plan\" {\n"
                              "        label=\"resources of plan: no ?store??[31m is ready\";\n"
                              "    }\n");
}
END_TEST

START_TEST(nothing_without_snapshots)
{
    ctl_graph_snapshot_render(from_json("{\"name\":\"platoon\"}"), &out);
    ck_assert_uint_eq(out.len, 0);
}
END_TEST

SUITE_MAIN_WITH("snapshot_graph", NULL, teardown, resources_and_what_they_are_made_from,
                a_store_that_is_away_says_why, nothing_without_snapshots)
