/*
 * config_errors.h: what is wrong with a configuration file, collected so that all of it is said at once.
 *
 * Runs in the master and in the tool.
 */
#ifndef MASTER_CONFIG_ERRORS_H
#define MASTER_CONFIG_ERRORS_H

#include "common/buffer.h"

/* More help nobody: the list ends with a line that says so. */
#define CONFIG_ERRORS_MAX 100

struct config_error {
    unsigned line;
    char *text;
};

struct config_errors {
    struct config_error list[CONFIG_ERRORS_MAX];
    size_t count;
    bool more;   /* some did not fit */
    bool failed; /* memory was short */
};

/* Notes an error: "key: what is wrong, what is allowed". */
void config_errors_add(struct config_errors *e, unsigned line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* No more fit: what is dear to say need not be made any more. */
static inline bool config_errors_full(const struct config_errors *e)
{
    return e->count == CONFIG_ERRORS_MAX;
}

static inline bool config_errors_any(const struct config_errors *e)
{
    return e->count > 0 || e->failed;
}

/* Appends them in the order of their lines as "path:line: text\n". */
void config_errors_print(struct config_errors *e, const char *path, struct buffer *out);

void config_errors_fini(struct config_errors *e);

#endif
