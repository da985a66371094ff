/*
 * fuzz_cgi.c: the head of git's http-backend (workers/snapshot/web/web_cgi.h). A head is read the same once its end is
 * here, whatever comes behind it, and before that it is not read.
 */
#include "workers/snapshot/web/web_cgi.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    struct web_cgi_head whole = {.status = 0}, same = {.status = 0};
    enum web_cgi how = web_cgi_read(bytes, &whole);
    if (how != WEB_CGI_READ)
        return 0;
    if (whole.status < 200 || whole.status > 599 || whole.type == NULL || whole.len == 0 ||
        whole.len > size || whole.len > WEB_CGI_HEAD_MAX || bytes.ptr[whole.len - 1] != '\n')
        abort();
    if (web_cgi_read(slice_make(bytes.ptr, whole.len), &same) != WEB_CGI_READ ||
        same.status != whole.status || same.type != whole.type || same.len != whole.len)
        abort();
    for (size_t len = 0; len < whole.len; len++)
        if (web_cgi_read(slice_make(bytes.ptr, len), &same) != WEB_CGI_MORE)
            abort();
    return 0;
}
