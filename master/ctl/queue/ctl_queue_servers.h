/*
 * ctl_queue_servers.h: the Redis servers of a backbone, whom to ask about each, and one answer made of several.
 *
 * Runs in platoonctl. Where there is one server nothing of this is seen. Ids and receipts are a server's own: of
 * several they are said as ID@SERVER and ID.ATTEMPT@SERVER, and who names one must say it so.
 */
#ifndef MASTER_CTL_QUEUE_CTL_QUEUE_SERVERS_H
#define MASTER_CTL_QUEUE_CTL_QUEUE_SERVERS_H

#include "master/ctl/ctl.h"
#include "proto/contract.h"

#define CTL_QUEUE_SERVERS_MAX 16

struct ctl_queue_server {
    char name[CONTRACT_NAME_MAX];
    char worker
        [CONTRACT_NAME_MAX]; /* of it, that is ready; "": none is. Of an only server the backbone's title */
};

struct ctl_queue_servers {
    struct ctl_queue_server list[CTL_QUEUE_SERVERS_MAX];
    size_t count;
};

/* Looks who is there. 0, or the exit code, the reason printed. */
int ctl_queue_servers_find(struct ctl *c, const char *backbone, struct ctl_queue_servers *servers);

/*
 * Asks one, until `deadline`. On 0 *answer is the caller's, for json_decref; else the exit code, the reason in `why`
 * (appended), nothing printed.
 */
int ctl_queue_server_ask(struct ctl *c, const struct ctl_queue_server *server, uint64_t deadline,
                         const char *verb, size_t count, const struct slice *args, json_t **answer,
                         struct buffer *why);

/* Asks as it is right for the verb: all, any, or whose id it is. As ctl_queue_ask. */
int ctl_queue_servers_ask(struct ctl *c, const struct ctl_queue_servers *servers, const char *verb,
                          size_t count, const struct slice *args, json_t **answer);

/* ---- ctl_queue_merge.c: pure ---- */

/* Each object of the list, and each id and receipt in it, is of that server. False: memory is short. */
bool ctl_queue_merge_mark(json_t *list, const char *server);

/* A list of queues that was answered into `all`: numbers are added, times are the longest, each row is kept. */
bool ctl_queue_merge_status(json_t *all, json_t *list, const char *server);

/* A sweep into `all`, and at the end the first `limit` facets by that number. */
bool ctl_queue_merge_sweep(json_t *all, json_t *sweep, const char *server);
bool ctl_queue_merge_cut(json_t *all, size_t limit, const char *by);

/* Numbers of an object are added to those of `all`. */
bool ctl_queue_merge_counts(json_t *all, const json_t *object);

#endif
