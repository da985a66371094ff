/* test_worker_settings.c: the settings map of CONFIG (workers/skeleton/worker_private.h). */
#include "test/unit/suite.h"
#include "workers/skeleton/worker_private.h"

#include <errno.h>
#include <stdlib.h>

static void pack_pair(struct buffer *b, const char *name, const char *value)
{
    pack_text(b, name);
    pack_text(b, value);
}

static int read_map(struct worker_settings *s, const struct buffer *b)
{
    char *exact = malloc(b->len + (b->len == 0));
    memcpy(exact, b->data, b->len);
    int rc = worker_settings_read(s, slice_make(exact, b->len));
    free(exact); /* what was read must not need it */
    return rc;
}

static void note(const char *name, const char *value, void *ctx)
{
    buffer_printf(ctx, "%s=%s;", name, value);
}

START_TEST(found_by_name)
{
    struct worker_settings s = {0};
    struct buffer b = BUFFER_EMPTY, seen = BUFFER_EMPTY;
    pack_map(&b, 4);
    pack_pair(&b, "redis.url", "unix:///r.sock");
    pack_pair(&b, "queue.set", "");
    pack_pair(&b, "queue.batch", "500");
    pack_pair(&b, "queue", "x");
    ck_assert_int_eq(read_map(&s, &b), 0);
    ck_assert_str_eq(worker_settings_find(&s, "redis.url"), "unix:///r.sock");
    ck_assert_str_eq(worker_settings_find(&s, "queue.set"), "");
    ck_assert_ptr_null(worker_settings_find(&s, "redis"));
    ck_assert_ptr_null(worker_settings_find(&s, ""));
    worker_settings_each(&s, "queue.", note, &seen);
    ck_assert_str_eq(buffer_text(&seen), "queue.batch=500;queue.set=;");
    worker_settings_fini(&s);
    ck_assert_ptr_null(worker_settings_find(&s, "redis.url"));
    buffer_fini(&b);
    buffer_fini(&seen);
}
END_TEST

START_TEST(empty_map)
{
    struct worker_settings s = {0};
    ck_assert_int_eq(worker_settings_read(&s, slice_of("\x80")), 0);
    ck_assert_ptr_null(worker_settings_find(&s, "x"));
    worker_settings_fini(&s);
}
END_TEST

START_TEST(maps_that_are_none)
{
    static const struct slice maps[] = {
        {"", 0},
        {"\x90", 1},
        {"\x81\xa1x", 3},
        {"\x81\xa1x\x01", 4},
        {"\x81\x01\xa1x", 4},
        {"\x80\xc0", 2},
        {"\xdf\xff\xff\xff\xff", 5},
        {"\x81\xa2x\0\xa1y", 6},         /* a NUL in a name */
        {"\x82\xa1x\xa1y\xa1x\xa1z", 9}, /* twice */
    };
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        struct worker_settings s = {0};
        ck_assert_msg(worker_settings_read(&s, maps[i]) == -EBADMSG, "case %zu", i);
        ck_assert_ptr_null(s.list);
    }
}
END_TEST

START_TEST(bounded)
{
    for (unsigned count = WORKER_SETTINGS_MAX; count <= WORKER_SETTINGS_MAX + 1; count++) {
        struct worker_settings s = {0};
        struct buffer b = BUFFER_EMPTY;
        pack_map(&b, count);
        for (unsigned i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "k%u", i);
            pack_pair(&b, name, "v");
        }
        ck_assert_int_eq(read_map(&s, &b), count <= WORKER_SETTINGS_MAX ? 0 : -E2BIG);
        worker_settings_fini(&s);
        buffer_fini(&b);
    }
}
END_TEST

SUITE_MAIN("worker_settings", found_by_name, empty_map, maps_that_are_none, bounded)
