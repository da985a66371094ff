/*
 * queue_consumer.c: a consumer that is done with each task at once; scripts/bench/queue has it take from a queue.
 *
 * The interface of etc/examples/indexer and nothing else: what is measured is the way of a message out of Redis,
 * through the queue worker, to a consumer in C, and that of its ack back.
 */
#include "workers/skeleton/worker.h"

static void consumer_on_task(struct worker *w, void *state, const struct worker_task *task)
{
    (void)state;
    worker_task_done(w, task->id);
}

const struct worker_ops worker_ops = {.type = "queue-consumer",
                                      .mailbox = &worker_mailbox,
                                      .tasks = &worker_tasks,
                                      .on_task = consumer_on_task};
