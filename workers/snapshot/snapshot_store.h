/*
 * snapshot_store.h: what the files of the store worker share.
 *
 * snapshot.c            its life: the repository, opened again and again until it is there; which request it is
 * snapshot_resources.c  its resources, and the newest version of each
 * snapshot_looks.c      list, log, get, diff
 * snapshot_puts.c       put: what comes in pieces, until it is whole
 * snapshot_pending.c    puts that are written, until they are accepted
 * snapshot_runs.h       resources that are made
 * snapshot_whatif.h     what-ifs, which leave no trace
 * snapshot_follow.c     who is told each accepted version
 */
#ifndef WORKERS_SNAPSHOT_SNAPSHOT_STORE_H
#define WORKERS_SNAPSHOT_SNAPSHOT_STORE_H

#include "workers/skeleton/worker.h"
#include "workers/snapshot/snapshot_repo.h"

#define SNAPSHOT_SOURCE_SIZE 16

struct snapshot_resource {
    const char *name, *path, *header; /* settings' */
    uint64_t size_min, size_max;
    bool has; /* a version: */
    uint64_t seq;
    char commit[SNAPSHOT_ID_SIZE], blob[SNAPSHOT_ID_SIZE];
    uint64_t size;
    int64_t time_s;
    char source[SNAPSHOT_SOURCE_SIZE];
    struct snapshot_make *make; /* NULL: nobody makes it, it is put */
};

struct snapshot_upload;
struct snapshot_pending;
struct snapshot_runs;
struct snapshot_whatif;

/* In the order in which they were asked. */
struct snapshot_whatifs {
    struct snapshot_whatif *list;
    size_t count, bytes;
};

struct snapshot_store {
    struct worker *w;
    struct snapshot_repo *repo; /* NULL: not now, for: */
    char why[SNAPSHOT_WHY_SIZE];
    struct snapshot_resource *resources;
    size_t count;
    struct snapshot_upload *uploads;
    size_t upload_count, upload_bytes;
    struct snapshot_pending *pending;
    uv_check_t check; /* the loop has been asked whether more puts have come */
    uv_idle_t idle;   /* it does not wait for them */
    struct snapshot_runs *runs;
    struct snapshot_whatifs whatifs;
    uint64_t until_ms; /* who asks now gives up then */
};

/* ---- snapshot_resources.c ---- */

/* From the settings resources.*. False: memory is short. */
bool snapshot_resources_read(struct snapshot_store *s);
/* The newest version of each, from the repository. False with s->why: it cannot be read. */
bool snapshot_resources_find(struct snapshot_store *s);
/* NULL: there is none, and the request has been told so, with the names there are. */
struct snapshot_resource *snapshot_resource_of(struct snapshot_store *s, uint64_t request,
                                               struct slice name);

/* A version is written, upon those that were; it is not accepted yet. False, with `why`. */
bool snapshot_resource_commit(struct snapshot_store *s, struct snapshot_resource *r,
                              const struct snapshot_new *version,
                              struct snapshot_accepted *accepted, char *why);
/* All that were written are accepted, of which the last is of `r`. False, with `why`: none is. */
bool snapshot_resource_accept(struct snapshot_store *s, const struct snapshot_resource *r,
                              char *why);
/* It was accepted: it is the newest, and who follows is told. */
void snapshot_resource_newest(struct snapshot_store *s, struct snapshot_resource *r,
                              const struct snapshot_accepted *accepted, struct slice bytes,
                              int64_t time_s, const char *source);
/* All of that at once; none is pending. False: all is as it was. */
bool snapshot_resource_write(struct snapshot_store *s, struct snapshot_resource *r,
                             const struct snapshot_new *version, char *why);

/* ---- snapshot_pending.c ---- */

/* False: memory is short. */
bool snapshot_pending_start(struct snapshot_store *s);
void snapshot_pending_free(struct snapshot_store *s);
/* It is written, and the request is answered once it is accepted, or is not. */
void snapshot_pending_put(struct snapshot_store *s, uint64_t request, struct snapshot_resource *r,
                          const struct snapshot_new *version);
/* Those that are pending are accepted now, and answered; or none is. */
void snapshot_pending_accept(struct snapshot_store *s);
/* The blob of the last that is pending of `r`; NULL: none is. */
const char *snapshot_pending_blob(const struct snapshot_store *s,
                                  const struct snapshot_resource *r);
void snapshot_put_refuse(struct snapshot_store *s, uint64_t request,
                         const struct snapshot_resource *r, const char *why);
void snapshot_put_answer(struct snapshot_store *s, uint64_t request,
                         const struct snapshot_resource *r, bool changed);

/* ---- looks, puts, asks: each takes the words behind the verb. False: they are none ---- */

bool snapshot_list(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_log(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_get(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_diff(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_put(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_show(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_run(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_wait(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);

bool snapshot_whatif_give(struct snapshot_store *s, uint64_t request, struct unpack *u,
                          uint32_t count);
bool snapshot_whatif(struct snapshot_store *s, uint64_t request, struct unpack *u, uint32_t count);
bool snapshot_whatif_more(struct snapshot_store *s, uint64_t request, struct unpack *u,
                          uint32_t count);

/* What `list` says of one, as a map; so many more members follow it. */
void snapshot_row(struct snapshot_store *s, const struct snapshot_resource *r, uint32_t more,
                  struct buffer *body);

/* worker_ops.late */
bool snapshot_late(struct worker *w, void *state, char *why, size_t size);

/* Once a second: what nobody goes on with is forgotten. */
void snapshot_puts_tick(struct snapshot_store *s);
void snapshot_puts_fini(struct snapshot_store *s);

/* ---- what-ifs: snapshot_whatif.h ---- */

/* One of their workers has come or gone; what others come and go does not concern them. */
void snapshot_whatif_peer(struct snapshot_store *s, const struct worker_peer *peer, bool there);
/* Whether it was a message of one of their workers. */
bool snapshot_whatif_message(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                             struct unpack *u);
/* What one of them waits for, into `why`; false: there is none. */
bool snapshot_whatif_late(const struct snapshot_store *s, char *why, size_t size);
/* Once a second: what nobody waits for is forgotten. */
void snapshot_whatif_tick(struct snapshot_store *s);
void snapshot_whatif_fini(struct snapshot_store *s);

/* ---- snapshot_follow.c ---- */

/* Whether it was a message of who follows. */
bool snapshot_follow(struct snapshot_store *s, struct worker_peer *from, uint64_t type,
                     struct unpack *u);
/* That version was accepted, with these bytes. */
void snapshot_follow_tell(struct snapshot_store *s, const struct snapshot_resource *r,
                          struct slice bytes);
/* The repository can be read again. */
void snapshot_follow_opened(struct snapshot_store *s);
/* Once a second. */
void snapshot_follow_tick(struct snapshot_store *s);

/* The answer, or that memory is short for it; the body is freed. */
void snapshot_answer(struct snapshot_store *s, uint64_t request, struct buffer *body);

#endif
