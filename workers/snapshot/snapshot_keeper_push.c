/* snapshot_keeper_push.c: what the mirror lacks is pushed there, and never forced. See snapshot_keeper.h. */
#include "workers/snapshot/snapshot_keeper.h"

#include "common/clock.h"
#include "common/fault.h"
#include "common/text.h"

#include <stdio.h>
#include <string.h>

#define PUSH_MS      (600u * 1000)
#define PUSH_LOOK_MS (60u * 1000)

/* "REF ID SEQ". */
static void push_on_ref(struct keeper *k, struct slice line)
{
    const char *end = memchr(line.ptr, ' ', line.len);
    const char *id = end != NULL ? end + 1 : NULL;
    const char *seq = id != NULL ? memchr(id, ' ', line.len - (size_t)(id - line.ptr)) : NULL;
    if (seq == NULL)
        return;
    struct slice name = slice_make(line.ptr, (size_t)(end - line.ptr));
    struct keeper_head *head = slice_is(name, k->mirror_ref) ? &k->mirrored : &k->head;
    slice_copy(slice_make(id, (size_t)(seq - id)), head->id, sizeof head->id);
    if (text_parse_u64(slice_make(seq + 1, line.len - (size_t)(seq + 1 - line.ptr)), &head->seq) !=
        0)
        head->seq = 0;
}

static void push_finished(struct keeper *k)
{
    k->mirrored = k->head;
    k->push_ms = 0;
    if (k->cut_waits)
        k->due_ms[KEEPER_CUT] = clock_mono_ms();
    k->cut_waits = false;
    keeper_done(k);
}

/* So that a keeper that is born later knows what it has, without asking the mirror. */
static void push_note(struct keeper *k)
{
    (void)FAULT_POINT("snapshot.after-push", slice_of(""));
    keeper_git(k, &(struct keeper_git){.words = {"update-ref", k->mirror_ref, k->head.id},
                                       .timeout_ms = PUSH_LOOK_MS,
                                       .next = push_finished});
}

static void push_now(struct keeper *k)
{
    char spec[400];
    if (k->head.id[0] == '\0' || strcmp(k->head.id, k->mirrored.id) == 0) {
        push_finished(k);
        return;
    }
    if (clock_mono_ms() < k->push_ms) { /* what the mirror lacks is known all the same */
        keeper_later(k);
        return;
    }
    snprintf(spec, sizeof spec, "%s:%s", k->head.id, k->branch);
    keeper_git(k, &(struct keeper_git){.words = {"push", "-q", "--", k->mirror, spec,
                                                 "refs/tags/daily/*:refs/tags/daily/*"},
                                       .timeout_ms = PUSH_MS,
                                       .next = push_note});
}

void keeper_push(struct keeper *k)
{
    k->head = k->mirrored = (struct keeper_head){.seq = 0};
    k->looked_ms = clock_mono_ms();
    keeper_git(
        k, &(struct keeper_git){
               .words = {"for-each-ref",
                         "--format=%(refname) %(objectname) %(contents:trailers:key=Seq,valueonly)",
                         k->branch, k->mirror_ref},
               .timeout_ms = PUSH_LOOK_MS,
               .on_line = push_on_ref,
               .next = push_now});
}
