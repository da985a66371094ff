/* queue_listener.c: a consumer's side of what is published. See queue_listener.h. */
#include "workers/queue/queue_listener.h"

#include "common/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define LISTENER_GLOBS_MAX 64

struct queue_listened {
    struct queue_listened *next;
    const char *title;
    struct queue_reach_backbone *reach;
    uint64_t
        told[QUEUE_REACH_SERVERS_MAX]; /* of each server: the worker that was told; 0: nobody */
};

static const char *listener_setting(const struct worker *w, size_t i, const char *what)
{
    return i < LISTENER_GLOBS_MAX ? worker_setting_item(w, "listens", i, what) : NULL;
}

static struct queue_listened *listener_of(const struct queue_listener *l,
                                          const struct queue_reach_backbone *reach)
{
    struct queue_listened *one = l->first;
    while (one != NULL && one->reach != reach)
        one = one->next;
    return one;
}

void queue_listener_open(struct queue_listener *l)
{
    const char *title;
    for (size_t i = 0; (title = listener_setting(l->w, i, "backbone")) != NULL; i++) {
        struct queue_reach_backbone *reach = queue_reach_find(l->reach, title, strlen(title));
        if (reach == NULL || listener_of(l, reach) != NULL)
            continue;
        struct queue_listened *one = worker_must_alloc(l->w, sizeof *one);
        *one = (struct queue_listened){.next = l->first, .title = title, .reach = reach};
        l->first = one;
    }
}

void queue_listener_fini(struct queue_listener *l)
{
    while (l->first != NULL) {
        struct queue_listened *one = l->first;
        l->first = one->next;
        free(one);
    }
}

static void listener_tell(struct queue_listener *l, const struct queue_listened *one,
                          struct worker_peer *to)
{
    struct buffer globs = BUFFER_EMPTY;
    uint32_t count = 0;
    const char *title;
    for (size_t i = 0; (title = listener_setting(l->w, i, "backbone")) != NULL; i++)
        count += strcmp(title, one->title) == 0;
    pack_array(&globs, count);
    for (size_t i = 0; (title = listener_setting(l->w, i, "backbone")) != NULL; i++)
        if (strcmp(title, one->title) == 0)
            pack_text(&globs, listener_setting(l->w, i, "glob"));
    if (!buffer_ok(&globs))
        worker_exit_for(l->w, ENOMEM, NULL, "cannot tell %s what it listens to", to->name);
    struct buffer *message = worker_compose(l->w);
    message_listen_pack(message, &(struct message_listen){.globs = buffer_slice(&globs)});
    worker_must_send(l->w, to, message);
    buffer_fini(&globs);
}

/* Nobody of that server is told: the first that is up is. */
static void listener_choose(struct queue_listener *l, struct queue_listened *one, uint64_t server)
{
    uint64_t number;
    struct worker_peer *to = queue_reach_worker(l->reach, one->reach, server, 0, &number);
    if (to == NULL)
        return;
    one->told[server] = number;
    listener_tell(l, one, to);
}

/* Also an incarnation of the one that was told before: it knows nothing. */
void queue_listener_up(struct queue_listener *l, const struct queue_reach_backbone *reach,
                       uint64_t number)
{
    struct queue_listened *one = listener_of(l, reach);
    uint64_t server = queue_reach_server(reach, number);
    if (one == NULL || (one->told[server] != 0 && one->told[server] != number))
        return;
    one->told[server] = 0;
    listener_choose(l, one, server);
}

void queue_listener_down(struct queue_listener *l, const struct queue_reach_backbone *reach,
                         uint64_t number)
{
    struct queue_listened *one = listener_of(l, reach);
    uint64_t server = queue_reach_server(reach, number);
    if (one == NULL || one->told[server] != number)
        return;
    one->told[server] = 0;
    listener_choose(l, one, server);
}

/* Of who is not listened to any more nothing counts: its successor has told it. */
static bool listener_listens(const struct queue_listener *l, const struct worker_peer *from)
{
    char name[CONTRACT_NAME_MAX + 24];
    for (const struct queue_listened *one = l->first; one != NULL; one = one->next)
        for (uint64_t s = 0; s < one->reach->servers; s++) {
            snprintf(name, sizeof name, "%s.%llu", one->reach->path,
                     (unsigned long long)one->told[s]);
            if (strcmp(name, from->name) == 0)
                return true;
        }
    return false;
}

bool queue_listener_message(struct queue_listener *l, const struct worker_task_events *events,
                            const struct worker_peer *from, uint64_t type, struct unpack *u)
{
    struct message_published m;
    if (type != MESSAGE_PUBLISHED || !message_published_unpack(u, &m))
        return false;
    if (listener_listens(l, from) && !events->on_published(l->w, m.topic, m.body))
        worker_count(l->w, COUNTER_QUEUE_UNHEARD, 1);
    return true;
}
