/* ctl_usage.c: see ctl_usage.h. */
#include "master/ctl/ctl_usage.h"

#include "common/process_usage.h"
#include "master/ctl/ctl_ask.h"
#include "proto/worker_types.h"

#include <sys/socket.h>

/* The master's pid as it is here; 0: it has none here. */
static pid_t usage_master(const struct ctl *c)
{
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    if (getsockopt(c->client.fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return 0;
    return peer.pid;
}

/* True: all of it could be set. */
static bool usage_fill(json_t *node, pid_t master)
{
    const json_t *pid = json_object_get(node, "pid");
    const char *type = json_string_value(json_object_get(node, "type"));
    struct process_usage usage = {0};
    bool done = true;
    if (json_is_integer(pid) && type != NULL)
        process_usage_read_child(master, (pid_t)json_integer_value(pid),
                                 worker_type_runs_program(type), &usage);
    if (usage.rss_bytes != 0)
        done = json_object_set_new(node, "rss_bytes", json_integer((json_int_t)usage.rss_bytes)) ==
                   0 &&
               json_object_set_new(node, "cpu_ms", json_integer((json_int_t)usage.cpu_ms)) == 0;
    size_t i;
    json_t *child;
    json_array_foreach(json_object_get(node, "children"), i, child)
    {
        done = usage_fill(child, master) && done;
    }
    return done;
}

int ctl_usage_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                      json_t **node)
{
    int status = ctl_request_json(c, verb, argc, argv, node);
    pid_t master = status == CONTROL_OK ? usage_master(c) : 0;
    if (master == 0 || usage_fill(*node, master))
        return status;
    json_decref(*node);
    *node = NULL;
    return ctl_fail(CONTROL_ERROR, "not enough memory");
}
