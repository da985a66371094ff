/* web_subscriber.c: see web_subscriber.h. */
#include "workers/snapshot/web/web_subscriber.h"

#include "common/clock.h"

#include <stdlib.h>

void web_subscriber_said(struct web_subscriber *b)
{
    uint64_t events = web_reader_events(b->reader), resyncs = web_reader_resyncs(b->reader);
    worker_count(b->s->web->w, COUNTER_WEB_EVENTS, events - b->events);
    worker_count(b->s->web->w, COUNTER_WEB_RESYNCS, resyncs - b->resyncs);
    b->events = events;
    b->resyncs = resyncs;
    b->said_ms = clock_mono_ms();
}

void web_subscriber_gone(struct web_subscriber *b)
{
    if (b->prev != NULL)
        b->prev->next = b->next;
    else
        b->s->subscribers = b->next;
    if (b->next != NULL)
        b->next->prev = b->prev;
    b->s->web->subscribers--;
    web_reader_free(b->reader);
    free(b);
}
