/* queue_script.c: texts and names of the queues' scripts. See queue_script.h. */
#include "proto/queue/queue_script.h"

const char *queue_script_text(enum queue_script script)
{
    static const char *const texts[QUEUE_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [QUEUE_SCRIPT_##NAME] = redis_script_##name,
        QUEUE_SCRIPTS(X)
#undef X
    };
    return texts[script];
}

const char *queue_script_name(enum queue_script script)
{
    static const char *const names[QUEUE_SCRIPT_COUNT] = {
#define X(NAME, name, file, parts) [QUEUE_SCRIPT_##NAME] = #name,
        QUEUE_SCRIPTS(X)
#undef X
    };
    return names[script];
}
