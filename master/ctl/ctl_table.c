/* ctl_table.c: text in aligned columns. See ctl_table.h. */
#include "master/ctl/ctl_table.h"

#include "common/utf8.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE_GAP     2u
#define TABLE_CUT_MIN 8u /* a column that gives way keeps this much */

/* ---- text ---- */

/* Bytes of the character that starts here; 0 when it must not reach a terminal as it is. */
static size_t safe_character(struct slice text)
{
    return utf8_control(text) > 0 ? 0 : utf8_character(text);
}

void ctl_append_safe(struct buffer *out, struct slice text)
{
    while (text.len > 0) {
        size_t n = safe_character(text);
        if (n > 0) {
            buffer_append(out, text.ptr, n);
        } else {
            buffer_printf(out, "\\x%02x", (unsigned char)text.ptr[0]);
            n = 1;
        }
        text.ptr += n;
        text.len -= n;
    }
}

size_t ctl_text_width(struct slice text)
{
    size_t width = 0;
    for (size_t i = 0; i < text.len; i++)
        width += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    return width;
}

/* Bytes of the first `columns` characters. */
static size_t prefix_bytes(struct slice text, size_t columns)
{
    size_t i = 0;
    while (i < text.len) {
        if (((unsigned char)text.ptr[i] & 0xc0) != 0x80) {
            if (columns == 0)
                break;
            columns--;
        }
        i++;
    }
    return i;
}

void ctl_append_color(struct buffer *out, bool on, enum ctl_color color, struct slice text)
{
    static const char *const codes[] = {
        [CTL_PLAIN] = "",   [CTL_BOLD] = "1",    [CTL_DIM] = "2",   [CTL_RED] = "31",
        [CTL_GREEN] = "32", [CTL_YELLOW] = "33", [CTL_BLUE] = "34", [CTL_REVERSE] = "7",
    };
    bool wrap = on && color != CTL_PLAIN && text.len > 0;
    if (wrap)
        buffer_printf(out, "\x1b[%sm", codes[color]);
    buffer_append_slice(out, text);
    if (wrap)
        buffer_append_text(out, "\x1b[0m");
}

static void append_spaces(struct buffer *out, size_t count)
{
    while (count-- > 0)
        buffer_append_char(out, ' ');
}

char *ctl_bar(double value, double most, size_t columns, char text[CTL_BAR_SIZE])
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    if (columns > (CTL_BAR_SIZE - 1) / 3)
        columns = (CTL_BAR_SIZE - 1) / 3;
    double part = most > 0 && value > 0 ? value / most : 0;
    size_t units = (size_t)((part > 1 ? 1 : part) * (double)columns * 8 + 0.5);
    if (units == 0 && part > 0 && columns > 0)
        units = 1;
    char *to = text;
    for (size_t i = 0; i < units / 8; i++)
        to = stpcpy(to, "█");
    stpcpy(to, eighths[units % 8]);
    return text;
}

/* ---- filling ---- */

void ctl_table_init(struct ctl_table *t, const struct ctl_column *columns, size_t count)
{
    *t = (struct ctl_table){.columns = columns, .column_count = count};
}

void ctl_table_fini(struct ctl_table *t)
{
    free(t->rows);
    buffer_fini(&t->text);
    *t = (struct ctl_table){0};
}

static struct ctl_row *table_row(struct ctl_table *t)
{
    if (t->count == t->capacity) {
        size_t more = t->capacity == 0 ? 32 : t->capacity * 2;
        struct ctl_row *rows = reallocarray(t->rows, more, sizeof *rows);
        if (rows == NULL) {
            t->failed = true;
            return NULL;
        }
        t->rows = rows;
        t->capacity = more;
    }
    t->rows[t->count] = (struct ctl_row){0};
    return &t->rows[t->count++];
}

static struct ctl_cell table_text(struct ctl_table *t, enum ctl_color color, struct slice text)
{
    size_t at = t->text.len;
    ctl_append_safe(&t->text, text);
    return (struct ctl_cell){at, t->text.len - at, color};
}

void ctl_table_cell(struct ctl_table *t, enum ctl_color color, struct slice text)
{
    struct ctl_row *row = t->filled == 0 ? table_row(t) : &t->rows[t->count - 1];
    if (t->failed)
        return;
    row->cells[t->filled] = table_text(t, color, text);
    t->filled = (t->filled + 1) % t->column_count;
}

void ctl_table_printf(struct ctl_table *t, enum ctl_color color, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ctl_table_cell(t, color, slice_of(text));
}

