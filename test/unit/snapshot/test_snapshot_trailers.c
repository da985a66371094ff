/* test_snapshot_trailers.c: what a version's commit says (workers/snapshot/snapshot_trailers.h). */
#include "workers/snapshot/snapshot_trailers.h"

#include "test/unit/suite.h"

static struct snapshot_trailers read_good(const char *message)
{
    struct snapshot_trailers t;
    ck_assert_msg(snapshot_trailers_read(slice_of(message), &t), "%s", message);
    return t;
}

START_TEST(what_is_written_is_read)
{
    struct buffer out = BUFFER_EMPTY;
    snapshot_trailers_write(&(struct snapshot_trailers){.resource = slice_of("work"),
                                                        .seq = 17,
                                                        .source = slice_of("put"),
                                                        .by = slice_of("uid 1000")},
                            &out);
    ck_assert_str_eq(buffer_text(&out), "work\n\nSeq: 17\nSource: put\nBy: uid 1000\n");
    struct snapshot_trailers t = read_good(buffer_text(&out));
    ck_assert(slice_is(t.resource, "work") && t.seq == 17 && slice_is(t.source, "put") &&
              slice_is(t.by, "uid 1000"));
    buffer_fini(&out);
}
END_TEST

/* No value is another's trailer, and none is endless. */
START_TEST(values_stay_in_their_lines)
{
    struct buffer out = BUFFER_EMPTY;
    char by[2000];
    memset(by, 'x', sizeof by);
    memcpy(by, "a\nSeq: 99\r", 10);
    snapshot_trailers_write(&(struct snapshot_trailers){.resource = slice_of("r"),
                                                        .seq = 1,
                                                        .source = slice_of("put"),
                                                        .by = slice_make(by, sizeof by)},
                            &out);
    struct snapshot_trailers t = read_good(buffer_text(&out));
    ck_assert_uint_eq(t.seq, 1);
    ck_assert_uint_eq(t.by.len, 1000);
    ck_assert_int_eq(memcmp(t.by.ptr, "a Seq: 99 x", 11), 0);
    buffer_fini(&out);
}
END_TEST

START_TEST(keys_of_later_builds_are_passed_over)
{
    struct snapshot_trailers t = read_good("r\n\nInput: x 3fa9\nSeq: 5\nSource: filter\nSeq: 6\n");
    ck_assert(t.seq == 5 && slice_is(t.source, "filter") && t.by.len == 0);
    t = read_good("r\n\nSeq: 5");
    ck_assert(t.seq == 5 && t.source.len == 0);
}
END_TEST

START_TEST(what_it_was_made_from)
{
    struct buffer out = BUFFER_EMPTY;
    struct snapshot_trailers t = {.resource = slice_of("app"),
                                  .seq = 7,
                                  .source = slice_of("filter"),
                                  .input_count = 2,
                                  .command = slice_of("sh -c 'a\nb'"),
                                  .timed = true,
                                  .duration_ms = 210};
    t.inputs[0] = (struct snapshot_trailer_input){slice_of("clean"), slice_of("3fa9")};
    t.inputs[1] = (struct snapshot_trailer_input){slice_of("holidays"), slice_of("40")};
    snapshot_trailers_write(&t, &out);
    ck_assert_str_eq(buffer_text(&out),
                     "app\n\nSeq: 7\nSource: filter\nInput: clean 3fa9\nInput: holidays 40\n"
                     "Command: sh -c 'a b'\nDuration-Ms: 210\n");
    struct snapshot_trailers again = read_good(buffer_text(&out));
    ck_assert_uint_eq(again.input_count, 2);
    ck_assert(slice_is(again.inputs[1].name, "holidays") && slice_is(again.inputs[1].commit, "40"));
    ck_assert(again.timed && again.duration_ms == 210);
    ck_assert(snapshot_trailers_keep(again.command, t.command));
    ck_assert(!snapshot_trailers_keep(again.command, slice_of("sh -c 'a c'")));
    ck_assert(!snapshot_trailers_keep(slice_of(""), t.command));
    buffer_fini(&out);
}
END_TEST

START_TEST(inputs_beyond_the_most_are_passed_over)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "r\n\nSeq: 1\nInput: without\n");
    for (int i = 0; i < 40; i++)
        buffer_printf(&text, "Input: i%d %d\n", i, i);
    struct snapshot_trailers t = read_good(buffer_text(&text));
    ck_assert_uint_eq(t.input_count, SNAPSHOT_INPUTS_MAX);
    ck_assert(slice_is(t.inputs[0].name, "i0"));
    buffer_fini(&text);
}
END_TEST

START_TEST(what_is_not_ours)
{
    static const char *const none[] = {"",
                                       "r",
                                       "r\n",
                                       "r\n\n",
                                       "r\n\nSeq: ",
                                       "r\n\nSeq: 0",
                                       "r\n\nSeq: x",
                                       "r\n\nSeq:5",
                                       "r\nmore\n\nSeq: 5",
                                       "\n\nSeq: 5",
                                       "r\n\nseq: 5",
                                       "r\n\nSeq: 99999999999999999999"};
    struct snapshot_trailers t;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        ck_assert_msg(!snapshot_trailers_read(slice_of(none[i]), &t), "%s", none[i]);
}
END_TEST

SUITE_MAIN("snapshot_trailers", what_is_written_is_read, values_stay_in_their_lines,
           keys_of_later_builds_are_passed_over, what_it_was_made_from,
           inputs_beyond_the_most_are_passed_over, what_is_not_ours)
