/* fuzz_template.c: templates (common/template.h). The input is the template's text, a NUL, and a member. */
#include "common/template.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static const struct template_field fields[] = {{{"a", 1}, {"\0\xff", 2}}, {{"b", 1}, {"", 0}}};
    char *text = slice_dup(slice_make(data, size));
    struct template *t = NULL;
    struct slice missing;
    struct buffer out = BUFFER_EMPTY;
    char why[64];
    if (text != NULL && template_compile(text, &t, why, sizeof why) == 0) {
        size_t len = strlen(text);
        struct slice member =
            len < size ? slice_make(text + len + 1, size - len - 1) : slice_of("");
        template_expand(t, member, fields, 2, &out, &missing);
    }
    template_free(t);
    buffer_fini(&out);
    free(text);
    return 0;
}
