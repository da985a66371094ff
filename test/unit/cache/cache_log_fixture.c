/* cache_log_fixture.c: see cache_log_fixture.h. */
#include "test/unit/cache/cache_log_fixture.h"
#include "workers/cache/log/cache_log_private.h"

#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#define VALUE_MAX (1u << 20)

static char value[VALUE_MAX];

static struct slice log_value(uint32_t key, uint64_t version, uint32_t len)
{
    uint64_t x = version * 0x9e3779b97f4a7c15u + key;
    for (uint32_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        value[i] = (char)(x >> 56);
    }
    return slice_make(value, len);
}

static struct slice log_key(uint32_t key, char text[16])
{
    snprintf(text, 16, "key:%u", key);
    return slice_of(text);
}

static uint32_t log_key_number(struct slice key)
{
    char text[16];
    return slice_copy(key, text, sizeof text) && strncmp(text, "key:", 4) == 0
               ? (uint32_t)atoi(text + 4) % LOG_KEYS
               : LOG_KEYS;
}

static struct cache_log_record log_record(const struct log_fixture *f, uint32_t key, char text[16])
{
    const struct log_object *o = &f->state.objects[key];
    return (struct cache_log_record){.kind = CACHE_LOG_SET,
                                     .key = log_key(key, text),
                                     .value = log_value(key, o->version, o->len),
                                     .version = o->version,
                                     .expiry_ms = o->expiry_ms,
                                     .form = key % 4,
                                     .dirty = key % 2 == 1};
}

static size_t log_size(const struct log_object *o, uint32_t key)
{
    char text[16];
    struct cache_log_record r = {
        .key = log_key(key, text), .value = slice_make(value, o->len), .expiry_ms = o->expiry_ms};
    return cache_log_size(&r);
}

/* ---- events ---- */

static void on_expected(size_t count, void *ctx)
{
    ((struct log_fixture *)ctx)->expected = count;
}

static void on_record(struct log_fixture *f, const struct cache_log_record *r, uint32_t segment)
{
    uint32_t key = log_key_number(r->key);
    f->kinds[r->kind]++;
    if (key == LOG_KEYS) {
        f->wrong++;
        return;
    }
    struct log_object *o = &f->state.objects[key];
    *o = (struct log_object){0};
    f->segments[key] = 0;
    f->version = r->version > f->version ? r->version : f->version;
    if (r->kind != CACHE_LOG_SET)
        return;
    if (!slice_equal(r->value, log_value(key, r->version, (uint32_t)r->value.len)) ||
        r->form != key % 4 || r->dirty != (key % 2 == 1))
        f->wrong++;
    *o = (struct log_object){true, (uint32_t)r->value.len, r->version, r->expiry_ms};
    f->segments[key] = segment;
}

static int on_records(const struct cache_log_record *r, size_t count, uint32_t segment, void *ctx)
{
    struct log_fixture *f = ctx;
    f->most = count > f->most ? count : f->most;
    for (size_t i = 0; i < count; i++)
        on_record(f, &r[i], segment);
    return 0;
}

static void on_synced(void *ctx)
{
    ((struct log_fixture *)ctx)->synced++;
}

static bool is_alive(struct cache_log_record *r, uint32_t segment, void *ctx)
{
    static char text[16];
    struct log_fixture *f = ctx;
    uint32_t key = log_key_number(r->key);
    if (key == LOG_KEYS || r->kind != CACHE_LOG_SET || f->segments[key] != segment ||
        f->state.objects[key].version != r->version)
        return false;
    *r = log_record(f, key, text);
    return true;
}

static void on_moved(const struct cache_log_record *r, uint32_t segment, void *ctx)
{
    struct log_fixture *f = ctx;
    f->segments[log_key_number(r->key)] = segment;
    f->moved++;
}

static void on_beat(void *ctx)
{
    ((struct log_fixture *)ctx)->beats++;
}

/* ---- the log ---- */

void log_fixture_init(struct log_fixture *f)
{
    /* In memory, if there is some: what is tested is who syncs what and when, not how long a disk takes. */
    const char *base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
    *f = (struct log_fixture){.random = 1};
    snprintf(f->dir, sizeof f->dir, "%s/cache-log.XXXXXX", base);
    f->options = (struct cache_log_options){.segment_max = 4096, .fsync = CACHE_LOG_EVERYSEC};
    ck_assert_ptr_nonnull(mkdtemp(f->dir));
    ck_assert_int_eq(uv_loop_init(&f->loop), 0);
}

