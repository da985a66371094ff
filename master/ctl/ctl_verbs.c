/* ctl_verbs.c: what the tool knows of each verb: the table that stands above them all. See ctl_verbs.h. */
#include "master/ctl/ctl_verbs.h"

ctl_handler ctl_verb_handler(enum ctl_verb verb)
{
    static const ctl_handler handlers[CTL_VERB_COUNT] = {
#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help)                                 \
    [CTL_VERB_##NAME] = ctl_##name##_run,
        SYSTEMS(VERBS, X)
#undef X
    };
    return handlers[verb];
}
