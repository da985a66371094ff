/*
 * fuzz_pull_headers.c: the lines of a header_file (workers/snapshot/pull_answer.h). What is sent of it is a name and a
 * value that make one line of a request, whatever the file holds.
 */
#include "workers/snapshot/pull_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void check(const struct pull_headers *h, const struct http_header *one)
{
    size_t len = strlen(one->name);
    if (len == 0 || strcspn(one->name, ": \t\r\n\"(),/") != len || one->value.len == 0)
        abort();
    if (one->name < h->text || one->value.ptr <= one->name + len ||
        one->value.ptr + one->value.len > h->text + h->size)
        abort();
    for (size_t i = 0; i < one->value.len; i++)
        if (one->value.ptr[i] == '\r' || one->value.ptr[i] == '\n' || one->value.ptr[i] == '\0')
            abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct pull_headers h = {.text = malloc(size), .size = size};
    size_t lines = 1;
    if (h.text == NULL)
        return 0;
    if (size > 0)
        memcpy(h.text, data, size);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    unsigned wrong = pull_headers_parse(&h, size);
    if (h.count > PULL_HEADERS_MAX || wrong > lines || (wrong != 0 && h.count >= wrong))
        abort();
    for (size_t i = 0; i < h.count; i++)
        check(&h, &h.list[i]);
    pull_headers_free(&h);
    return 0;
}
