/* command_options.c: see command_options.h. */
#include "workers/cache/command/command_options.h"

#include "workers/cache/cache_node.h"

bool command_option_is(struct slice word, const char *name)
{
    return command_is(slice_make(word.ptr, strnlen(word.ptr, word.len)), name);
}

struct command_end_option {
    const char *name;
    enum command_end end;
    bool takes_time, of_set, of_getex;
};

static const struct command_end_option command_end_options[] = {
    {"ex", COMMAND_END_EX, true, true, true},
    {"px", COMMAND_END_PX, true, true, true},
    {"exat", COMMAND_END_EXAT, true, true, true},
    {"pxat", COMMAND_END_PXAT, true, true, true},
    {"keepttl", COMMAND_END_KEEP, false, true, false},
    {"persist", COMMAND_END_NEVER, false, false, true},
};

/* Words that it takes; 0: it is none of those. */
static size_t command_end_read(const struct slice *words, size_t left, bool set,
                               struct command_options *o)
{
    for (size_t i = 0; i < sizeof command_end_options / sizeof command_end_options[0]; i++) {
        const struct command_end_option *option = &command_end_options[i];
        if (!command_option_is(words[0], option->name))
            continue;
        size_t takes = option->takes_time ? 2 : 1;
        if (!(set ? option->of_set : option->of_getex) || takes > left ||
            (o->end != COMMAND_END_UNSAID && o->end != option->end))
            return 0;
        o->end = option->end;
        if (option->takes_time)
            o->time = words[1];
        return takes;
    }
    return 0;
}

static bool command_condition_read(struct slice word, struct command_options *o)
{
    if (command_option_is(word, "nx") && !o->xx)
        return o->nx = true;
    if (command_option_is(word, "xx") && !o->nx)
        return o->xx = true;
    return command_option_is(word, "get") && (o->get = true);
}

bool command_options_read(struct cache_client *c, const struct slice *words, size_t from,
                          size_t count, bool set, struct command_options *o)
{
    *o = (struct command_options){0};
    for (size_t i = from; i < count;) {
        size_t taken = set && command_condition_read(words[i], o)
                           ? 1
                           : command_end_read(words + i, count - i, set, o);
        if (taken == 0) {
            resp_error(&c->reply, "ERR syntax error");
            return false;
        }
        i += taken;
    }
    return true;
}

bool command_options_when(struct cache_client *c, const struct command_options *o, const char *name,
                          int64_t *when)
{
    int64_t time, now = cache_db_now_ms(c->node->db);
    bool seconds = o->end == COMMAND_END_EX || o->end == COMMAND_END_EXAT;
    bool relative = o->end == COMMAND_END_EX || o->end == COMMAND_END_PX;
    *when = CACHE_NEVER;
    if (o->end < COMMAND_END_EX)
        return true;
    if (!command_i64(c, o->time, &time))
        return false;
    if (time <= 0 || __builtin_mul_overflow(time, seconds ? 1000 : 1, &time) ||
        __builtin_add_overflow(time, relative ? now : 0, &time)) {
        resp_error(&c->reply, "ERR invalid expire time in '%s' command", name);
        return false;
    }
    *when = time < CACHE_NEVER ? time : CACHE_NEVER - 1; /* a time is given: it is not "never" */
    return true;
}
