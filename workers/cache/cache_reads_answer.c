/* cache_reads_answer.c: see cache_reads_answer.h. */
#include "workers/cache/cache_reads_answer.h"

#include "common/text.h"
#include "workers/cache/cache_db.h"

#define ANSWER_DIGITS_MAX 20 /* with a minus */

static bool answer_number(struct slice text, int64_t *number)
{
    uint64_t value;
    bool minus = text.len > 1 && text.ptr[0] == '-';
    if (text_parse_u64(minus ? slice_make(text.ptr + 1, text.len - 1) : text, &value) != 0 ||
        value > INT64_MAX)
        return false;
    *number = minus ? -(int64_t)value : (int64_t)value;
    return true;
}

/* The number of a line that begins with this sign, and what follows the line. */
static bool answer_line(struct slice *left, char sign, int64_t *number)
{
    const char *end = left->len > 0 ? memchr(left->ptr, '\r', left->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - left->ptr) : 0;
    if (len < 2 || len > 1 + ANSWER_DIGITS_MAX || len + 2 > left->len || left->ptr[0] != sign ||
        end[1] != '\n' || !answer_number(slice_make(left->ptr + 1, len - 1), number))
        return false;
    *left = slice_make(left->ptr + len + 2, left->len - len - 2);
    return true;
}

static bool answer_value(struct slice *left, struct cache_copy *copy)
{
    int64_t len;
    if (!answer_line(left, '$', &len) || len < -1)
        return false;
    copy->absent = len == -1;
    if (copy->absent)
        return true;
    if ((uint64_t)len > left->len || left->len - (size_t)len < 2 ||
        memcmp(left->ptr + len, "\r\n", 2) != 0)
        return false;
    copy->value = slice_make(left->ptr, (size_t)len);
    *left = slice_make(left->ptr + len + 2, left->len - (size_t)len - 2);
    return true;
}

bool cache_reads_answer(struct slice answer, struct cache_copy *copy)
{
    int64_t count, expiry_ms, version, form;
    *copy = (struct cache_copy){.value = slice_of("")};
    if (!answer_line(&answer, '*', &count) || count != 4 || !answer_value(&answer, copy) ||
        !answer_line(&answer, ':', &expiry_ms) || !answer_line(&answer, ':', &version) ||
        !answer_line(&answer, ':', &form) || answer.len != 0 || version < 0 || form < 0 || form > 3)
        return false;
    copy->expiry_ms = expiry_ms < 0 ? CACHE_NEVER : expiry_ms;
    copy->version = (uint64_t)version;
    copy->form = (unsigned)form;
    return true;
}
