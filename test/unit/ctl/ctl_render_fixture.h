/*
 * ctl_render_fixture.h: an answer as JSON text, and what is shown of it.
 *
 * Included by one suite each, which is one process.
 */
#ifndef TEST_UNIT_CTL_CTL_RENDER_FIXTURE_H
#define TEST_UNIT_CTL_CTL_RENDER_FIXTURE_H

#include "master/ctl/ctl_render.h"
#include "test/unit/suite.h"

static struct buffer out;
static json_t *value;

static void teardown(void)
{
    json_decref(value);
    value = NULL;
    buffer_fini(&out);
}

static inline json_t *from_json(const char *text)
{
    json_error_t error;
    json_decref(value);
    value = json_loads(text, JSON_DECODE_ANY, &error);
    ck_assert_msg(value != NULL, "%s in %s", error.text, text);
    return value;
}

static inline const char *shown(void)
{
    const char *text = buffer_text(&out);
    ck_assert_ptr_nonnull(text);
    return text;
}

#endif