static void empty_dir(const char *dir)
{
    char path[sizeof(((struct log_fixture *)0)->dir) + NAME_MAX + 2];
    DIR *d = opendir(dir);
    for (const struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        unlink(path); /* not "." and ".." */
    }
    if (d != NULL)
        closedir(d);
    rmdir(dir);
}

void log_fixture_fini(struct log_fixture *f)
{
    if (f->log != NULL)
        log_fixture_close(f);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&f->loop), 0);
    empty_dir(f->dir);
}

/* What a replay found superseded: it is counted from what is left. */
static void tell_dead(struct log_fixture *f)
{
    struct cache_log_name *list;
    size_t count;
    int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(cache_log_dir_list(dir, &list, &count), 0);
    for (size_t i = 0; i < count; i++) {
        size_t alive = 0;
        uint64_t size = 0;
        int fd = cache_log_segment_open(dir, &list[i], &size);
        close(fd);
        for (uint32_t key = 0; key < LOG_KEYS; key++)
            if (f->segments[key] == list[i].number)
                alive += log_size(&f->state.objects[key], key);
        size = size > CACHE_LOG_SEGMENT_HEAD ? size - CACHE_LOG_SEGMENT_HEAD : 0;
        /* Damaged bytes were never alive; then this is more than there is, which must do no harm. */
        cache_log_dead(f->log, list[i].number, size > alive ? size - alive : 0);
    }
    free(list);
    close(dir);
}

int log_fixture_try_open(struct log_fixture *f)
{
    struct cache_log_events events = {on_expected, on_records, on_synced, is_alive, on_moved};
    f->options.dir = f->dir;
    memset(&f->state, 0, sizeof f->state);
    memset(f->segments, 0, sizeof f->segments);
    memset(f->kinds, 0, sizeof f->kinds);
    f->expected = f->most = 0;
    f->why[0] = '\0';
    return cache_log_open(&f->loop, &f->options, &events, f, on_beat, &f->found, &f->log, f->why,
                          sizeof f->why);
}

void log_fixture_open(struct log_fixture *f)
{
    int rc = log_fixture_try_open(f);
    ck_assert_msg(rc == 0, "%s", f->why);
    ck_assert_uint_eq(f->wrong, 0);
    tell_dead(f);
}

void log_fixture_close(struct log_fixture *f)
{
    ck_assert_int_eq(cache_log_close(f->log), 0);
    f->log = NULL;
    uv_run(&f->loop, UV_RUN_NOWAIT);
}

/* ---- memory ---- */

static void superseded(struct log_fixture *f, uint32_t key)
{
    if (f->segments[key] != 0)
        cache_log_dead(f->log, f->segments[key], log_size(&f->state.objects[key], key));
}

bool log_fixture_set(struct log_fixture *f, uint32_t key, uint32_t len)
{
    char text[16];
    struct log_object old = f->state.objects[key];
    f->state.objects[key] = (struct log_object){true, len, ++f->version,
                                                len % 3 == 0 ? INT64_MAX : (int64_t)f->version};
    struct cache_log_record r = log_record(f, key, text);
    uint32_t segment = cache_log_add(f->log, &r);
    struct log_object new = f->state.objects[key];
    f->state.objects[key] = old;
    if (segment == 0)
        return false;
    superseded(f, key);
    f->state.objects[key] = new;
    f->segments[key] = segment;
    return true;
}

bool log_fixture_delete(struct log_fixture *f, uint32_t key)
{
    char text[16];
    struct cache_log_record r = {.kind = CACHE_LOG_DELETE,
                                 .key = log_key(key, text),
                                 .version = ++f->version,
                                 .expiry_ms = INT64_MAX};
    uint32_t segment = cache_log_add(f->log, &r);
    if (segment == 0)
        return false;
    cache_log_dead(f->log, segment, cache_log_size(&r));
    superseded(f, key);
    f->state.objects[key] = (struct log_object){0};
    f->segments[key] = 0;
    return true;
}

uint32_t log_fixture_random(struct log_fixture *f, uint32_t below)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(f->random >> 33) % below;
}

