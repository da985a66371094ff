/*
 * cache_behind_answer.c: what came of a put: stored, to be tried again, or a dead letter. See cache_behind_private.h.
 */
#include "workers/cache/cache_behind_private.h"

#include "workers/cache/backing/backing_retry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define BEHIND_AWAY_FEW 4u     /* so many must be taken for each that is AWAY, or it is the store */
#define BEHIND_ASKED_MS 30000u /* a store that asks for more time is looked at before */

static void behind_begin(struct cache_behind *b)
{
    if (b->timed)
        cache_db_begin(b->db, cache_behind_wall_us(), cache_behind_now(b));
}

static void behind_changed(struct cache_behind *b)
{
    cache_behind_soon(b);
    if (b->options.on_change != NULL)
        b->options.on_change(b->options.ctx);
}

/* It is under way no more. */
static void behind_land(struct cache_behind *b, struct behind_put *p)
{
    cache_behind_pull(&b->flying, p);
    b->flying_bytes -= p->value_len;
    cache_db_charge(b->db, -(ptrdiff_t)p->value_len);
    free(p->value);
    p->value = NULL;
    p->call = NULL;
}

static void behind_kept(struct cache_behind *b, const struct behind_put *p)
{
    if (b->options.on_kept != NULL)
        b->options.on_kept(b->options.ctx, cache_stray_key(cache_behind_key(p)), p->meta.version);
}

static void behind_taken(struct cache_behind *b, struct behind_put *p)
{
    cache_pace_answered(&b->pace);
    cache_behind_is_sure(b);
    behind_kept(b, p);
    b->counts.stores++;
    struct slice key = cache_behind_key(p);
    bool clean = cache_db_stored(b->db, key, p->meta.version, p->asked);
    if ((!clean || cache_stray_is(key)) && b->options.on_stored != NULL)
        b->options.on_stored(b->options.ctx, cache_stray_key(key), p->meta.version);
    cache_behind_end(p);
}

static void behind_dead(struct cache_behind *b, struct behind_put *p,
                        const struct backing_answer *answer)
{
    uint64_t above = answer->result == BACKING_NEWER ? answer->meta.version : 0;
    char why[BACKING_WHY_SIZE];
    bool stray = cache_stray_is(cache_behind_key(p));
    snprintf(why, sizeof why, "%s", answer->why);
    if (answer->result == BACKING_NEWER && why[0] == '\0')
        snprintf(why, sizeof why,
                 "the store has version %" PRIu64 ", which is newer than %" PRIu64 ": %s", above,
                 p->meta.version,
                 stray ? "this node had lost it, and another node has written it since"
                       : "somebody else has written it");
    if (above > p->meta.version)
        behind_kept(b, p);
    if (cache_db_give_up(b->db, cache_behind_key(p), p->meta.version, above))
        cache_behind_note_letter(b, cache_behind_key(p), why);
    cache_behind_end(p);
}

/*
 * Others that the store took since its first failure, which speak against this object. Where not only this one is AWAY
 * it is the store that fails now and then, and none of them is at fault.
 */
static uint64_t behind_others(const struct cache_behind *b, const struct behind_put *p,
                              enum backing_result result)
{
    uint64_t taken = b->counts.stores - p->others_taken;
    uint64_t away = b->aways - p->others_away;
    uint64_t others = away > p->failures ? away - p->failures : 0;
    return result == BACKING_AWAY && others * BEHIND_AWAY_FEW > taken ? 0 : taken;
}

static void behind_again(struct cache_behind *b, struct behind_put *p,
                         const struct backing_answer *answer)
{
    uint64_t now = cache_behind_now(b), max = b->options.retry_max_ms;
    uint64_t most = max > BEHIND_ASKED_MS ? max : BEHIND_ASKED_MS;
    uint64_t asked = answer->retry_after_ms < most ? answer->retry_after_ms : most;
    if (p->failures == 0) {
        p->others_taken = b->counts.stores;
        p->others_away = b->aways;
    }
    p->failures++;
    b->aways += answer->result == BACKING_AWAY;
    if (backing_retry_is_dead(answer->result, p->failures, behind_others(b, p, answer->result))) {
        behind_dead(b, p, answer);
        return;
    }
    cache_pace_failed(&b->pace, now, asked, max, cache_behind_random(b));
    snprintf(b->why, sizeof b->why, "%s", answer->why);
    p->at_ms = now + backing_retry_pause(p->failures, asked, max, cache_behind_random(b));
    if (b->failed.count < BEHIND_FAILED_MAX) {
        cache_behind_push(&b->failed, p);
        return;
    }
    cache_db_give_back(b->db, cache_behind_key(p), false);
    cache_behind_end(p);
}

/* Without pauses for others: whether the store works is seen by what is put. */
void cache_behind_on_look(const struct backing_answer *answer, void *ctx)
{
    struct behind_put *p = ctx;
    struct cache_behind *b = p->b;
    bool told = answer->result == BACKING_DONE || answer->result == BACKING_ABSENT;
    bool asked = p->asked;
    struct backing_answer newer = {.result = BACKING_NEWER, .meta = answer->meta, .why = ""};
    behind_begin(b);
    behind_land(b, p);
    p->looks += p->looks < BEHIND_LOOK_MAX;
    p->asked = false;
    if (p->lost || cache_db_taken(b->db, cache_behind_key(p)) == NULL)
        cache_behind_end(p);
    else if (told && answer->meta.version > p->meta.version)
        behind_dead(b, p, &newer);
    else
        cache_behind_wait(b, p,
                          asked ? BEHIND_SHORT_MS : (uint64_t)BEHIND_LOOK_MS << (p->looks - 1));
    behind_changed(b);
}

static void behind_judge(struct cache_behind *b, struct behind_put *p,
                         const struct backing_answer *answer)
{
    switch (answer->result) {
    case BACKING_DONE:
        behind_taken(b, p);
        break;
    case BACKING_NEWER:
    case BACKING_REFUSED:
        cache_pace_answered(&b->pace);
        behind_dead(b, p, answer);
        break;
    default:
        behind_again(b, p, answer);
    }
}

void cache_behind_on_answer(const struct backing_answer *answer, void *ctx)
{
    struct behind_put *p = ctx;
    struct cache_behind *b = p->b;
    behind_begin(b);
    behind_land(b, p);
    b->counts.errors += answer->result != BACKING_DONE;
    if (p->lost)
        cache_behind_end(p);
    else
        behind_judge(b, p, answer);
    behind_changed(b);
}
