/* test_config_settings.c: when what a worker is told counts as the same, in a reload and after an upgrade. */
#include "master/build/config_settings.h"

#include "common/pack.h"
#include "test/unit/suite.h"

#include <stdarg.h>

/* Names and values in turn, up to NULL. */
static struct buffer settings(const char *name, ...)
{
    struct buffer pairs = BUFFER_EMPTY, out = BUFFER_EMPTY;
    uint32_t count = 0;
    va_list args;
    va_start(args, name);
    for (const char *text = name; text != NULL; text = va_arg(args, const char *), count++)
        pack_text(&pairs, text);
    va_end(args);
    pack_map(&out, count / 2);
    buffer_append(&out, pairs.data, pairs.len);
    buffer_fini(&pairs);
    return out;
}

static bool still(struct buffer then, struct buffer now)
{
    bool is = config_settings_still(buffer_slice(&then), buffer_slice(&now));
    buffer_fini(&then);
    buffer_fini(&now);
    return is;
}

/* An upgrade in place restarts nobody who has not been given another configuration. */
START_TEST(what_newer_builds_tell_besides_is_no_change)
{
    struct buffer a = settings("x", "1", "y", "2", NULL), b = settings("y", "2", "x", "1", NULL);
    ck_assert(config_settings_same(buffer_slice(&a), buffer_slice(&b)));
    ck_assert(still(a, b));
    ck_assert(still(settings("x", "1", NULL),
                    settings("command.lock", "/l", "x", "1", "command.reason", " # ", NULL)));
    ck_assert(still(settings("x", "1", NULL), settings("x", "1", "store.region", "r", NULL)));
    ck_assert(still(settings("x", "1", NULL), settings("store/a.b.region", "r", "x", "1", NULL)));
    ck_assert(!still(settings("x", "1", NULL), settings("store/a.path", "r", "x", "1", NULL)));
    ck_assert(!still(settings("x", "1", NULL), settings("stores/a.region", "r", "x", "1", NULL)));
    ck_assert(!still(settings("x", "1", NULL), settings("x", "1", "store/region", "r", NULL)));
    ck_assert(!still(settings("x", "1", NULL), settings("x", "2", NULL)));
    ck_assert(!still(settings("x", "1", "command.lock", "/l", NULL),
                     settings("x", "1", "command.lock", "/m", NULL)));
    ck_assert(!still(settings("x", "1", "command.lock", "/l", NULL), settings("x", "1", NULL)));
    ck_assert(!still(settings("command.argv.0", "a", NULL),
                     settings("command.argv.0", "a", "command.argv.1", "b", NULL)));
    ck_assert(!still(settings("x", "1", "y", "2", NULL), settings("x", "1", NULL)));
    ck_assert(!still(settings("x", "1", NULL), BUFFER_EMPTY));
}
END_TEST

SUITE_MAIN("config_settings", what_newer_builds_tell_besides_is_no_change)
