/* erlang_control.c: see erlang_control.h. */
#include "workers/erlang/erlang_control.h"

#include "workers/erlang/erlang_write.h"

#define CONTROL_PASS_THROUGH  112 /* the byte in front of each message */
#define CONTROL_ELEMENTS_MAX  6
#define CONTROL_MONITOR_ENDED 21
#define CONTROL_LINK_ENDED    3
#define CONTROL_UNLINKED      36
#define CONTROL_SEND          2

/*
 * What may come. A column is the place of an element in the tuple, 0 of none; `elements` with the number in front.
 * ei tells its peers that it knows no payloads of exits, fragments, or spawns, so that none of these come; of what is
 * not here nobody waits for an answer.
 */
static const struct control_row {
    unsigned number, elements;
    enum erlang_control_kind kind;
    unsigned from, to, id;
} control_rows[] = {
    {1, 3, ERLANG_CONTROL_LINK, 1, 2, 0},     /* LINK */
    {2, 3, ERLANG_CONTROL_MESSAGE, 0, 2, 0},  /* SEND */
    {3, 4, ERLANG_CONTROL_NONE, 1, 2, 0},     /* EXIT */
    {4, 3, ERLANG_CONTROL_NONE, 1, 2, 0},     /* UNLINK */
    {6, 4, ERLANG_CONTROL_MESSAGE, 1, 3, 0},  /* REG_SEND */
    {7, 3, ERLANG_CONTROL_NONE, 1, 2, 0},     /* GROUP_LEADER */
    {8, 4, ERLANG_CONTROL_NONE, 1, 2, 0},     /* EXIT2 */
    {12, 4, ERLANG_CONTROL_MESSAGE, 0, 2, 0}, /* SEND_TT */
    {13, 5, ERLANG_CONTROL_NONE, 1, 2, 0},    /* EXIT_TT */
    {16, 5, ERLANG_CONTROL_MESSAGE, 1, 3, 0}, /* REG_SEND_TT */
    {18, 5, ERLANG_CONTROL_NONE, 1, 2, 0},    /* EXIT2_TT */
    {19, 4, ERLANG_CONTROL_MONITOR, 1, 2, 3}, /* MONITOR_P */
    {20, 4, ERLANG_CONTROL_NONE, 1, 2, 3},    /* DEMONITOR_P */
    {22, 3, ERLANG_CONTROL_MESSAGE, 1, 2, 0}, /* SEND_SENDER */
    {23, 4, ERLANG_CONTROL_MESSAGE, 1, 2, 0}, /* SEND_SENDER_TT */
    {35, 4, ERLANG_CONTROL_UNLINK, 2, 3, 1},  /* UNLINK_ID */
};

#define CONTROL_ROWS (sizeof control_rows / sizeof control_rows[0])

static const struct control_row *control_row(int64_t number, size_t elements)
{
    for (size_t i = 0; i < CONTROL_ROWS; i++)
        if (control_rows[i].number == number && control_rows[i].elements == elements)
            return &control_rows[i];
    return NULL;
}

static bool control_version(struct slice *in)
{
    if (erlang_term_tag(*in) != ERLANG_TERM_VERSION)
        return false;
    *in = slice_make(in->ptr + 1, in->len - 1);
    return true;
}

/* The elements of a control tuple; *number is the first. Of more than we know the others are passed over. */
static bool control_elements(struct slice *in, int64_t *number,
                             struct slice elements[CONTROL_ELEMENTS_MAX], uint32_t *count)
{
    if (!control_version(in) || !erlang_term_tuple(in, count) || *count == 0)
        return false;
    for (uint32_t i = 0; i < *count; i++) {
        struct slice element;
        if (!erlang_term_take(in, &element))
            return false;
        if (i < CONTROL_ELEMENTS_MAX)
            elements[i] = element;
    }
    struct slice first = elements[0];
    return erlang_term_i64(&first, number);
}

static bool control_message(struct slice *in, struct slice *message)
{
    return control_version(in) && erlang_term_take(in, message) && in->len == 0;
}

bool erlang_control_read(struct slice frame, struct erlang_control *c)
{
    struct slice elements[CONTROL_ELEMENTS_MAX] = {{"", 0}}, to;
    uint32_t count;
    int64_t number;
    c->kind = ERLANG_CONTROL_TICK;
    c->from = c->to = c->id = c->message = slice_of("");
    c->name.len = 0;
    c->name.text[0] = '\0';
    if (frame.len == 0)
        return true;
    if (erlang_term_tag(frame) != CONTROL_PASS_THROUGH)
        return false;
    frame = slice_make(frame.ptr + 1, frame.len - 1);
    if (!control_elements(&frame, &number, elements, &count))
        return false;
    const struct control_row *row = control_row(number, count);
    c->kind = row != NULL ? row->kind : ERLANG_CONTROL_NONE;
    if (c->kind == ERLANG_CONTROL_MESSAGE && !control_message(&frame, &c->message))
        return false;
    if (c->kind == ERLANG_CONTROL_NONE)
        return true;
    c->from = row->from != 0 ? elements[row->from] : slice_of("");
    c->id = row->id != 0 ? elements[row->id] : slice_of("");
    c->to = to = elements[row->to];
    erlang_term_atom(&to, &c->name);
    return true;
}

static void control_head(struct buffer *out, unsigned number, unsigned elements)
{
    buffer_append_char(out, CONTROL_PASS_THROUGH);
    erlang_write_version(out);
    erlang_write_tuple(out, elements);
    erlang_write_i64(out, number);
}

void erlang_control_send(struct buffer *out, struct slice to, struct slice message)
{
    control_head(out, CONTROL_SEND, 3);
    erlang_write_atom(out, slice_of(""));
    buffer_append_slice(out, to);
    erlang_write_version(out);
    buffer_append_slice(out, message);
}

/* From the process that is asked for to the one that asks. */
static void control_back(struct buffer *out, const struct erlang_control *c)
{
    buffer_append_slice(out, c->to);
    buffer_append_slice(out, c->from);
}

void erlang_control_refuse(struct buffer *out, const struct erlang_control *c)
{
    switch (c->kind) {
    case ERLANG_CONTROL_LINK:
        control_head(out, CONTROL_LINK_ENDED, 4);
        control_back(out, c);
        break;
    case ERLANG_CONTROL_MONITOR:
        control_head(out, CONTROL_MONITOR_ENDED, 5);
        control_back(out, c);
        buffer_append_slice(out, c->id);
        break;
    case ERLANG_CONTROL_UNLINK:
        control_head(out, CONTROL_UNLINKED, 4);
        buffer_append_slice(out, c->id);
        control_back(out, c);
        return;
    default:
        return;
    }
    erlang_write_atom(out, slice_of("noproc"));
}
