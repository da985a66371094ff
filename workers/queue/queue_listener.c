/* queue_listener.c: a consumer's side of what is published. See queue_listener.h. */
#include "workers/queue/queue_listener.h"

#include "common/pack.h"

#include <errno.h>
#include <stdio.h>

#define LISTENER_GLOBS_MAX 64

static const char *listener_setting(const struct worker *w, size_t i, const char *what)
{
    return i < LISTENER_GLOBS_MAX ? worker_setting_item(w, "listens", i, what) : NULL;
}

void queue_listener_open(struct worker *w)
{
    const char *path;
    for (size_t i = 0; (path = listener_setting(w, i, "path")) != NULL; i++)
        worker_monitor(w, slice_of(path));
}

void queue_listener_up(struct worker *w, struct worker_peer *peer)
{
    struct buffer globs = BUFFER_EMPTY;
    uint32_t count = 0;
    const char *path;
    for (size_t i = 0; (path = listener_setting(w, i, "path")) != NULL; i++)
        count += strcmp(path, peer->name) == 0;
    if (count == 0)
        return;
    pack_array(&globs, count);
    for (size_t i = 0; (path = listener_setting(w, i, "path")) != NULL; i++)
        if (strcmp(path, peer->name) == 0)
            pack_text(&globs, listener_setting(w, i, "glob"));
    if (!buffer_ok(&globs))
        worker_exit_for(w, ENOMEM, NULL, "cannot tell %s what it listens to", peer->name);
    struct buffer *message = worker_compose(w);
    message_listen_pack(message, &(struct message_listen){.globs = buffer_slice(&globs)});
    worker_must_send(w, peer, message);
    buffer_fini(&globs);
}

bool queue_listener_message(struct worker *w, const struct worker_task_events *events,
                            uint64_t type, struct unpack *u)
{
    struct message_published m;
    if (type != MESSAGE_PUBLISHED || !message_published_unpack(u, &m))
        return false;
    if (!events->on_published(w, m.topic, m.body))
        worker_count(w, COUNTER_QUEUE_UNHEARD, 1);
    return true;
}
