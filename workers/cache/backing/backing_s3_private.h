/*
 * backing_s3_private.h: what the files of backing_s3 share: the store, and one call with its requests.
 *
 * Runs in a backing worker. backing_s3.c has calls and their ends, backing_s3_write.c what writes, backing_s3_probe.c
 * the check.
 */
#ifndef WORKERS_CACHE_BACKING_S3_PRIVATE_H
#define WORKERS_CACHE_BACKING_S3_PRIVATE_H

#include "workers/cache/backing/backing_known.h"
#include "workers/cache/backing/backing_name.h"
#include "workers/cache/backing/backing_s3.h"

#define S3_TRIES 16 /* requests of a call, those that were in vain */
#define S3_BUSY_TRIES                                                                              \
    8 /* … because the server was busy: 2 s at most, then the caller hears of it */
#define S3_CHECK_TRIES 4 /* … a check's: a server that is busy with that is busy with all */
#define S3_BUSY_PAUSE  400u

struct s3_backing {
    struct backing head;
    uv_loop_t *loop;
    struct s3_client *client;
    struct backing_s3_options options;
    bool bare; /* conditions name ETags without quotes: as the last check has shown that was DONE */
    bool put_etags; /* PUT is answered with an ETag: the same */
    struct backing_known *known;
    struct backing_known *doubts; /* apart, so that what is merely known does not push them out */
    struct backing_call *calls;
};

/* One call: one request after the other. */
struct backing_call {
    struct backing_call *next, *before;
    struct s3_backing *store;
    uv_timer_t timer;                          /* its deadline, or a pause before that */
    void (*resume)(struct backing_call *call); /* after the pause; NULL: the deadline */
    uint64_t deadline_ms, timeout_ms;          /* uv_now */
    backing_answer_fn fn;
    void *ctx;
    char name[BACKING_NAME_SIZE];
    struct slice value;
    struct backing_meta meta; /* of what is written; of an erase the version */
    unsigned tries, busy, busy_max;
    char said
        [BACKING_WHY_SIZE]; /* what the server said last, of a request that was in vain; "": nothing */
    /* The request under way. */
    struct s3_call *request; /* NULL: none */
    bool writes;
    char etag[S3_ETAG_SIZE]; /* its condition; "": no object, or none */
    bool bare;               /* as the store's; the check finds it out */
    /* The check's. */
    bool erases, put_etags;
    bool again; /* what it has found wrong it has found before */
    unsigned step;
    char given[S3_ETAG_SIZE];      /* ETag of the probe */
    struct backing_answer verdict; /* and backing_s3_later's */
    char why[BACKING_WHY_SIZE];
};

/* Answers, and ends the call: nothing is done with it behind this. */
void backing_s3_finish(struct backing_call *call, const struct backing_answer *answer);
void backing_s3_finish_as(struct backing_call *call, enum backing_result result, uint64_t version,
                          const char *why);

/* The same from the loop, for what is known when a call begins; `why` is a text that lasts. */
void backing_s3_later(struct backing_call *call, const struct backing_answer *answer);

/* As the server answered, when that says all. */
void backing_s3_finish_with(struct backing_call *call, const struct s3_answer *answer);

/* Goes on, after a pause where the server is busy; ends the call after too many tries. */
void backing_s3_again(struct backing_call *call, void (*resume)(struct backing_call *call),
                      const struct s3_answer *answer);

/* Of an answer to GET and HEAD. False: it is damaged, or none of S3's, and the call has been ended. */
bool backing_s3_meta(struct backing_call *call, const struct s3_answer *answer,
                     struct backing_meta *meta);

/* An ETag as this server wants it in a condition. */
const char *backing_s3_condition(const struct backing_call *call, const char *etag,
                                 char text[S3_ETAG_SIZE]);

/*
 * Start a request; `on_answer` is s3_client's. 0 or a negative errno: only of a call's first request that ends the call
 * without an answer, else backing_s3_short does.
 */
int backing_s3_head(struct backing_call *call, s3_answer_fn on_answer);
int backing_s3_write(struct backing_call *call, const char *etag, bool absent,
                     s3_answer_fn on_answer);
int backing_s3_remove(struct backing_call *call, const char *etag, s3_answer_fn on_answer);

/* Whether a PUT was done: else what has answered 200 is not S3, and the call has been ended. */
bool backing_s3_is_put(struct backing_call *call, const struct s3_answer *answer);

/* The write that was sent last is unaccounted for. */
void backing_s3_doubt(struct backing_call *call);

/* Ends the call when rc is not 0: memory is short. */
void backing_s3_short(struct backing_call *call, int rc);

/* backing_s3_write.c: 0, or a negative errno. */
int backing_s3_put_begin(struct backing_call *call);
int backing_s3_erase_begin(struct backing_call *call);

/* backing_s3_probe.c */
int backing_s3_probe_begin(struct backing_call *call);

#endif