void log_fixture_turn(struct log_fixture *f, uint32_t len, size_t clean)
{
    for (uint32_t i = 0, count = 1 + log_fixture_random(f, 6); i < count; i++) {
        uint32_t key = log_fixture_random(f, LOG_KEYS);
        if (log_fixture_random(f, 4) == 0)
            log_fixture_delete(f, key);
        else
            log_fixture_set(f, key, log_fixture_random(f, len));
    }
    if (clean > 0)
        cache_log_clean(f->log, clean);
}

void log_fixture_settle(struct log_fixture *f)
{
    for (int i = 0; i < 8; i++) { /* files, what they let go, and as many jobs as that takes */
        cache_log_tick(f->log);
        cache_log_syncer_wait(f->log->syncer);
        uv_run(&f->loop, UV_RUN_NOWAIT);
        cache_log_sync_done(f->log); /* its news may come later than it is through */
    }
}

void log_fixture_sync(struct log_fixture *f)
{
    uint64_t before;
    do {
        before = cache_log_synced(f->log);
        log_fixture_settle(f);
    } while (cache_log_synced(f->log) > before);
}

void log_fixture_rewrite(struct log_fixture *f)
{
    char text[16];
    uint32_t first = cache_log_rewrite_begin(f->log);
    ck_assert_uint_ne(first, 0);
    for (uint32_t key = 0; key < LOG_KEYS; key++) {
        if (!f->state.objects[key].there || f->segments[key] >= first)
            continue;
        struct cache_log_record r = log_record(f, key, text);
        uint32_t segment = cache_log_add(f->log, &r);
        ck_assert_uint_ge(segment, first);
        superseded(f, key);
        f->segments[key] = segment;
    }
    cache_log_rewrite_end(f->log);
}

bool log_state_equal(const struct log_state *a, const struct log_state *b)
{
    for (size_t i = 0; i < LOG_KEYS; i++) {
        const struct log_object *x = &a->objects[i], *y = &b->objects[i];
        if (x->there != y->there || x->len != y->len || x->version != y->version ||
            x->expiry_ms != y->expiry_ms)
            return false;
    }
    return true;
}

/* ---- files ---- */

static size_t list_segments(const struct log_fixture *f, struct cache_log_name **list)
{
    size_t count;
    int dir = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_eq(cache_log_dir_list(dir, list, &count), 0);
    close(dir);
    return count;
}

size_t log_fixture_segment_count(const struct log_fixture *f)
{
    struct cache_log_name *list;
    size_t count = list_segments(f, &list);
    free(list);
    return count;
}

const char *log_fixture_segment(const struct log_fixture *f, int n)
{
    static char path[128];
    char name[CACHE_LOG_NAME_SIZE];
    struct cache_log_name *list;
    size_t count = list_segments(f, &list);
    ck_assert_uint_gt(count, n < 0 ? 0 : (size_t)n);
    snprintf(path, sizeof path, "%s/%s", f->dir,
             cache_log_name_write(&list[n < 0 ? count - 1 : (size_t)n], name));
    free(list);
    return path;
}

uint64_t log_fixture_size(const char *path)
{
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

void log_fixture_flip(const char *path, uint64_t offset)
{
    char byte;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x20;
    ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void copy_file(int from_dir, int to_dir, const char *name)
{
    static char bytes[1 << 16];
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC);
    int to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    ssize_t n;
    while ((n = read(from, bytes, sizeof bytes)) > 0)
        ck_assert_int_eq(write(to, bytes, (size_t)n), n);
    ck_assert_int_eq(n, 0);
    close(from);
    close(to);
}

void log_fixture_copy(const struct log_fixture *from, struct log_fixture *to)
{
    char name[CACHE_LOG_NAME_SIZE];
    struct cache_log_name *list;
    size_t count = list_segments(from, &list);
    int from_dir = open(from->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    empty_dir(to->dir);
    ck_assert_int_eq(mkdir(to->dir, 0700), 0);
    int to_dir = open(to->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < count; i++)
        copy_file(from_dir, to_dir, cache_log_name_write(&list[i], name));
    if (faccessat(from_dir, "store", F_OK, 0) == 0)
        copy_file(from_dir, to_dir, "store");
    close(from_dir);
    close(to_dir);
    free(list);
    to->options = from->options;
}
