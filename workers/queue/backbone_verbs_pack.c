/* backbone_verbs_pack.c: what all answers to what people ask are made with. See backbone_verbs.h. */
#include "workers/queue/backbone_verbs.h"

#include "common/pack.h"

void backbone_verbs_number(struct buffer *body, const char *key, uint64_t value)
{
    pack_text(body, key);
    pack_u64(body, value);
}

void backbone_verbs_span(struct buffer *body, const char *key, int64_t value)
{
    pack_text(body, key);
    if (value < 0)
        pack_nil(body);
    else
        pack_i64(body, value);
}

struct slice backbone_verbs_queue(struct verbs_call *call, struct slice queue)
{
    memcpy(call->queue, queue.ptr, queue.len);
    call->queue[queue.len] = '\0';
    return slice_make(call->queue, queue.len);
}
