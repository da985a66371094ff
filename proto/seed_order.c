/* seed_order.c: see seed_order.h. */
#include "proto/seed_order.h"

#include "common/pack.h"
#include "common/unpack.h"

#include <limits.h>

void seed_hello_pack(struct buffer *out, uint64_t version)
{
    pack_array(out, 1);
    pack_u64(out, version);
}

bool seed_hello_unpack(struct slice packet, uint64_t *version)
{
    struct unpack u = unpack_start(packet);
    if (unpack_array(&u) != 1)
        return false;
    *version = unpack_u64(&u);
    return unpack_end(&u);
}

void seed_order_pack(struct buffer *out, const struct seed_order *order)
{
    pack_array(out, 3);
    pack_str(out, order->name);
    pack_u64(out, order->generation);
    pack_str(out, order->log_level);
}

bool seed_order_unpack(struct slice packet, struct seed_order *order)
{
    struct unpack u = unpack_start(packet);
    if (unpack_array(&u) != 3)
        return false;
    order->name = unpack_str(&u);
    order->generation = unpack_u64(&u);
    order->log_level = unpack_str(&u);
    return unpack_end(&u);
}

void seed_answer_pack(struct buffer *out, const struct seed_answer *answer)
{
    pack_array(out, 2);
    pack_u64(out, answer->pid);
    pack_u64(out, answer->error);
}

bool seed_answer_unpack(struct slice packet, struct seed_answer *answer)
{
    struct unpack u = unpack_start(packet);
    if (unpack_array(&u) != 2)
        return false;
    answer->pid = unpack_u64(&u);
    answer->error = unpack_u64(&u);
    return unpack_end(&u) && answer->pid <= INT_MAX && answer->error <= INT_MAX;
}
