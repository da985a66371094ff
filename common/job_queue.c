/* job_queue.c: see job_queue.h. */
#include "common/job_queue.h"

#include "common/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_plain(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_-.", c) != NULL);
}

/* Filled in, whatever it is filled with. */
static int queue_expand(const struct template *t, struct slice platform, struct slice id,
                        struct buffer *out, struct slice *missing)
{
    const struct template_field fields[] = {{slice_of("platform"), platform}, {slice_of("id"), id}};
    return template_expand(t, slice_of(""), fields, 2, out, missing);
}

/* What stands between its fields is plain, and it has none but those two. */
static int queue_check(const struct template *t, const char *text, char *why, size_t why_size)
{
    struct buffer name = BUFFER_EMPTY;
    struct slice missing = slice_of("member");
    int rc = queue_expand(t, slice_of("p"), slice_of("i"), &name, &missing);
    if (rc != 0 || strstr(text, "{member") != NULL) {
        buffer_fini(&name);
        snprintf(why, why_size, "'%s' has a field {%.*s}: there are {platform} and {id}", text,
                 (int)missing.len, missing.ptr);
        return -EINVAL;
    }
    bool plain = name.len > 0 && strlen(text) < JOB_QUEUE_SIZE;
    for (size_t i = 0; i < name.len; i++)
        plain = plain && is_plain(name.data[i]);
    rc = !buffer_ok(&name) ? -ENOMEM : plain ? 0 : -EINVAL;
    buffer_fini(&name);
    if (rc == -EINVAL)
        snprintf(
            why, why_size,
            "'%s' is no name of a queue: 1 to 100 letters, digits, _, - and ., with {platform} "
            "or {id} among them",
            text);
    return rc;
}

int job_queue_compile(const char *text, struct template **out, char *why, size_t why_size)
{
    int rc = template_compile(text, out, why, why_size);
    if (rc != 0)
        return rc;
    rc = queue_check(*out, text, why, why_size);
    if (rc != 0) {
        template_free(*out);
        *out = NULL;
    }
    return rc;
}

int job_queue_name(const struct template *t, struct slice platform, struct slice id,
                   char out[JOB_QUEUE_SIZE])
{
    struct buffer name = BUFFER_EMPTY;
    struct slice missing;
    int rc = queue_expand(t, platform, id, &name, &missing);
    size_t len = name.len < JOB_QUEUE_SIZE - 1 ? name.len : JOB_QUEUE_SIZE - 1;
    for (size_t i = 0; i < len; i++)
        out[i] = is_plain(name.data[i]) ? name.data[i] : '_';
    out[len] = '\0';
    if (rc == 0 && !buffer_ok(&name))
        rc = -ENOMEM;
    if (rc == 0 && len == 0)
        snprintf(out, JOB_QUEUE_SIZE, "_"); /* of fields that were empty */
    buffer_fini(&name);
    return rc;
}

void job_queue_scope(const char *text, char out[JOB_QUEUE_SIZE])
{
    size_t len = strcspn(text, "{");
    bool whole = text[len] == '\0';
    if (len > JOB_QUEUE_SIZE - 2)
        len = JOB_QUEUE_SIZE - 2;
    memcpy(out, text, len);
    snprintf(out + len, 2, "%s", whole ? "" : "*");
}

bool job_queue_scopes_meet(const char *one, const char *other)
{
    size_t a = strlen(one), b = strlen(other);
    bool a_many = a > 0 && one[a - 1] == '*', b_many = b > 0 && other[b - 1] == '*';
    a -= a_many;
    b -= b_many;
    size_t least = a < b ? a : b;
    if (strncmp(one, other, least) != 0)
        return false;
    return a == b || (a < b ? a_many : b_many);
}

/* One word. False: it is none. */
static bool number_check(struct slice word, unsigned least)
{
    const char *equals = memchr(word.ptr, '=', word.len);
    uint64_t number;
    if (equals == NULL || equals == word.ptr)
        return false;
    for (const char *c = word.ptr; c < equals; c++)
        if (!is_plain(*c))
            return false;
    struct slice text = slice_make(equals + 1, word.len - (size_t)(equals + 1 - word.ptr));
    return text_parse_u64(text, &number) == 0 && number >= least && number <= JOB_QUEUE_NUMBER_MAX;
}

/* Whether its name is one of the `count` before it. */
static bool number_again(const struct slice *words, size_t count)
{
    const struct slice *word = &words[count];
    size_t len = (size_t)((const char *)memchr(word->ptr, '=', word->len) + 1 - word->ptr);
    for (size_t i = 0; i < count; i++)
        if (words[i].len > len && memcmp(words[i].ptr, word->ptr, len) == 0)
            return true;
    return false;
}

int job_queue_numbers_check(const char *text, unsigned least, char *why, size_t why_size)
{
    struct slice words[JOB_QUEUE_NAMES_MAX];
    size_t count = 0;
    for (const char *at = text + strspn(text, " \t\n"); *at != '\0';) {
        size_t len = strcspn(at, " \t\n");
        if (count == JOB_QUEUE_NAMES_MAX) {
            snprintf(why, why_size, "more than %d queues are named", JOB_QUEUE_NAMES_MAX);
            return -EINVAL;
        }
        words[count] = slice_make(at, len);
        if (!number_check(words[count], least)) {
            snprintf(why, why_size, "'%.*s' is no QUEUE=NUMBER with a number from %u to %d",
                     (int)(len < 100 ? len : 100), at, least, JOB_QUEUE_NUMBER_MAX);
            return -EINVAL;
        }
        if (number_again(words, count)) {
            snprintf(why, why_size, "'%.*s' names a queue that was named before",
                     (int)(len < 100 ? len : 100), at);
            return -EINVAL;
        }
        count++;
        at += len;
        at += strspn(at, " \t\n");
    }
    return 0;
}
