/* queue_listens.c: see queue_listens.h. */
#include "master/queue/queue_listens.h"

#include "proto/contract.h"

const struct config_section *queue_listens_word(const struct config *c, const char *word,
                                                struct slice *glob)
{
    char title[CONTRACT_NAME_MAX];
    const char *slash = strchr(word, '/');
    const struct config_section *named = NULL;
    if (slash != NULL && slice_copy(slice_make(word, (size_t)(slash - word)), title, sizeof title))
        named = config_section_find(c, CONFIG_BACKBONE, title);
    *glob = slice_of(named != NULL ? slash + 1 : word);
    if (named == NULL && config_section_at(c, CONFIG_BACKBONE, 1) == NULL)
        named = config_section_at(c, CONFIG_BACKBONE, 0);
    return named;
}
