/*
 * ctl.h: one run of platoonctl: what was asked for, where the answer comes from, where it goes.
 *
 * Runs in platoonctl only. A handler asks the master, renders into `out` and returns the exit code; main.c writes `out`.
 * It must not print to stdout by itself: what could not be written must become an exit code in one place.
 */
#ifndef MASTER_CTL_CTL_H
#define MASTER_CTL_CTL_H

#include "master/ctl/ctl_args.h"
#include "master/ctl/ctl_client.h"

#include <jansson.h>

struct ctl {
    struct ctl_args args;
    struct ctl_client client;
    struct buffer out;
    uint64_t deadline;   /* clock_mono_ms, from --timeout or the verb's default */
    uint64_t timeout_ms; /* for messages */
    bool terminal;       /* stdout is one */
    bool color;
    size_t width; /* columns */
};

/* A verb's work: 0 or an exit code of CONTROL_STATUS_LIST; whoever returns another than 0 has said why (ctl_fail). */
typedef int (*ctl_handler)(struct ctl *c);

/* What the tool knows of a verb beyond CONTROL_VERB_LIST. */
struct ctl_verb_record {
    ctl_handler run;
    int words_min; /* words behind the verb, its own options included */
    int words_max;
    uint64_t timeout_ms; /* unless --timeout says another */
};

/* Every verb of the list has one (ctl_verbs.c). */
const struct ctl_verb_record *ctl_verb_record(enum ctl_verb verb);

/* Prints "platoonctl: …" with control bytes made visible, one line, to stderr; returns `status`. */
int ctl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As above, followed by how the verb is written. Returns CONTROL_USAGE. */
int ctl_fail_usage(enum ctl_verb verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Asks the master and waits for the answer, until the run's deadline. On 0 *body lives until the next question. Otherwise the
 * exit code; the reason has been printed.
 */
int ctl_request(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                struct slice *body);

/* The same, the answer as JSON: on 0 *answer is the caller's, for json_decref. */
int ctl_request_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                     json_t **answer);

/* The same for a question that may be asked twice: an upgrade of the master closes the connection on which it waits, and it goes on over a new one. */
int ctl_follow_json(struct ctl *c, const char *verb, size_t argc, const struct slice *argv,
                    json_t **answer);

/* Writes `out` to stdout and clears it. 0, or CONTROL_ERROR with the reason printed. */
int ctl_flush(struct ctl *c);

/* Adds a value to `out` as indented JSON. */
void ctl_print_json(struct ctl *c, const json_t *value);

#endif
