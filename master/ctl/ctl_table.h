/*
 * ctl_table.h: text in aligned columns, for people.
 *
 * Runs in platoonctl. Pure. A cell holds any bytes: what a terminal could take for a command, or what is not
 * UTF-8, is shown as \xNN. Width is counted in characters, each taken to be one column wide: good for names and
 * numbers, and exact only there.
 */
#ifndef MASTER_CTL_CTL_TABLE_H
#define MASTER_CTL_CTL_TABLE_H

#include "common/buffer.h"

enum ctl_color {
    CTL_PLAIN,
    CTL_BOLD,
    CTL_DIM,
    CTL_RED,
    CTL_GREEN,
    CTL_YELLOW,
    CTL_BLUE,
    CTL_REVERSE
};

struct ctl_column {
    const char *title;
    bool right; /* numbers: aligned to the right */
    bool cut;   /* gives way when the line is too long; at most one column */
};

struct ctl_cell {
    size_t at; /* into text */
    size_t len;
    enum ctl_color color;
};

#define CTL_TABLE_COLUMNS_MAX 20

struct ctl_row {
    bool note; /* cells[0] is what stands in front of each line of cells[1] */
    struct ctl_cell cells[CTL_TABLE_COLUMNS_MAX];
};

struct ctl_table {
    const struct ctl_column *columns;
    size_t column_count;
    struct buffer text;
    struct ctl_row *rows;
    size_t count;
    size_t capacity;
    size_t filled; /* cells of the row that is being written */
    bool failed;   /* memory ran out: rendering marks the output failed */
};

/* `columns` is borrowed. ctl_table_fini in every case. */
void ctl_table_init(struct ctl_table *t, const struct ctl_column *columns, size_t count);
void ctl_table_fini(struct ctl_table *t);

/* The next cell, left to right; the last of a row begins the next row. */
void ctl_table_cell(struct ctl_table *t, enum ctl_color color, struct slice text);
void ctl_table_printf(struct ctl_table *t, enum ctl_color color, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text on lines of its own below the last row, wrapped, each line behind `prefix`. Only between rows. */
void ctl_table_note(struct ctl_table *t, enum ctl_color color, struct slice prefix,
                    struct slice text);

/*
 * Appends the table: titles (unless all are empty), rows, notes. `width` is what a line may have; `color`
 * whether colours are written.
 */
void ctl_table_render(const struct ctl_table *t, size_t width, bool color, struct buffer *out);

/* Appends text with control bytes and what is not UTF-8 as \xNN. */
void ctl_append_safe(struct buffer *out, struct slice text);

/* Columns that text takes. */
size_t ctl_text_width(struct slice text);

/* Appends text in a colour, when there are colours. */
void ctl_append_color(struct buffer *out, bool on, enum ctl_color color, struct slice text);

#define CTL_BAR_SIZE 200 /* longest bar: bytes; a column takes three */

/* A bar of blocks: `value` of `most` within `columns` columns, in eighths; at least a sliver for what is not 0. */
char *ctl_bar(double value, double most, size_t columns, char text[CTL_BAR_SIZE]);

#endif
