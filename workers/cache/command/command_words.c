/* command_words.c: what commands read their words by, and the errors of faults. See command.h. */
#include "workers/cache/cache_access.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command.h"

#include <strings.h>

bool command_is(struct slice word, const char *text)
{
    return word.len == strlen(text) && strncasecmp(word.ptr, text, word.len) == 0;
}

bool command_takes(const struct cache_command *command, size_t count)
{
    return command->arity >= 0 ? count == (size_t)command->arity : count >= (size_t)-command->arity;
}

bool command_is_crooked(const struct cache_command *command, size_t count)
{
    return command->step > 1 && (count - (size_t)command->first) % (size_t)command->step != 0;
}

bool command_read_i64(struct slice word, int64_t *out)
{
    bool negative = word.len > 1 && word.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    uint64_t value = 0, most = negative ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
    if (word.len == i || word.len > 20 || (word.ptr[i] == '0' && word.len > 1))
        return false;
    for (; i < word.len; i++) {
        unsigned digit = (unsigned)word.ptr[i] - '0';
        if (digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool command_i64(struct cache_client *c, struct slice word, int64_t *out)
{
    if (command_read_i64(word, out))
        return true;
    resp_error(&c->reply, "ERR value is not an integer or out of range");
    return false;
}

bool command_fault(struct cache_client *c, enum cache_fault fault)
{
    char why[CACHE_ACCESS_WHY_SIZE];
    if (fault == CACHE_OK)
        return true;
    cache_access_fault(c->node, fault, why);
    resp_error(&c->reply, "%s", why);
    return false;
}
