/*
 * queue.h: the lists of the queues on plain Redis: their scripts.
 *
 * What the columns of each list mean: proto/systems.h. What is in Redis, what each script is for, and what is promised:
 * BACKBONE.md. The same scripts are functions of the library `platoon` (queue_script.h).
 */
#ifndef PROTO_QUEUE_QUEUE_H
#define PROTO_QUEUE_QUEUE_H

/* clang-format off */
/* What each script begins with; what settles messages; hands them out; brings them in; shows the dead; registers. */
#define QUEUE_PARTS_LIB  "redis/call.lua queue/queue_turns.lua queue/queue_lib.lua"
#define QUEUE_PARTS_BACK QUEUE_PARTS_LIB " queue/queue_settle.lua"
#define QUEUE_PARTS_HAND QUEUE_PARTS_BACK " queue/queue_hand.lua"
#define QUEUE_PARTS_PUSH "queue/queue_match.lua " QUEUE_PARTS_LIB " queue/queue_push.lua"
#define QUEUE_PARTS_DEAD QUEUE_PARTS_BACK " queue/queue_letters.lua"
#define QUEUE_PARTS_NAME "queue/queue_match.lua " QUEUE_PARTS_LIB
#define QUEUE_BEGIN      " queue/queue_begin.lua"

#define QUEUE_SCRIPTS(X) \
    X(QUEUE_DELIVER, queue_deliver, "queue/queue_deliver.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_DELIVER_MANY, queue_deliver_many, "queue/queue_deliver_many.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_INBOX_LOOK, queue_inbox_look, "queue/queue_inbox_look.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_INBOX_TAKE, queue_inbox_take, "queue/queue_inbox_take.lua", QUEUE_PARTS_PUSH QUEUE_BEGIN) \
    X(QUEUE_PULL, queue_pull, "queue/queue_pull.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_TAKE, queue_take, "queue/queue_take.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_ACK, queue_ack, "queue/queue_ack.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_AGAIN, queue_again, "queue/queue_again.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_BURY, queue_bury, "queue/queue_bury.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_RENEW, queue_renew, "queue/queue_renew.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_ADOPT, queue_adopt, "queue/queue_adopt.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_BACK, queue_back, "queue/queue_back.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_DISOWN, queue_disown, "queue/queue_disown.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_CLOCK, queue_clock, "queue/queue_clock.lua", QUEUE_PARTS_BACK QUEUE_BEGIN) \
    X(QUEUE_REGISTER, queue_register, "queue/queue_register.lua", QUEUE_PARTS_NAME QUEUE_BEGIN) \
    X(QUEUE_UNREGISTER, queue_unregister, "queue/queue_unregister.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_DESTROY, queue_destroy, "queue/queue_destroy.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_WEIGHT, queue_weight, "queue/queue_weight.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_CAP, queue_cap, "queue/queue_cap.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_PAUSE, queue_pause, "queue/queue_pause.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_STATUS, queue_status, "queue/queue_status.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_FACETS, queue_facets, "queue/queue_facets.lua", QUEUE_PARTS_LIB QUEUE_BEGIN) \
    X(QUEUE_PEEK, queue_peek, "queue/queue_peek.lua", QUEUE_PARTS_HAND QUEUE_BEGIN) \
    X(QUEUE_DEAD_LIST, queue_dead_list, "queue/queue_dead_list.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_SHOW, queue_dead_show, "queue/queue_dead_show.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_RETRY, queue_dead_retry, "queue/queue_dead_retry.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN) \
    X(QUEUE_DEAD_DROP, queue_dead_drop, "queue/queue_dead_drop.lua", QUEUE_PARTS_DEAD QUEUE_BEGIN)
/* clang-format on */

#endif
