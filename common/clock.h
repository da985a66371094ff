/*
 * clock.h: the two times the project uses, in milliseconds.
 *
 * Runs in every process. Policy code never calls these: it takes `now` as a parameter, so that
 * tests bring their own clock.
 */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Never jumps; for intervals and deadlines. Starts anywhere. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_ns(void);

/*
 * Microseconds since the machine started, those that it slept included (CLOCK_BOOTTIME); never jumps back. The same for
 * all processes of a machine: what ends at a time may be told to another.
 */
int64_t clock_boot_us(void);

/* UTC since 1970; may jump. For people and for stored records only. */
uint64_t clock_wall_ms(void);

/* Microseconds of a processor that this thread has used: what something costs, however busy the host is. */
uint64_t clock_thread_us(void);

#define CLOCK_TEXT_SIZE 25 /* "2026-01-31T23:59:59.999Z" and NUL */

/* ISO 8601, UTC, milliseconds; times after the year 9999 give its last. */
void clock_format(uint64_t wall_ms, char text[CLOCK_TEXT_SIZE]);

/* A duration for people: "850ms", "12s", "3m05s", "2h04m", "5d02h". Returns `text`. */
char *clock_format_span(uint64_t span_ms, char *text, size_t size);

#endif
