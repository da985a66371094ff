/* snapshot_keeper_pack.c: loose objects become packs. See snapshot_keeper.h. */
#include "workers/snapshot/snapshot_keeper.h"

#define PACK_MS (3600u * 1000)

void keeper_prune(struct keeper *k, void (*next)(struct keeper *k))
{
    keeper_git(k, &(struct keeper_git){.words = {"prune", "--expire=1.hour.ago"},
                                       .timeout_ms = PACK_MS,
                                       .next = next});
}

/* Packs whose sizes grow by twos, so that what lies in a large one is seldom written again. */
static void pack_repack(struct keeper *k)
{
    keeper_git(k, &(struct keeper_git){.words = {"repack", "-q", "-d", "-l", "--geometric=2"},
                                       .timeout_ms = PACK_MS,
                                       .next = keeper_done});
}

/* Pruned first: what nobody names would come into a pack, too, and stay in it. */
void keeper_pack(struct keeper *k)
{
    keeper_prune(k, pack_repack);
}
