/* ctl_dot.c: see ctl_dot.h. */
#include "master/ctl/ctl_dot.h"

/* Names of nodes hold no quote or backslash (config_check.c); a master that sends one is not believed. */
void ctl_dot_text(struct buffer *out, const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        buffer_append_char(out, *c == '"' || *c == '\\' || (unsigned char)*c < ' ' ? '?' : *c);
}

void ctl_dot_name(struct buffer *out, const char *name)
{
    buffer_append_char(out, '"');
    ctl_dot_text(out, name);
    buffer_append_char(out, '"');
}
