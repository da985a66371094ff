/*
 * ctl_snapshot.h: what the files of the snapshots' verbs share: whom they ask, and what people see.
 *
 * Runs in platoonctl.
 */
#ifndef MASTER_CTL_SNAPSHOT_CTL_SNAPSHOT_H
#define MASTER_CTL_SNAPSHOT_CTL_SNAPSHOT_H

#include "master/ctl/ctl.h"
#include "proto/contract.h"

/* Calls fn with the name of each snapshot of the tree. 0, or the exit code, the reason printed. */
int ctl_snapshot_each(struct ctl *c, int (*fn)(struct ctl *c, const char *store, void *ctx),
                      void *ctx);

/* The same of a tree that one has asked for. */
int ctl_snapshot_each_in(struct ctl *c, const json_t *node,
                         int (*fn)(struct ctl *c, const char *store, void *ctx), void *ctx);

/* Asks that store. On 0 *answer is the caller's, for json_decref. */
int ctl_snapshot_ask(struct ctl *c, const char *store, const char *verb, size_t count,
                     const struct slice *args, json_t **answer);

/* The store that a resource is of, into `store`. 0, or the exit code, the reason printed. */
int ctl_snapshot_of(struct ctl *c, const char *resource, char store[CONTRACT_NAME_MAX]);

/*
 * Takes the options (NULL at their end) out of the verb's words, their values into `values`. The resource, and where
 * `more` is not NULL, what may stand behind it. *status is 0, or the exit code, the reason printed.
 */
const char *ctl_snapshot_words(struct ctl *c, const char *const *options, const char **values,
                               const char **more, int *status);

/* Bytes as an answer has them in JSON, text or {"base64":…}, appended. False: it is neither, or memory is short. */
bool ctl_snapshot_bytes(const json_t *value, struct buffer *out);

/* Bytes as `text`, or as `base64` where they are no UTF-8, for people's JSON. */
void ctl_snapshot_add_bytes(json_t *to, struct slice bytes);

/* A file whole, appended; NULL and "-": the standard input. 0, or the exit code, the reason printed. */
int ctl_snapshot_read(const char *name, struct buffer *bytes);

/* What belongs together is known by it: one that nobody else has. */
#define CTL_SNAPSHOT_ID_SIZE 24
void ctl_snapshot_id(char id[CTL_SNAPSHOT_ID_SIZE]);

/* What people see: pure. */
void ctl_snapshot_render_list(const json_t *resources, size_t width, bool color,
                              struct buffer *out);
void ctl_snapshot_render_show(const json_t *r, struct buffer *out);
void ctl_snapshot_render_log(const json_t *versions, size_t width, bool color, struct buffer *out);

#endif
