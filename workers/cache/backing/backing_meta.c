/* backing_meta.c: see backing_meta.h. */
#include "workers/cache/backing/backing_meta.h"

#include "common/text.h"
#include "workers/cache/cache_db.h"
#include "workers/cache/cache_form.h"

#include <inttypes.h>
#include <stdio.h>

_Static_assert(BACKING_NEVER == CACHE_NEVER, "one never");

char *backing_meta_write(const struct backing_meta *meta, char text[BACKING_META_SIZE])
{
    int n = snprintf(text, BACKING_META_SIZE, "v=%" PRIu64, meta->version);
    if (meta->expiry_ms != BACKING_NEVER)
        n += snprintf(text + n, BACKING_META_SIZE - (size_t)n, ";e=%" PRId64, meta->expiry_ms);
    if (meta->form != CACHE_FORM_BYTES)
        n +=
            snprintf(text + n, BACKING_META_SIZE - (size_t)n, ";f=%s", cache_form_name(meta->form));
    if (meta->deleted)
        snprintf(text + n, BACKING_META_SIZE - (size_t)n, ";d=1");
    return text;
}

static bool meta_read_expiry(struct slice value, struct backing_meta *meta)
{
    uint64_t ms;
    if (text_parse_u64(value, &ms) != 0 || ms > INT64_MAX)
        return false;
    meta->expiry_ms = ms == 0 ? BACKING_NEVER : (int64_t)ms;
    return true;
}

static bool meta_read_form(struct slice value, struct backing_meta *meta)
{
    enum cache_form form;
    if (!cache_form_find(value, &form))
        return false;
    meta->form = form;
    return true;
}

static bool meta_read_field(char name, struct slice value, struct backing_meta *meta)
{
    switch (name) {
    case 'v':
        return text_parse_u64(value, &meta->version) == 0 && meta->version > 0 &&
               meta->version <= BACKING_VERSION_MAX;
    case 'e':
        return meta_read_expiry(value, meta);
    case 'f':
        return meta_read_form(value, meta);
    case 'd':
        meta->deleted = slice_is(value, "1");
        return meta->deleted || slice_is(value, "0");
    default:
        return false;
    }
}

bool backing_meta_read(struct slice text, struct backing_meta *meta)
{
    struct backing_meta read = BACKING_META_NONE;
    uint32_t seen = 0;
    while (text.len >= 2 && text.ptr[1] == '=') {
        const char *end = memchr(text.ptr, ';', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        if (!meta_read_field(text.ptr[0], slice_make(text.ptr + 2, len - 2), &read) ||
            (seen & UINT32_C(1) << (text.ptr[0] - 'a')) != 0)
            return false;
        seen |= UINT32_C(1) << (text.ptr[0] - 'a');
        text = slice_make(text.ptr + len + (end != NULL), text.len - len - (end != NULL));
        if (end != NULL && text.len == 0)
            return false;
    }
    if (text.len > 0 || (seen & UINT32_C(1) << ('v' - 'a')) == 0)
        return false;
    *meta = read;
    return true;
}
