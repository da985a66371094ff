/*
 * ctl_queue.h: what the files of the queues' verbs share: whom they ask, and what people see.
 *
 * Runs in platoonctl.
 */
#ifndef MASTER_CTL_QUEUE_CTL_QUEUE_H
#define MASTER_CTL_QUEUE_CTL_QUEUE_H

#include "master/ctl/ctl.h"
#include "proto/contract.h"

/* The words of a verb without `--on BACKBONE`, which may stand anywhere among them. */
#define CTL_QUEUE_WORDS_MAX 1024
struct ctl_queue_words {
    const char *on; /* NULL: the only one there is */
    const char *list[CTL_QUEUE_WORDS_MAX];
    int count;
};

/*
 * Takes `--on` out, and of each option of `options` (NULL at its end) its value into `values`. 0, or the exit code,
 * the reason printed.
 */
int ctl_queue_words(struct ctl *c, struct ctl_queue_words *words, const char *const *options,
                    const char **values);

/* The backbone that was named, or the only one of the tree, into `name`. 0, or the exit code, the reason printed. */
int ctl_queue_backbone(struct ctl *c, const char *on, char name[CONTRACT_NAME_MAX]);

/* Asks that backbone. On 0 *answer is the caller's, for json_decref. */
int ctl_queue_ask(struct ctl *c, const char *backbone, const char *verb, size_t count,
                  const struct slice *args, json_t **answer);

/* What people see: pure. */
void ctl_queue_render_status(const json_t *queues, size_t width, bool color, struct buffer *out);
void ctl_queue_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_queue_render_dead_data(const json_t *letters, bool color, struct buffer *out);

#endif
