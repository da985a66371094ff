/*
 * snapshot_keeper_cut.c: what is older than `keep` is cut off. See snapshot_keeper.h and snapshot_cut.h.
 *
 * In this order, so that a death in between keeps too much, never too little: the references, the file shallow, and
 * then the packs are written anew without what nothing leads to.
 */
#include "workers/snapshot/snapshot_keeper.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/log.h"
#include "common/text.h"

#include <inttypes.h>
#include <string.h>

#define CUT_MS      (3600u * 1000)
#define CUT_LOOK_MS (600u * 1000)

/* The word up to the next blank; *line is what stands behind that. */
static struct slice cut_word(struct slice *line)
{
    const char *end = memchr(line->ptr, ' ', line->len);
    size_t len = end != NULL ? (size_t)(end - line->ptr) : line->len;
    struct slice word = slice_make(line->ptr, len);
    *line = slice_make(line->ptr + len + (end != NULL), line->len - len - (end != NULL));
    return word;
}

static void cut_short(struct keeper *k)
{
    worker_exit(k->w, CONTRACT_EXIT_SHORT, "memory is short for which versions are kept");
}

static void cut_on_commit(struct keeper *k, struct slice line)
{
    uint64_t time_s;
    struct slice id = cut_word(&line);
    if (text_parse_u64(cut_word(&line), &time_s) != 0 || time_s > INT64_MAX)
        return; /* not one of ours */
    if (!snapshot_cut_commit(k->cut, id, (int64_t)time_s, line))
        cut_short(k);
}

/* What a mirror had that is none any more would lead to what is cut off. */
static bool cut_is_left(const struct keeper *k, struct slice name)
{
    const size_t len = strlen(KEEPER_MIRRORED);
    return name.len > len && memcmp(name.ptr, KEEPER_MIRRORED, len) == 0 &&
           (k->mirror[0] == '\0' || !slice_is(name, k->mirror_ref));
}

static void cut_on_ref(struct keeper *k, struct slice line)
{
    struct slice name = cut_word(&line);
    if (cut_is_left(k, name) ? !snapshot_cut_delete(k->cut, name)
                             : !snapshot_cut_ref(k->cut, name, line))
        cut_short(k);
}

static void cut_finished(struct keeper *k)
{
    struct keeper_disk disk;
    keeper_measure(k, &disk);
    log_info("snapshot-cut", "path=%s bytes=%" PRIu64, log_quote_text(k->path), disk.bytes);
    k->has_cut = true;
    keeper_done(k);
}

static void cut_prune(struct keeper *k)
{
    keeper_prune(k, cut_finished);
}

static void cut_repack(struct keeper *k)
{
    keeper_git(k, &(struct keeper_git){.words = {"repack", "-q", "-A", "-d", "-l",
                                                 "--unpack-unreachable=1.hour.ago"},
                                       .timeout_ms = CUT_MS,
                                       .next = cut_prune});
}

static void cut_shallow(struct keeper *k)
{
    struct buffer refs = BUFFER_EMPTY, shallow = BUFFER_EMPTY;
    (void)FAULT_POINT("snapshot.after-refs", slice_of(""));
    if (!snapshot_cut_end(k->cut, &refs, &shallow))
        cut_short(k);
    bool same = slice_equal(buffer_slice(&shallow), buffer_slice(&k->shallow));
    int rc = same ? 0 : keeper_write_shallow(k, buffer_slice(&shallow));
    buffer_fini(&refs);
    buffer_fini(&shallow);
    (void)FAULT_POINT("snapshot.after-shallow", slice_of(""));
    if (rc != 0)
        keeper_fail(k, "%s/shallow: cannot be written: %s", k->path, strerror(-rc));
    else if (same && (k->has_cut || k->shallow.len == 0))
        keeper_done(k);
    else
        cut_repack(k);
}

static void cut_refs(struct keeper *k)
{
    struct buffer refs = BUFFER_EMPTY, shallow = BUFFER_EMPTY;
    if (!snapshot_cut_end(k->cut, &refs, &shallow))
        cut_short(k);
    if (refs.len == 0)
        cut_shallow(k);
    else
        keeper_git(k, &(struct keeper_git){.words = {"update-ref", "--stdin"},
                                           .input = buffer_slice(&refs),
                                           .timeout_ms = CUT_LOOK_MS,
                                           .next = cut_shallow});
    buffer_fini(&refs);
    buffer_fini(&shallow);
}

static void cut_look_refs(struct keeper *k)
{
    k->cut_waits = snapshot_cut_waits(k->cut);
    keeper_git(
        k, &(struct keeper_git){.words = {"for-each-ref", "--format=%(refname) %(objectname)",
                                          SNAPSHOT_CUT_NEWEST, SNAPSHOT_CUT_DAILY, KEEPER_MIRRORED},
                                .timeout_ms = CUT_LOOK_MS,
                                .on_line = cut_on_ref,
                                .next = cut_refs});
}

static void cut_begin(struct keeper *k)
{
    const struct snapshot_cut_options options = {.now_s = (int64_t)(clock_wall_ms() / 1000),
                                                 .keep_s = (int64_t)(k->keep_ms / 1000),
                                                 .daily_s = (int64_t)(k->daily_ms / 1000),
                                                 .shallow = buffer_slice(&k->shallow),
                                                 .mirrors = k->mirror[0] != '\0',
                                                 .mirrored = slice_of(k->mirrored.id)};
    snapshot_cut_free(k->cut);
    k->cut = snapshot_cut_new(&options);
    if (k->cut == NULL)
        cut_short(k);
    keeper_git(k,
               &(struct keeper_git){.words = {"log", "--first-parent", "--ignore-missing",
                                              "--format=%H %ct %s", "--end-of-options", k->branch},
                                    .timeout_ms = CUT_LOOK_MS,
                                    .on_line = cut_on_commit,
                                    .next = cut_look_refs});
}

static void cut_on_mirror(struct keeper *k, struct slice line)
{
    if (!slice_copy(line, k->mirrored.id, sizeof k->mirrored.id))
        k->mirrored.id[0] = '\0';
}

/* What the mirror has is as it was noted behind the last push. */
static void cut_look_mirror(struct keeper *k)
{
    k->mirrored.id[0] = '\0';
    keeper_git(
        k, &(struct keeper_git){.words = {"for-each-ref", "--format=%(objectname)", k->mirror_ref},
                                .timeout_ms = CUT_LOOK_MS,
                                .on_line = cut_on_mirror,
                                .next = cut_begin});
}

void keeper_cut(struct keeper *k)
{
    int rc = keeper_read_shallow(k, &k->shallow);
    if (rc != 0)
        keeper_fail(k, "%s/shallow: cannot be read: %s", k->path, strerror(-rc));
    else if (k->mirror[0] != '\0')
        cut_look_mirror(k);
    else
        cut_begin(k);
}
