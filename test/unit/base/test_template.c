/* test_template.c: templates over fields (common/template.h). */
#include "common/template.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct template_field fields[] = {
    {{"app", 3}, {"shop", 4}},
    {{"empty", 5}, {"", 0}},
    {{"bin", 3}, {"\0\xff", 2}},
    {{"member", 6}, {"a field", 7}},
};

START_TEST(expansions)
{
    static const struct {
        const char *text;
        const char *wanted; /* NULL: missing */
        const char *missing;
        bool constant;
    } cases[] = {
        {"", "", NULL, true},
        {"visits", "visits", NULL, true},
        {"{app}", "shop", NULL, false},
        {"{member}", "v:1", NULL, false}, /* not the field of that name */
        {"{app}/{member}/x", "shop/v:1/x", NULL, false},
        {"[{empty}]", "[]", NULL, false},
        {"[{empty|no}]", "[]", NULL, false}, /* empty is not missing */
        {"{app|x}{none|unknown}", "shopunknown", NULL, false},
        {"{none|}", "", NULL, false},
        {"{none|a b|c}", "a b|c", NULL, false},
        {"{{app}}", "{app}", NULL, true},
        {"{{{app}}}", "{shop}", NULL, false},
        {"a}}b{{c", "a}b{c", NULL, true},
        {"{App}", NULL, "App", false},
        {"{app}{none}", NULL, "none", false},
        {"{ app}", NULL, " app", false},
        {"{ä}", NULL, "ä", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct template *t = NULL;
        struct buffer out = BUFFER_EMPTY;
        struct slice missing = slice_of("untouched");
        char why[256];
        ck_assert_msg(template_compile(cases[i].text, &t, why, sizeof why) == 0, "%s: %s",
                      cases[i].text, why);
        int rc = template_expand(t, slice_of("v:1"), fields, sizeof fields / sizeof *fields, &out,
                                 &missing);
        if (cases[i].wanted != NULL) {
            ck_assert_int_eq(rc, 0);
            ck_assert_str_eq(buffer_text(&out), cases[i].wanted);
            ck_assert(slice_is(missing, "untouched"));
        } else {
            ck_assert_int_eq(rc, -ENOENT);
            ck_assert(slice_is(missing, cases[i].missing));
        }
        ck_assert_int_eq(template_is_constant(t), cases[i].constant);
        template_free(t);
        buffer_fini(&out);
    }
}
END_TEST

START_TEST(binary_goes_through)
{
    struct template *t = NULL;
    struct buffer out = BUFFER_EMPTY;
    struct slice missing;
    char why[256];
    ck_assert_int_eq(template_compile("<{bin}>", &t, why, sizeof why), 0);
    ck_assert_int_eq(template_expand(t, slice_of(""), fields, 4, &out, &missing), 0);
    ck_assert_uint_eq(out.len, 4);
    ck_assert_mem_eq(out.data, "<\0\xff>", 4);
    template_free(t);
    buffer_fini(&out);
}
END_TEST

START_TEST(mistakes_are_named)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{", "column 1"},         {"{app", "column 1"},    {"ab{app", "column 3"},
        {"}", "column 1"},         {"a}b", "column 2"},     {"{}", "name no field"},
        {"{|x}", "name no field"}, {"{a{b}", "not closed"}, {"{{{", "column 3"},
        {"}}}", "column 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct template *t = (struct template *)(uintptr_t)1;
        char why[256] = "";
        ck_assert_msg(template_compile(cases[i].text, &t, why, sizeof why) == -EINVAL, "%s",
                      cases[i].text);
        ck_assert_msg(strstr(why, cases[i].says) != NULL, "%s: %s", cases[i].text, why);
        ck_assert_ptr_eq(t, (struct template *)(uintptr_t)1); /* untouched */
    }
}
END_TEST

START_TEST(pieces_are_bounded)
{
    struct buffer text = BUFFER_EMPTY;
    struct template *t = NULL;
    char why[256];
    for (int i = 0; i < TEMPLATE_PARTS_MAX; i++)
        buffer_append_text(&text, "{a}");
    ck_assert_int_eq(template_compile(buffer_text(&text), &t, why, sizeof why), 0);
    template_free(t);
    buffer_append_text(&text, "{a}");
    ck_assert_int_eq(template_compile(buffer_text(&text), &t, why, sizeof why), -EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "64"));
    buffer_fini(&text);
    template_free(NULL);
}
END_TEST

START_TEST(random_text_never_crashes)
{
    srand(3);
    for (int round = 0; round < 50000; round++) {
        static const char letters[] = "{}|ab{}";
        char text[24];
        size_t n = (size_t)rand() % (sizeof text - 1);
        for (size_t i = 0; i < n; i++)
            text[i] = letters[(size_t)rand() % (sizeof letters - 1)];
        text[n] = '\0';
        char *exact = strdup(text);
        struct template *t = NULL;
        struct buffer out = BUFFER_EMPTY;
        struct slice missing;
        char why[64];
        if (template_compile(exact, &t, why, sizeof why) == 0)
            template_expand(t, slice_of("m"), fields, 4, &out, &missing);
        template_free(t);
        buffer_fini(&out);
        free(exact);
    }
}
END_TEST

SUITE_MAIN("template", expansions, binary_goes_through, mistakes_are_named, pieces_are_bounded,
           random_text_never_crashes)
