/*
 * ctl_args.h: the command line of platoonctl, taken apart.
 *
 * Runs in platoonctl. Pure. Verbs come from the VERBS of all systems (proto/systems.h), options from the list below;
 * --help is made of both, and so are the manual page and the shell completion (make docs).
 */
#ifndef MASTER_CTL_CTL_ARGS_H
#define MASTER_CTL_CTL_ARGS_H

#include "common/buffer.h"
#include "proto/control.h"
#include "proto/systems.h"

#include <limits.h>

#define CTL_SOCKET_DEFAULT "/run/platoon/" CONTROL_SOCKET_NAME
#define CTL_SOCKET_ENV     "PLATOON_SOCKET"

/* The TIME of a verb. Those that wait for processes, and for work to be done, get more than a question. */
#define CTL_TIMEOUT_ANSWER_MS CONTROL_TIMEOUT_MS
#define CTL_TIMEOUT_ACT_MS    (60u * 1000)
#define CTL_TIMEOUT_WAIT_MS   (60u * 60 * 1000)

/* Words behind a verb: any number; or everything, also what would else be an option of the tool. */
#define VERB_MANY (INT_MAX - 1)
#define VERB_REST INT_MAX

/* X(NAME, "short", "long", "value", "help"): options that every verb takes. */
/* clang-format off */
#define CTL_OPTION_LIST(X)                                                                         \
    X(SOCKET, "-s", "--socket", "SOCKET", "the control socket of the platoon to talk to")          \
    X(CONFIG, "-c", "--config", "FILE", "the platoon that runs on this configuration file")        \
    X(JSON, "", "--json", "", "answer in JSON")                                                    \
    X(TIMEOUT, "", "--timeout", "SPAN", "give up after this (250ms, 5s, 2m, 1h)")                  \
    X(NO_COLOR, "", "--no-color", "", "no colours on a terminal either")                           \
    X(HELP, "-h", "--help", "", "print this, or how a verb is used")                               \
    X(VERSION, "-V", "--version", "", "print the version of the tool")
/* clang-format on */

enum ctl_option {
#define X(NAME, short_name, long_name, value, help) CTL_OPTION_##NAME,
    CTL_OPTION_LIST(X)
#undef X
        CTL_OPTION_COUNT
};

enum ctl_verb {
#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help) CTL_VERB_##NAME,
    SYSTEMS(VERBS, X)
#undef X
        CTL_VERB_COUNT
};

struct ctl_args {
    const char *socket; /* NULL: not given */
    const char *config; /* NULL: not given */
    bool json;
    bool no_color;
    bool help;
    bool version;
    bool timeout_given;
    uint64_t timeout_ms;
    enum ctl_verb verb;   /* CTL_VERB_COUNT: none, only with help or version */
    int argc;             /* words behind the verb */
    const char **argv;    /* they point into main's argv */
    const char **storage; /* private */
};

/*
 * Takes main's arguments apart. Options may stand before or behind the verb's words; only a verb of VERB_REST words
 * (`redis`) keeps everything behind it to itself. Returns 0; or -EINVAL with one line in `why` that names the word and
 * what is allowed; or -ENOMEM. ctl_args_fini in every case.
 */
int ctl_args_parse(struct ctl_args *a, int argc, char **argv, struct buffer *why);
void ctl_args_fini(struct ctl_args *a);

/*
 * Takes a verb's own option apart: when words[*at] is `name`, or `name=VALUE`, *value is the value and *at the last
 * word used. 1 when it was this option, 0 when it was another word, -EINVAL when its value is missing.
 */
int ctl_args_take(const char **words, int count, int *at, const char *name, const char **value);

/*
 * Least and greatest number of words behind the verb, its own options included, and its time unless --timeout is given.
 */
int ctl_verb_min(enum ctl_verb verb);
int ctl_verb_max(enum ctl_verb verb);
uint64_t ctl_verb_timeout_ms(enum ctl_verb verb);

/* The verb's name, grammar and help text, from the list. */
const char *ctl_verb_words(enum ctl_verb verb);
const char *ctl_verb_grammar(enum ctl_verb verb);
const char *ctl_verb_help(enum ctl_verb verb);

/* --help: all of it, or one verb's (CTL_VERB_COUNT: all). */
void ctl_args_help(enum ctl_verb verb, struct buffer *out);

#endif
