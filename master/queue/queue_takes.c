/* queue_takes.c: see queue_takes.h. */
#include "master/queue/queue_takes.h"

#include "common/text.h"

bool queue_takes_word(const char *word, struct slice *name, uint64_t *weight)
{
    size_t len = strcspn(word, "*");
    *name = slice_make(word, len);
    *weight = 1;
    if (word[len] == '\0')
        return len > 0;
    return len > 0 && text_parse_u64(slice_of(word + len + 1), weight) == 0 && *weight >= 1 &&
           *weight <= QUEUE_WEIGHT_MAX;
}
