/*
 * backing_tool.c: asks a store of objects, as told on stdin, one line of answer to each line; for test_backing.py.
 *
 * backing_tool file PATH | s3 URL REGION CREDENTIALS [unconditional]
 *      check | get KEY | put KEY VERSION TEXT | fill KEY VERSION BYTES | delete KEY VERSION | erase KEY VERSION
 *      many COUNT BYTES: as many new objects, MANY_AT_ONCE at a time
 * An answer: RESULT VERSION LENGTH CRC-32C WHY, of get the beginning of the value in WHY's place; `many`: MILLISECONDS
 * and how many were done.
 */
#include "common/crc32c.h"
#include "workers/cache/backing/backing_file.h"
#include "workers/cache/backing/backing_s3.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define VALUE_MAX    (20u * 1024 * 1024)
#define TIMEOUT_MS   5000
#define MANY_AT_ONCE 32

static uv_loop_t loop;
static struct backing *store;
static char value[VALUE_MAX];
static bool done;

static const char *const results[] = {
    [BACKING_DONE] = "done", [BACKING_ABSENT] = "absent",       [BACKING_NEWER] = "newer",
    [BACKING_AWAY] = "away", [BACKING_FORBIDDEN] = "forbidden", [BACKING_REFUSED] = "refused"};

static void on_answer(const struct backing_answer *answer, void *ctx)
{
    int shown = answer->value.len < 40 ? (int)answer->value.len : 40;
    (void)ctx;
    printf("%s %" PRIu64 " %zu %" PRIu32 " %.*s%s\n", results[answer->result], answer->meta.version,
           answer->value.len, crc32c(0, answer->value), shown, answer->value.ptr, answer->why);
    done = true;
}

/* ---- many at once ---- */

static unsigned many_left, many_under_way, many_done;
static size_t many_bytes;

static void many_next(void);

static void on_many(const struct backing_answer *answer, void *ctx)
{
    (void)ctx;
    many_under_way--;
    many_done += answer->result == BACKING_DONE;
    many_next();
}

static void many_next(void)
{
    struct backing_meta meta = {.version = 1, .expiry_ms = BACKING_NEVER};
    struct backing_call *call;
    char key[32];
    while (many_left > 0 && many_under_way < MANY_AT_ONCE) {
        snprintf(key, sizeof key, "many/%u", many_left--);
        many_under_way++;
        if (store->ops->put(store, slice_of(key), slice_make(value, many_bytes), &meta, 60000,
                            on_many, NULL, &call) != 0)
            exit(1);
    }
    done = many_under_way == 0;
}

static void run_many(unsigned count, size_t bytes)
{
    uint64_t began = uv_hrtime();
    many_left = count;
    many_bytes = bytes;
    many_next();
    while (!done)
        uv_run(&loop, UV_RUN_ONCE);
    printf("%" PRIu64 " %u\n", (uv_hrtime() - began) / 1000000, many_done);
}

/* ---- one ---- */

static int ask(const char *verb, struct slice key, uint64_t version, const char *text)
{
    const struct backing_ops *ops = store->ops;
    struct backing_meta meta = {.version = version, .expiry_ms = BACKING_NEVER};
    struct backing_call *call;
    if (strcmp(verb, "check") == 0)
        return ops->check(store, TIMEOUT_MS, on_answer, NULL, &call);
    if (strcmp(verb, "get") == 0)
        return ops->get(store, key, TIMEOUT_MS, on_answer, NULL, &call);
    if (strcmp(verb, "erase") == 0)
        return ops->erase(store, key, version, TIMEOUT_MS, on_answer, NULL, &call);
    meta.deleted = strcmp(verb, "delete") == 0;
    struct slice bytes = slice_of(text);
    if (strcmp(verb, "fill") == 0)
        bytes = slice_make(value, (size_t)strtoull(text, NULL, 10));
    return ops->put(store, key, bytes, &meta, TIMEOUT_MS, on_answer, NULL, &call);
}

static void obey(char *line)
{
    char verb[16] = "", key[1024] = "", text[1024] = "";
    uint64_t version = 0;
    int n = sscanf(line, "%15s %1023s %" SCNu64 " %1023[^\n]", verb, key, &version, text);
    done = false;
    if (n >= 1 && strcmp(verb, "many") == 0) {
        run_many((unsigned)atoi(key), version);
        return;
    }
    if (n < 1 || ask(verb, slice_of(key), version, text) != 0)
        exit(2);
    while (!done)
        uv_run(&loop, UV_RUN_ONCE);
}

static int open_store(int argc, char **argv)
{
    char why[S3_WHY_SIZE] = "memory is short";
    struct backing_file_options file = {.path = argc > 2 ? argv[2] : "", .value_max = VALUE_MAX};
    int rc = -1;
    if (argc == 3 && strcmp(argv[1], "file") == 0) {
        rc = backing_file_new(&loop, &file, &store);
    } else if (argc >= 5 && strcmp(argv[1], "s3") == 0) {
        struct backing_s3_options s3 = {.s3 = {.url = argv[2],
                                               .region = argv[3],
                                               .credentials_file = argv[4],
                                               .http = {.parallel = MANY_AT_ONCE,
                                                        .timeout_ms = 60000,
                                                        .answer_max = VALUE_MAX}},
                                        .conditional = argc == 5,
                                        .known_max = BACKING_S3_KNOWN,
                                        .known_ms = BACKING_S3_KNOWN_MS,
                                        .doubt_ms = BACKING_S3_DOUBT_MS};
        rc = backing_s3_new(&loop, &s3, &store, why, sizeof why);
    }
    if (rc != 0)
        printf("refused 0 0 0 %s\n", why);
    return rc;
}

int main(int argc, char **argv)
{
    static char line[4096];
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (char)(i * 2654435761u >> 24);
    if (uv_loop_init(&loop) != 0 || open_store(argc, argv) != 0)
        return 1;
    while (fgets(line, sizeof line, stdin) != NULL)
        obey(line);
    store->ops->free(store);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop) == 0 ? 0 : 1;
}
