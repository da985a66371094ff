/* events.c: see events.h. */
#include "master/logs/events.h"

#include "common/clock.h"
#include "common/pack.h"
#include "common/unpack.h"
#include "master/tree/tree_match.h"
#include "common/utf8.h"

#include <stdio.h>

struct event {
    uint64_t wall_ms, generation;
    char name[CONTRACT_NAME_MAX];
    enum node_state from, to;
    enum state_event event;
    char cause[sizeof((struct node *)0)->last_exit];
};

/* Event n is at n modulo the size; there are none before `first`. */
static struct event events[EVENTS_MAX];
static uint64_t events_first = 1, events_next = 1;

void events_add(const struct node *n, enum node_state from, enum state_event event)
{
    struct event *e = &events[events_next++ % EVENTS_MAX];
    bool died =
        event == STATE_EVENT_RETRY || event == STATE_EVENT_GONE || event == STATE_EVENT_GIVE_UP;
    *e = (struct event){.wall_ms = clock_wall_ms(),
                        .generation = n->generation,
                        .from = from,
                        .to = n->state,
                        .event = event};
    memcpy(e->name, n->name, sizeof e->name);
    snprintf(e->cause, sizeof e->cause, "%s", died ? n->last_exit : "");
}

static void event_pack_text(struct buffer *out, const char *key, const char *value)
{
    pack_text(out, key);
    pack_text(out, value);
}

static void event_pack(struct buffer *out, const struct event *e)
{
    pack_map(out, 7);
    pack_text(out, "time_ms");
    pack_u64(out, e->wall_ms);
    event_pack_text(out, "name", e->name);
    event_pack_text(out, "from", node_state_name(e->from));
    event_pack_text(out, "to", node_state_name(e->to));
    event_pack_text(out, "event", state_event_name(e->event));
    pack_text(out, "generation");
    pack_u64(out, e->generation);
    event_pack_text(out, "cause", e->cause);
}

size_t events_pack(struct buffer *out, const char *name, uint64_t after, size_t limit,
                   uint64_t *last, uint64_t *lost)
{
    bool full = events_next - events_first >= EVENTS_MAX;
    uint64_t first = full ? events_next - EVENTS_MAX + 1 : events_first;
    uint64_t begin = events_next, from = after + 1 > first ? after + 1 : first;
    size_t count = 0;
    for (uint64_t i = events_next; i > from && count < limit; i--) {
        if (!tree_name_matches(events[(i - 1) % EVENTS_MAX].name, name))
            continue;
        begin = i - 1;
        count++;
    }
    pack_array(out, (uint32_t)count);
    for (uint64_t i = begin; i < events_next; i++)
        if (tree_name_matches(events[i % EVENTS_MAX].name, name))
            event_pack(out, &events[i % EVENTS_MAX]);
    *last = events_next - 1;
    *lost = after > 0 && first > after + 1 ? first - after - 1 : 0;
    return count;
}

static bool event_unpack(struct unpack *u, struct event *e)
{
    *e = (struct event){.wall_ms = 0};
    char from[16], to[16], event[16];
    bool fits = unpack_map(u) == 7;
    unpack_str(u);
    e->wall_ms = unpack_u64(u);
    unpack_str(u);
    fits = slice_copy(unpack_str(u), e->name, sizeof e->name) && fits;
    unpack_str(u);
    fits = slice_copy(unpack_str(u), from, sizeof from) && fits;
    unpack_str(u);
    fits = slice_copy(unpack_str(u), to, sizeof to) && fits;
    unpack_str(u);
    fits = slice_copy(unpack_str(u), event, sizeof event) && fits;
    unpack_str(u);
    e->generation = unpack_u64(u);
    unpack_str(u);
    fits = slice_copy(unpack_str(u), e->cause, sizeof e->cause) && fits;
    utf8_mend(e->cause); /* older masters have cut it inside a character */
    for (int i = 0; i < STATE_COUNT; i++) {
        if (strcmp(node_state_name((enum node_state)i), from) == 0)
            e->from = (enum node_state)i;
        if (strcmp(node_state_name((enum node_state)i), to) == 0)
            e->to = (enum node_state)i;
    }
    for (int i = 0; i < STATE_EVENT_COUNT; i++)
        if (strcmp(state_event_name((enum state_event)i), event) == 0)
            e->event = (enum state_event)i;
    return fits && unpack_ok(u);
}

void events_restore(struct slice packed, uint64_t last)
{
    struct unpack u = unpack_start(packed);
    uint32_t count = unpack_array(&u);
    if (!unpack_ok(&u) || events_next != 1 || last < count || count > EVENTS_MAX)
        return;
    struct event e;
    events_first = events_next = last - count + 1;
    for (uint32_t i = 0; i < count && event_unpack(&u, &e); i++)
        events[events_next++ % EVENTS_MAX] = e;
}
