/* cache_form.c: see cache_form.h. */
#include "workers/cache/cache_form.h"

static const char *const form_names[] = {
    [CACHE_FORM_BYTES] = "bytes", [CACHE_FORM_STRING] = "string", [CACHE_FORM_TERM] = "term"};

#define FORMS (sizeof form_names / sizeof form_names[0])

const char *cache_form_name(unsigned form)
{
    return form_names[form < FORMS ? form : CACHE_FORM_BYTES];
}

bool cache_form_find(struct slice name, enum cache_form *form)
{
    for (size_t i = 0; i < FORMS; i++)
        if (slice_is(name, form_names[i])) {
            *form = (enum cache_form)i;
            return true;
        }
    return false;
}
