/*
 * ctl_drain.h: what people see of drains, their dead letters and reports. Pure functions from a value to text, for
 * the verbs and for tests.
 *
 * Runs in platoonctl. As ctl_render.h.
 */
#ifndef MASTER_CTL_DRAIN_CTL_DRAIN_H
#define MASTER_CTL_DRAIN_CTL_DRAIN_H

#include "master/ctl/ctl_table.h"

#include <jansson.h>
#include <stdint.h>

/* An array of drains as a table (ctl_drain.c). */
void ctl_drain_render(const json_t *drains, size_t width, bool color, struct buffer *out);

/* What `drain wait` has seen, in milliseconds and members; rates are over the last few seconds. */
struct ctl_progress {
    const char *name;
    uint64_t done;
    uint64_t left;
    double rate;
};

/* One line: bar, per cent, members, rate, remaining time. No newline. */
void ctl_drain_render_progress(const struct ctl_progress *p, size_t width, struct buffer *out);

/* Dead letters: a table; or each with its data (ctl_dead.c). */
void ctl_dead_render(const json_t *letters, size_t width, bool color, struct buffer *out);
void ctl_dead_render_data(const json_t *letters, bool color, struct buffer *out);

/* The answer of the report worker as tables with bars, and as CSV (ctl_report.c). */
void ctl_report_render(const json_t *report, size_t width, bool color, struct buffer *out);
void ctl_report_render_csv(const json_t *report, struct buffer *out);

#endif
