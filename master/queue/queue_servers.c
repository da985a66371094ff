/* queue_servers.c: see queue_servers.h. */
#include "master/queue/queue_servers.h"

#include "proto/contract.h"

const char *queue_servers_word(const char *at, struct slice *word)
{
    at += strspn(at, " \t");
    size_t len = strcspn(at, " \t");
    *word = slice_make(at, len);
    return len > 0 ? at + len : NULL;
}

uint64_t queue_servers_count(const struct config_section *backbone)
{
    struct slice word;
    uint64_t count = 0;
    for (const char *at = config_get(backbone, "redis");
         (at = queue_servers_word(at, &word)) != NULL;)
        count++;
    return count > 0 ? count : 1;
}

const struct config_section *
queue_servers_of(const struct config *c, const struct config_section *backbone, uint64_t number)
{
    char title[CONTRACT_NAME_MAX];
    struct slice word;
    uint64_t left = (number - 1) % queue_servers_count(backbone);
    for (const char *at = config_get(backbone, "redis");
         (at = queue_servers_word(at, &word)) != NULL;)
        if (left-- == 0)
            return slice_copy(word, title, sizeof title)
                       ? config_section_find(c, CONFIG_REDIS, title)
                       : NULL;
    return NULL;
}