void ctl_table_note(struct ctl_table *t, enum ctl_color color, struct slice prefix,
                    struct slice text)
{
    struct ctl_row *row = table_row(t);
    if (row == NULL)
        return;
    row->note = true;
    row->cells[0] = table_text(t, CTL_PLAIN, prefix);
    row->cells[1] = table_text(t, color, text);
}

/* ---- rendering ---- */

static struct slice cell_slice(const struct ctl_table *t, const struct ctl_cell *cell)
{
    return slice_make(t->text.data + cell->at, cell->len);
}

static void measure(const struct ctl_table *t, size_t width, size_t *widths)
{
    size_t total = 0;
    for (size_t c = 0; c < t->column_count; c++) {
        widths[c] = ctl_text_width(slice_of(t->columns[c].title));
        for (size_t r = 0; r < t->count; r++) {
            if (t->rows[r].note)
                continue;
            size_t w = ctl_text_width(cell_slice(t, &t->rows[r].cells[c]));
            if (w > widths[c])
                widths[c] = w;
        }
        total += widths[c] + (c > 0 ? TABLE_GAP : 0);
    }
    for (size_t c = 0; c < t->column_count && total > width; c++) {
        if (!t->columns[c].cut)
            continue;
        size_t over = total - width;
        size_t keep = widths[c] > over ? widths[c] - over : 0;
        total -= widths[c];
        widths[c] = keep > TABLE_CUT_MIN        ? keep
                    : widths[c] < TABLE_CUT_MIN ? widths[c]
                                                : TABLE_CUT_MIN;
        total += widths[c];
    }
}

/* One cell; *pending are the spaces that are written only when something follows, so that no line ends in blanks. */
static void render_cell(const struct ctl_column *column, struct slice text, enum ctl_color color,
                        bool colors, size_t width, size_t *pending, struct buffer *out)
{
    size_t has = ctl_text_width(text);
    bool cut = has > width;
    size_t pad = cut ? 0 : width - has;
    if (column->right)
        *pending += pad;
    if (text.len > 0) {
        append_spaces(out, *pending);
        *pending = 0;
        if (cut)
            text.len = prefix_bytes(text, width - 1);
        struct buffer shown = BUFFER_EMPTY;
        buffer_append_slice(&shown, text);
        if (cut)
            buffer_append_text(&shown, "…");
        if (!buffer_ok(&shown))
            out->failed = true;
        ctl_append_color(out, colors, color, buffer_slice(&shown));
        buffer_fini(&shown);
    }
    if (!column->right)
        *pending += pad;
    *pending += TABLE_GAP;
}

static void render_note(const struct ctl_table *t, const struct ctl_row *row, size_t width,
                        bool colors, struct buffer *out)
{
    struct slice prefix = cell_slice(t, &row->cells[0]);
    struct slice text = cell_slice(t, &row->cells[1]);
    size_t indent = ctl_text_width(prefix);
    size_t room = width > indent + 20 ? width - indent : 20;
    while (text.len > 0) {
        size_t n = prefix_bytes(text, room);
        if (n < text.len) {
            size_t blank = n;
            while (blank > 0 && text.ptr[blank] != ' ')
                blank--;
            n = blank > 0 ? blank : n;
        }
        buffer_append_slice(out, prefix);
        ctl_append_color(out, colors, row->cells[1].color, slice_make(text.ptr, n));
        buffer_append_char(out, '\n');
        while (n < text.len && text.ptr[n] == ' ')
            n++;
        text.ptr += n;
        text.len -= n;
    }
}

static bool has_titles(const struct ctl_table *t)
{
    for (size_t c = 0; c < t->column_count; c++) {
        if (t->columns[c].title[0] != '\0')
            return true;
    }
    return false;
}

void ctl_table_render(const struct ctl_table *t, size_t width, bool color, struct buffer *out)
{
    if (t->failed || !buffer_ok(&t->text)) {
        out->failed = true;
        return;
    }
    size_t widths[CTL_TABLE_COLUMNS_MAX];
    measure(t, width, widths);
    size_t pending = 0;
    for (size_t c = 0; c < t->column_count; c++)
        render_cell(&t->columns[c], slice_of(t->columns[c].title), CTL_BOLD, color, widths[c],
                    &pending, out);
    if (has_titles(t))
        buffer_append_char(out, '\n');
    for (size_t r = 0; r < t->count; r++) {
        const struct ctl_row *row = &t->rows[r];
        if (row->note) {
            render_note(t, row, width, color, out);
            continue;
        }
        pending = 0;
        for (size_t c = 0; c < t->column_count; c++)
            render_cell(&t->columns[c], cell_slice(t, &row->cells[c]), row->cells[c].color, color,
                        widths[c], &pending, out);
        buffer_append_char(out, '\n');
    }
}
