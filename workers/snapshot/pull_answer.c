/* pull_answer.c: see pull_answer.h. */
#include "workers/snapshot/pull_answer.h"

#include "common/secret_file.h"
#include "common/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define HEADERS_FILE_MAX 65536

/* ---- an answer ---- */

static bool answer_follows(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void answer_none(const struct http_answer *answer, uint64_t size_max, char *why, size_t size)
{
    char most[TEXT_NUMBER_SIZE];
    if (answer->too_long)
        snprintf(why, size, "output above size_max (%s)", text_format_size(size_max, most));
    else if (answer->cut_short)
        snprintf(why, size, "cut short: %s", answer->error);
    else
        snprintf(why, size, "%s%s%s", answer->error, answer->remedy != NULL ? ": " : "",
                 answer->remedy != NULL ? answer->remedy : "");
}

enum pull_meaning pull_answer_read(const struct http_answer *answer, bool conditional,
                                   uint64_t size_max, char *why, size_t size)
{
    if (answer->status == 0) {
        answer_none(answer, size_max, why, size);
        return PULL_FAILED;
    }
    if (answer->status == 200)
        return PULL_BYTES;
    if (answer->status == 304 && conditional)
        return PULL_UNCHANGED;
    if (answer_follows(answer->status))
        return PULL_FOLLOW;
    snprintf(why, size, "HTTP %d", answer->status);
    return PULL_FAILED;
}

/* ---- header lines ---- */

static bool header_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!isalnum((unsigned char)c) && (c == '\0' || strchr("-_.!#$%&'*+^`|~", c) == NULL))
            return false;
    }
    return name.len > 0;
}

/* "Name: value"; the line is in our own text, and the name is ended there. */
static bool header_take(struct pull_headers *h, struct slice line)
{
    char *at = (char *)(uintptr_t)line.ptr;
    char *colon = memchr(at, ':', line.len);
    if (colon == NULL || h->count == PULL_HEADERS_MAX ||
        !header_is_name(slice_make(at, (size_t)(colon - at))))
        return false;
    *colon = '\0';
    size_t len = line.len - (size_t)(colon + 1 - at);
    const char *value = colon + 1;
    for (; len > 0 && (*value == ' ' || *value == '\t'); len--)
        value++;
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)value[i] < ' ' && value[i] != '\t') || value[i] == '\x7f')
            return false;
    if (len == 0)
        return false;
    h->list[h->count++] = (struct http_header){.name = at, .value = slice_make(value, len)};
    return true;
}

unsigned pull_headers_parse(struct pull_headers *h, size_t len)
{
    struct slice rest = slice_make(h->text, len);
    for (unsigned number = 1; rest.len > 0; number++) {
        struct slice line = secret_file_line(&rest);
        if (line.len > 0 && !header_take(h, line))
            return number;
    }
    return 0;
}

bool pull_headers_read(struct pull_headers *h, const char *path, char *why, size_t size)
{
    struct stat st;
    *h = (struct pull_headers){.text = malloc(HEADERS_FILE_MAX), .size = HEADERS_FILE_MAX};
    ssize_t len = h->text != NULL ? secret_file_load(path, h->text, h->size, &st) : -ENOMEM;
    if (len < 0) {
        snprintf(why, size, "header_file %s: %s", path, secret_file_say((int)len));
        return false;
    }
    if ((st.st_mode & 077) != 0) {
        snprintf(why, size, "header_file %s: others may read it (mode %04o): chmod 600 %s", path,
                 (unsigned)(st.st_mode & 07777), path);
        return false;
    }
    unsigned wrong = pull_headers_parse(h, (size_t)len);
    if (wrong != 0)
        snprintf(why, size, "header_file %s: line %u is no Name: value", path, wrong);
    return wrong == 0;
}

void pull_headers_free(struct pull_headers *h)
{
    if (h->text != NULL)
        explicit_bzero(h->text, h->size);
    free(h->text);
    *h = (struct pull_headers){.text = NULL};
}
