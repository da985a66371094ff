/* ctl_queue_cells.c: what the queues' tables have in common. See ctl_queue.h. */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/queue/ctl_queue.h"

#include <stdio.h>

void ctl_queue_cell_shown(struct ctl_table *t, const json_t *value)
{
    struct buffer text = BUFFER_EMPTY;
    ctl_value_show(value, &text);
    ctl_table_cell(t, CTL_PLAIN, buffer_slice(&text));
    t->failed |= !buffer_ok(&text);
    buffer_fini(&text);
}

void ctl_queue_cell_count(struct ctl_table *t, const json_t *object, const char *key,
                          enum ctl_color color)
{
    char text[TEXT_NUMBER_SIZE];
    uint64_t value = ctl_value_u64(object, key);
    ctl_table_cell(t, value > 0 ? color : CTL_PLAIN, slice_of(text_format_count(value, text)));
}

void ctl_queue_cell_span(struct ctl_table *t, const json_t *object, const char *key)
{
    char span[TEXT_NUMBER_SIZE] = "-";
    if (json_is_integer(json_object_get(object, key)))
        clock_format_span(ctl_value_u64(object, key), span, sizeof span);
    ctl_table_cell(t, CTL_PLAIN, slice_of(span));
}
