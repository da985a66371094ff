/*
 * fuzz_cache_log.c: a segment of a cache node's log as it may lie on a disk: good records, damaged ones, garbage, and
 * heads that are sealed and lie (cache_log_record.h, cache_log_read.h, cache_log_replay.c). What comes
 * back must be exactly the good ones up to the last end of a turn; and once it is opened, a second time finds nothing
 * to cut.
 */
#include "common/buffer.h"
#include "workers/cache/log/cache_log_record.h"
#include "workers/cache/log/cache_log_segment.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define GOOD_MAX 4096

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static const struct cache_log_name name = {1, 0x0123456789abcdef};

/* What is written, and what must be read. */
struct segment {
    struct buffer bytes;
    uint64_t good, whole; /* records; those of them up to a turn's end */
    uint64_t seen;
};

struct input {
    const unsigned char *at;
    size_t left;
};

static unsigned take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static struct slice take_bytes(struct input *in, size_t len)
{
    len = len < in->left ? len : in->left;
    struct slice s = slice_make(in->at, len);
    in->at += len;
    in->left -= len;
    return s;
}

static uint32_t seed_at(size_t offset)
{
    return cache_log_segment_seed(cache_log_segment_base(&name), offset);
}

/* A record, whose version is its number; `flip` damages one byte of it. */
static void put_record(struct segment *s, struct input *in, bool flip)
{
    unsigned what = take(in), key = take(in) % 16, value = take(in), where = flip ? take(in) : 0;
    struct cache_log_record r = {.kind = what % 5,
                                 .form = what / 4 % 4,
                                 .dirty = what / 16 % 2,
                                 .behind = what / 64 % 2,
                                 .expiry_ms = what / 32 % 2 == 0 ? INT64_MAX : (int64_t)what,
                                 .version = s->good,
                                 .key = take_bytes(in, key),
                                 .value = take_bytes(in, value)};
    size_t at = s->bytes.len, len = cache_log_size(&r);
    char *to = buffer_reserve(&s->bytes, len);
    bool last = what >= 128;
    if (to == NULL)
        abort();
    cache_log_record_write(to, &r, seed_at(at));
    cache_log_record_seal(to, seed_at(at), last);
    s->bytes.len += len;
    if (flip) {
        to[where % len] ^= 1;
        return;
    }
    s->good++;
    s->whole = last ? s->good : s->whole;
}

/* A head as it comes, with the checksum that it needs to be believed. */
static void put_liar(struct segment *s, struct input *in)
{
    char head[CACHE_LOG_HEAD_MAX] = "";
    struct slice raw = take_bytes(in, sizeof head);
    memcpy(head, raw.ptr, raw.len);
    cache_log_record_seal(head, seed_at(s->bytes.len), head[0] % 2 == 0);
    buffer_append(&s->bytes, head, sizeof head);
}

static void put_head(struct segment *s, struct input *in)
{
    char head[CACHE_LOG_SEGMENT_HEAD];
    cache_log_head_write(&name, 0, head);
    if (take(in) % 4 == 3) {
        struct slice raw = take_bytes(in, sizeof head);
        memcpy(head, raw.ptr, raw.len);
        head[31] ^= 1; /* damaged for sure */
    }
    buffer_append(&s->bytes, head, sizeof head);
}

static void put_all(struct segment *s, struct input *in)
{
    put_head(s, in);
    while (in->left > 0 && s->good < GOOD_MAX) {
        unsigned op = take(in);
        if (op % 4 == 3)
            put_liar(s, in);
        else if (op % 4 == 2)
            buffer_append_slice(&s->bytes, take_bytes(in, op / 4));
        else
            put_record(s, in, op % 4 == 1);
    }
}

static int on_records(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx)
{
    struct segment *s = ctx;
    if (segment != name.number)
        abort();
    for (size_t i = 0; i < count; i++)
        if (r[i].version != s->seen++)
            abort();
    return 0;
}

static char dir[64];

static void remove_directory(void)
{
    char path[128], text[CACHE_LOG_NAME_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, cache_log_name_write(&name, text));
    unlink(path);
    rmdir(dir);
}

static const char *directory(void)
{
    if (dir[0] != '\0')
        return dir;
    /* In memory, if there is some: else it is the disk that is tested. */
    const char *base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(dir, sizeof dir, "%s/fuzz-cache-log.XXXXXX", base);
    if (mkdtemp(dir) == NULL)
        abort();
    atexit(remove_directory);
    return dir;
}

static void put_file(const struct segment *s)
{
    char path[128], text[CACHE_LOG_NAME_SIZE];
    snprintf(path, sizeof path, "%s/%s", directory(), cache_log_name_write(&name, text));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (write(fd, s->bytes.data, s->bytes.len) != (ssize_t)s->bytes.len)
        abort();
    close(fd);
}

static void expect(uv_loop_t *loop, struct segment *s, struct cache_log_found *found)
{
    struct cache_log_options options = {.dir = directory(), .segment_max = 4096};
    struct cache_log_events events = {.on_records = on_records};
    struct cache_log *l;
    char why[512];
    s->seen = 0;
    if (cache_log_open(loop, &options, &events, s, NULL, found, &l, why, sizeof why) != 0 ||
        s->seen != s->whole || found->records != s->whole)
        abort();
    cache_log_close(l);
    uv_run(loop, UV_RUN_DEFAULT);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static uv_loop_t loop;
    struct segment s = {.bytes = BUFFER_EMPTY};
    struct input in = {data, size};
    struct cache_log_found first, second;
    if (loop.data == NULL && uv_loop_init(&loop) != 0)
        abort();
    loop.data = &loop;
    put_all(&s, &in);
    put_file(&s);
    expect(&loop, &s, &first);
    expect(&loop, &s, &second);
    if (second.cut_bytes != 0 || second.damaged != first.damaged)
        abort();
    buffer_fini(&s.bytes);
    return 0;
}
