/* config_errors.c: the collected errors of a file. See config_errors.h. */
#include "master/config/config_errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void config_errors_add(struct config_errors *e, unsigned line, const char *format, ...)
{
    if (e->count == CONFIG_ERRORS_MAX) {
        e->more = true;
        return;
    }
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        e->failed = true;
        return;
    }
    /* One line each: a value may hold anything. */
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' || *p == 127)
            *p = '?';
    }
    e->list[e->count++] = (struct config_error){line, text};
}

/* Insertion sort: stable, so that errors of one line keep the order in which they were found; qsort need not be. */
static void sort_by_line(struct config_errors *e)
{
    for (size_t i = 1; i < e->count; i++) {
        struct config_error moving = e->list[i];
        size_t j = i;
        for (; j > 0 && e->list[j - 1].line > moving.line; j--)
            e->list[j] = e->list[j - 1];
        e->list[j] = moving;
    }
}

void config_errors_print(struct config_errors *e, const char *path, struct buffer *out)
{
    sort_by_line(e);
    for (size_t i = 0; i < e->count; i++)
        buffer_printf(out, "%s:%u: %s\n", path, e->list[i].line, e->list[i].text);
    if (e->more)
        buffer_printf(out, "%s:%u: more errors than the %d above; correct those first\n", path,
                      e->list[e->count - 1].line, CONFIG_ERRORS_MAX);
    if (e->failed)
        buffer_printf(out, "%s:1: out of memory while it was checked; free some and try again\n",
                      path);
}

void config_errors_fini(struct config_errors *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->list[i].text);
    e->count = 0;
}
