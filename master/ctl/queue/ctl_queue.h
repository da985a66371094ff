/*
 * ctl_queue.h: what the files of the queues' verbs share: whom they ask, and what people see.
 *
 * Runs in platoonctl.
 */
#ifndef MASTER_CTL_QUEUE_CTL_QUEUE_H
#define MASTER_CTL_QUEUE_CTL_QUEUE_H

#include "master/ctl/ctl.h"
#include "master/ctl/ctl_table.h"
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

/*
 * ctl_queue_words with `min` to `max` words, of which the first is a queue's name, and the backbone. 0, or the exit
 * code, the reason printed.
 */
int ctl_queue_begin(struct ctl *c, struct ctl_queue_words *words, int min, int max,
                    const char *const *options, const char **values,
                    char backbone[CONTRACT_NAME_MAX]);

/* An option's number, from 1 on, or `otherwise` where it was not given. 0, or the exit code, the reason printed. */
int ctl_queue_number(struct ctl *c, const char *option, const char *value, uint64_t otherwise,
                     uint64_t *number);

/* The same of a duration, of at least `least`, as milliseconds in digits. */
#define CTL_QUEUE_SPAN_SIZE 24
int ctl_queue_span(struct ctl *c, const char *option, const char *value, const char *otherwise,
                   uint64_t least, char ms[CTL_QUEUE_SPAN_SIZE]);

/* Asks that backbone. On 0 *answer is the caller's, for json_decref. */
int ctl_queue_ask(struct ctl *c, const char *backbone, const char *verb, size_t count,
                  const struct slice *args, json_t **answer);

/* A cell with a value as a person reads it; a number, coloured when it is not 0; a span of ms, "-" for null. */
void ctl_queue_cell_shown(struct ctl_table *t, const json_t *value);
void ctl_queue_cell_count(struct ctl_table *t, const json_t *object, const char *key,
                          enum ctl_color color);
void ctl_queue_cell_span(struct ctl_table *t, const json_t *object, const char *key);

/* What people see: pure. */
void ctl_queue_render_status(const json_t *queues, size_t width, bool color, struct buffer *out);
void ctl_queue_render_dead(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_queue_render_facets(const json_t *sweep, size_t width, bool color, struct buffer *out);
void ctl_queue_render_messages(const json_t *messages, size_t width, bool color,
                               struct buffer *out);
void ctl_queue_render_dead_data(const json_t *letters, bool color, struct buffer *out);

#endif
