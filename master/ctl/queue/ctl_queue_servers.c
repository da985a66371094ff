/* ctl_queue_servers.c: which servers a backbone has, and whom to ask about each. See ctl_queue_servers.h. */
#include "master/ctl/queue/ctl_queue_servers.h"

#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"

#include <stdio.h>
#include <stdlib.h>

struct servers_seen {
    char path[2 * CONTRACT_NAME_MAX]; /* "queue/shop/backbone." */
    size_t workers;                   /* of the backbone, in whatever state */
    const json_t *root;
};

/* The number of a backbone worker of ours, 0: it is none. */
static uint64_t servers_number(const struct servers_seen *seen, const json_t *node)
{
    uint64_t number;
    const char *name = ctl_value_text(node, "name");
    size_t len = strlen(seen->path);
    return strncmp(name, seen->path, len) == 0 && text_parse_u64(slice_of(name + len), &number) == 0
               ? number
               : 0;
}

static void servers_count(struct servers_seen *seen, const json_t *node)
{
    size_t i;
    json_t *child;
    seen->workers += servers_number(seen, node) > 0;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        servers_count(seen, child);
    }
}

/* Workers take turns on the servers (queue_reach.h); the first of each that is ready is asked. */
static void servers_choose(const struct servers_seen *seen, const json_t *node,
                           struct ctl_queue_servers *servers)
{
    size_t i;
    json_t *child;
    uint64_t number = servers_number(seen, node);
    if (number > 0 && strcmp(ctl_value_text(node, "state"), "READY") == 0) {
        struct ctl_queue_server *s = &servers->list[(number - 1) % servers->count];
        if (s->worker[0] == '\0')
            snprintf(s->worker, sizeof s->worker, "%s", ctl_value_text(node, "name"));
    }
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        servers_choose(seen, child, servers);
    }
}

/* One that is asked by the backbone's title, as if there were no servers. */
static void servers_alone(struct ctl_queue_servers *servers, const char *backbone)
{
    servers->count = 1;
    snprintf(servers->list[0].worker, sizeof servers->list[0].worker, "%s", backbone);
}

static int servers_names(struct ctl *c, const char *backbone, struct ctl_queue_servers *servers)
{
    const struct slice words[] = {slice_of("backbone"), slice_of(backbone),
                                  slice_of("queue-servers")};
    json_t *names = NULL, *name;
    size_t i;
    int status = ctl_request_json(c, "ask", sizeof words / sizeof words[0], words, &names);
    if (status != CONTROL_OK)
        return status;
    servers->count = 0;
    json_array_foreach(names, i, name)
    {
        if (servers->count == CTL_QUEUE_SERVERS_MAX || !json_is_string(name))
            break;
        snprintf(servers->list[servers->count].name, sizeof servers->list[0].name, "%s",
                 json_string_value(name));
        servers->count++;
    }
    json_decref(names);
    return CONTROL_OK;
}

int ctl_queue_servers_find(struct ctl *c, const char *backbone, struct ctl_queue_servers *servers)
{
    struct servers_seen seen = {.workers = 0};
    json_t *root = NULL;
    *servers = (struct ctl_queue_servers){.count = 0};
    int status = ctl_request_json(c, "tree", 0, NULL, &root);
    if (status != CONTROL_OK)
        return status;
    snprintf(seen.path, sizeof seen.path, "queue/%s/backbone.", backbone);
    servers_count(&seen, root);
    if (seen.workers > 1)
        status = servers_names(c, backbone, servers);
    if (status == CONTROL_OK && servers->count > 1)
        servers_choose(&seen, root, servers);
    else if (status == CONTROL_OK)
        servers_alone(servers, backbone);
    json_decref(root);
    return status;
}

int ctl_queue_server_ask(struct ctl *c, const struct ctl_queue_server *server, uint64_t deadline,
                         const char *verb, size_t count, const struct slice *args, json_t **answer,
                         struct buffer *why)
{
    struct slice body = slice_of("");
    struct slice *words = calloc(count + 3, sizeof *words);
    int status = CONTROL_ERROR;
    if (server->worker[0] == '\0') {
        buffer_append_text(why, "none of its backbone workers is ready: see platoonctl status");
    } else if (words != NULL) {
        words[0] = slice_of("backbone");
        words[1] = slice_of(server->worker);
        words[2] = slice_of(verb);
        for (size_t i = 0; i < count; i++)
            words[3 + i] = args[i];
        status = ctl_client_ask(&c->client, deadline, "ask", count + 3, words, &body);
        if (status != CONTROL_OK)
            buffer_append_text(why, ctl_client_why(&c->client));
    }
    free(words);
    if (status == CONTROL_OK && ctl_value_decode(body, answer) != 0) {
        buffer_append_text(why, "the answer is none, or memory is short for it");
        status = CONTROL_ERROR;
    } else if (words == NULL) {
        buffer_append_text(why, "not enough memory for the request");
    }
    return status;
}
