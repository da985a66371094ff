/*
 * fuzz_s3_answer.c: what S3, or whatever stands in its place, says: a status, an error in XML, and what is kept of an
 * object beside its bytes (common/http/s3_error.h, workers/cache/backing/backing_meta.h). An error's text fits and is a
 * part of the body; only 2xx is done, and only a 404 says that there is nothing; what is read of an object is written
 * the same again.
 *
 * The first two bytes are the status, the rest is a body, and a text.
 */
#include "common/http/s3_error.h"
#include "workers/cache/backing/backing_meta.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void error(int status, struct slice body)
{
    char code[S3_CODE_SIZE], message[7];
    memset(code, 'x', sizeof code);
    s3_error_text(body, "Code", code, sizeof code);
    s3_error_text(body, "Message", message, sizeof message);
    if (strnlen(code, sizeof code) == sizeof code ||
        strnlen(message, sizeof message) == sizeof message ||
        (code[0] != '\0' && memmem(body.ptr, body.len, code, strlen(code)) == NULL))
        abort();
    enum s3_result result = s3_error_result(status, code);
    const char *remedy = s3_error_remedy(status, code);
    if ((result == S3_DONE) != (status >= 200 && status < 300) || result > S3_REFUSED ||
        (result == S3_ABSENT && status != 404) || (remedy != NULL && remedy[0] == '\0'))
        abort();
}

static void meta(struct slice text)
{
    struct backing_meta first = BACKING_META_NONE, second = BACKING_META_NONE;
    char written[BACKING_META_SIZE];
    if (!backing_meta_read(text, &first))
        return;
    if (!backing_meta_read(slice_of(backing_meta_write(&first, written)), &second) ||
        first.version != second.version || first.expiry_ms != second.expiry_ms ||
        first.form != second.form || first.deleted != second.deleted)
        abort();
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    struct slice rest = slice_make(data + 2, size - 2);
    error((data[0] | data[1] << 8) % 600, rest);
    meta(rest);
    return 0;
}
