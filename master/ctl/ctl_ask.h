/*
 * ctl_ask.h: asking the master, and saying and writing what came of it.
 *
 * Runs in platoonctl. Below every verb, of which it knows none.
 */
#ifndef MASTER_CTL_CTL_ASK_H
#define MASTER_CTL_CTL_ASK_H

#include "master/ctl/ctl.h"

/* Prints "platoonctl: …" with control bytes made visible, one line, to stderr; returns `status`. */
int ctl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As above, followed by how the verb is written. Returns CONTROL_USAGE. */
int ctl_fail_usage(enum ctl_verb verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Asks the master and waits for the answer, until the run's deadline. On 0 *body lives until the next question.
 * Otherwise the exit code; the reason has been printed.
 */
int ctl_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                struct slice *body);

/* The same, the answer as JSON: on 0 *answer is the caller's, for json_decref. */
int ctl_request_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                     json_t **answer);

/*
 * The same for a question that may be asked twice: an upgrade of the master closes the connection on which it waits,
 * and it goes on over a new one.
 */
int ctl_follow_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                    json_t **answer);

/* Several lines to stderr, control bytes made visible. */
void ctl_say_lines(const char *text);

/* Writes `out` to stdout and clears it. 0, or CONTROL_ERROR with the reason printed. */
int ctl_flush(struct ctl *c);

/* Adds a value to `out` as indented JSON. */
void ctl_print_json(struct ctl *c, const json_t *value);

#endif
