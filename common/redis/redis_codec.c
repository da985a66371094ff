/* redis_codec.c: encodes commands with hiredis. See redis_codec.h. */
#include "common/redis/redis_codec.h"

#include <errno.h>
#include <hiredis.h>
#include <stdlib.h>
#include <string.h>

/* Commands of up to this many arguments need no memory for the two arrays hiredis wants. */
#define REDIS_CODEC_SMALL 32

static int redis_codec_format(size_t argc, const struct slice *argv, const char **texts,
                              size_t *lens, struct slice *bytes)
{
    for (size_t i = 0; i < argc; i++) {
        texts[i] = argv[i].ptr;
        lens[i] = argv[i].len;
    }
    char *command = NULL;
    /* int in hiredis 0.14, long long in 1.x */
    long long len = redisFormatCommandArgv(&command, (int)argc, texts, lens);
    if (len < 0)
        return -ENOMEM;
    *bytes = slice_make(command, (size_t)len);
    return 0;
}

int redis_codec_encode(size_t argc, const struct slice *argv, struct slice *bytes)
{
    if (argc == 0 || argc > REDIS_ARGC_MAX)
        return -EINVAL;
    if (argc <= REDIS_CODEC_SMALL) {
        const char *texts[REDIS_CODEC_SMALL];
        size_t lens[REDIS_CODEC_SMALL];
        return redis_codec_format(argc, argv, texts, lens, bytes);
    }
    const char **texts = malloc(argc * sizeof *texts);
    size_t *lens = malloc(argc * sizeof *lens);
    int rc = -ENOMEM;
    if (texts != NULL && lens != NULL)
        rc = redis_codec_format(argc, argv, texts, lens, bytes);
    free(texts);
    free(lens);
    return rc;
}

/* "*3\r\n", "$12\r\n": a sign, 20 digits at most, the line's end. */
#define REDIS_CODEC_HEAD_MAX 24

static char *redis_codec_head(char *to, char type, size_t value)
{
    char digits[REDIS_CODEC_HEAD_MAX], *at = digits + sizeof digits;
    do
        *--at = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    size_t len = (size_t)(digits + sizeof digits - at);
    *to++ = type;
    memcpy(to, at, len);
    memcpy(to + len, "\r\n", 2);
    return to + len + 2;
}

int redis_codec_append(size_t argc, const struct slice *argv, struct buffer *out)
{
    size_t most = REDIS_CODEC_HEAD_MAX;
    bool failed = out->failed;
    if (argc == 0 || argc > REDIS_ARGC_MAX)
        return -EINVAL;
    for (size_t i = 0; i < argc; i++)
        most += argv[i].len + REDIS_CODEC_HEAD_MAX + 2;
    char *to = buffer_reserve(out, most);
    if (to == NULL) {
        out->failed = failed;
        return -ENOMEM;
    }
    to = redis_codec_head(to, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        to = redis_codec_head(to, '$', argv[i].len);
        if (argv[i].len > 0)
            memcpy(to, argv[i].ptr, argv[i].len);
        memcpy(to + argv[i].len, "\r\n", 2);
        to += argv[i].len + 2;
    }
    out->len = (size_t)(to - out->data);
    return 0;
}

void redis_codec_free(struct slice bytes, bool secret)
{
    char *command = (char *)(uintptr_t)bytes.ptr;
    if (secret)
        explicit_bzero(command, bytes.len);
    redisFreeCommand(command);
}

int redis_codec_eval(struct slice evalsha, const char *text, struct buffer *out)
{
    /* "*5\r\n" "$7\r\nEVALSHA\r\n" "$40\r\n<sha>\r\n" and the rest */
    static const char name[] = "$7\r\nEVALSHA\r\n$40\r\n";
    const char *head_end = evalsha.len > 0 ? memchr(evalsha.ptr, '\n', evalsha.len) : NULL;
    if (head_end == NULL)
        return -EINVAL;
    size_t head = (size_t)(head_end - evalsha.ptr) + 1;
    size_t skip = head + sizeof name - 1 + REDIS_SHA_SIZE - 1 + 2;
    if (evalsha.len < skip || memcmp(evalsha.ptr + head, name, sizeof name - 1) != 0)
        return -EINVAL;
    buffer_append(out, evalsha.ptr, head);
    buffer_printf(out, "$4\r\nEVAL\r\n$%zu\r\n", strlen(text));
    buffer_append_text(out, text);
    buffer_append_text(out, "\r\n");
    buffer_append(out, evalsha.ptr + skip, evalsha.len - skip);
    return 0;
}
