/*
 * puts.c: bare curl_multi putting objects into a bucket, with nothing of platoon's: what a store's puts are compared
 * with.
 *
 * Usage: puts URL REGION ACCESS_KEY SECRET_KEY COUNT PARALLEL SHA256 BODY [HEADER…]. Objects are URL/bare/NUMBER, all
 * with that body, whose hash is not taken here, and these headers. Signed by curl itself. Prints milliseconds, how many
 * were answered 200, and the processor time it took, in microseconds; to stderr, what was answered else.
 */
#include <curl/curl.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#define PUTS_PARALLEL_MAX 256
#define PUTS_WORDS        9 /* before the headers */
#define PUTS_LIMIT_S      60L

struct puts_options {
    const char *url, *sigv4, *user, *body;
    struct curl_slist *headers;
    long count;
};

static long puts_begun, puts_ended, puts_done;

static uint64_t puts_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t puts_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static size_t puts_drop(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    (void)ctx;
    return size * count;
}

static void puts_next(const struct puts_options *o, CURL *easy)
{
    char url[1024];
    snprintf(url, sizeof url, "%s/bare/%ld", o->url, puts_begun++);
    curl_easy_setopt(easy, CURLOPT_URL, url);
}

static CURL *puts_easy(const struct puts_options *o)
{
    CURL *easy = curl_easy_init();
    if (easy == NULL)
        exit(1);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, o->body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, o->headers);
    curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, o->sigv4);
    curl_easy_setopt(easy, CURLOPT_USERPWD, o->user);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, puts_drop);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT, PUTS_LIMIT_S);
    puts_next(o, easy);
    return easy;
}

/* Those that have ended begin with the next object, or end for good. */
static void puts_turn(const struct puts_options *o, CURLM *multi)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left)) != NULL;) {
        long status = 0;
        CURL *easy = m->easy_handle;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        puts_ended++;
        puts_done += m->data.result == CURLE_OK && status == 200;
        if (m->data.result != CURLE_OK || status != 200)
            fprintf(stderr, "puts: %s, status %ld\n", curl_easy_strerror(m->data.result), status);
        curl_multi_remove_handle(multi, easy);
        if (puts_begun < o->count) {
            puts_next(o, easy);
            curl_multi_add_handle(multi, easy);
        } else {
            curl_easy_cleanup(easy);
        }
    }
}

/* Until all have ended, not until none runs: what ended in a perform, all 32 perhaps, is followed in the next turn. */
static void puts_all(const struct puts_options *o, long parallel)
{
    CURLM *multi = curl_multi_init();
    int running;
    if (multi == NULL)
        exit(1);
    for (long i = 0; i < parallel && puts_begun < o->count; i++)
        curl_multi_add_handle(multi, puts_easy(o));
    while (puts_ended < o->count) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            exit(1);
        puts_turn(o, multi);
        curl_multi_perform(multi, &running);
        if (running > 0)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    curl_multi_cleanup(multi);
}

/* All of them, or it ends. */
static struct curl_slist *puts_headers(const char *hash, char **more)
{
    struct curl_slist *list = curl_slist_append(NULL, hash);
    for (; list != NULL && *more != NULL; more++) {
        struct curl_slist *grown = curl_slist_append(list, *more);
        if (grown == NULL)
            curl_slist_free_all(list);
        list = grown;
    }
    if (list == NULL)
        exit(1);
    return list;
}

int main(int argc, char **argv)
{
    char sigv4[128], user[256], hash[128];
    if (argc < PUTS_WORDS) {
        fprintf(
            stderr,
            "usage: puts URL REGION ACCESS_KEY SECRET_KEY COUNT PARALLEL SHA256 BODY [HEADER…]\n");
        return 2;
    }
    snprintf(sigv4, sizeof sigv4, "aws:amz:%s:s3", argv[2]);
    snprintf(user, sizeof user, "%s:%s", argv[3], argv[4]);
    snprintf(hash, sizeof hash, "x-amz-content-sha256: %s", argv[7]);
    struct puts_options o = {
        .url = argv[1], .sigv4 = sigv4, .user = user, .body = argv[8], .count = atol(argv[5])};
    long parallel = atol(argv[6]);
    if (parallel < 1 || parallel > PUTS_PARALLEL_MAX || curl_global_init(CURL_GLOBAL_ALL) != 0)
        return 1;
    o.headers = puts_headers(hash, argv + PUTS_WORDS);
    uint64_t began = puts_now_ms();
    puts_all(&o, parallel);
    printf("%" PRIu64 " %ld %" PRIu64 "\n", puts_now_ms() - began, puts_done, puts_cpu_us());
    curl_slist_free_all(o.headers);
    curl_global_cleanup();
    return puts_done == o.count ? 0 : 1;
}
