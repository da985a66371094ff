/* web_query.c: see web_query.h. */
#include "workers/snapshot/web/web_query.h"

#include "common/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool web_content_read(const char *text, enum web_content *out)
{
    static const char *const names[] = {
#define X(NAME, name) name,
        WEB_CONTENTS(X)
#undef X
    };
    for (int i = 0; i < WEB_CONTENT_COUNT; i++)
        if (text == NULL || strcmp(text, names[i]) == 0) {
            *out = (enum web_content)i;
            return true;
        }
    return false;
}

bool web_id_read(const char *text, struct web_id *out)
{
    const char *dash = strchr(text, '-');
    if (dash == NULL || strlen(dash + 1) != WEB_ID_DIGITS ||
        strspn(dash + 1, "0123456789abcdef") != WEB_ID_DIGITS ||
        text_parse_u64(slice_make(text, (size_t)(dash - text)), &out->seq) != 0)
        return false;
    memcpy(out->commit, dash + 1, sizeof out->commit);
    return true;
}

void web_id_write(uint64_t seq, const char *commit, char text[WEB_ID_SIZE])
{
    snprintf(text, WEB_ID_SIZE, "%" PRIu64 "-%.*s", seq, WEB_ID_DIGITS, commit);
}

bool web_names_next(struct slice *list, struct slice *name)
{
    while (list->len > 0) {
        const char *comma = memchr(list->ptr, ',', list->len);
        size_t len = comma != NULL ? (size_t)(comma - list->ptr) : list->len;
        *name = slice_make(list->ptr, len);
        size_t taken = len + (comma != NULL);
        list->ptr += taken;
        list->len -= taken;
        if (len > 0)
            return true;
    }
    return false;
}
