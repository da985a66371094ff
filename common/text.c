/* text.c: numbers, durations and sizes as people write and read them, edit distance. See text.h. */
#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

struct text_unit {
    const char *name;
    uint64_t factor;
};

/* Ascending: the formatters take the last one that divides. */
static const struct text_unit span_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60 * 1000}, {"h", 60 * 60 * 1000}, {"d", 24 * 60 * 60 * 1000}};
static const struct text_unit size_units[] = {{"", 1},
                                              {"KB", UINT64_C(1) << 10},
                                              {"MB", UINT64_C(1) << 20},
                                              {"GB", UINT64_C(1) << 30},
                                              {"TB", UINT64_C(1) << 40}};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static size_t count_digits(struct slice text)
{
    size_t n = 0;
    while (n < text.len && text.ptr[n] >= '0' && text.ptr[n] <= '9')
        n++;
    return n;
}

int text_parse_u64(struct slice text, uint64_t *out)
{
    if (text.len == 0 || count_digits(text) != text.len)
        return -EINVAL;
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)(text.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return -ERANGE;
        value = value * 10 + digit;
    }
    *out = value;
    return 0;
}

static const struct text_unit *find_unit(const struct text_unit *units, size_t count,
                                         struct slice name, bool any_case)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(units[i].name) != name.len)
            continue;
        int differs = any_case ? strncasecmp(units[i].name, name.ptr, name.len)
                               : strncmp(units[i].name, name.ptr, name.len);
        if (differs == 0)
            return &units[i];
    }
    return NULL;
}

static int parse_quantity(struct slice text, const struct text_unit *units, size_t count,
                          bool any_case, uint64_t *out)
{
    size_t digits = count_digits(text);
    const struct text_unit *unit =
        find_unit(units, count, slice_make(text.ptr + digits, text.len - digits), any_case);
    if (unit == NULL)
        return -EINVAL;
    uint64_t value = 0;
    int rc = text_parse_u64(slice_make(text.ptr, digits), &value);
    if (rc != 0)
        return rc;
    if (value > UINT64_MAX / unit->factor)
        return -ERANGE;
    *out = value * unit->factor;
    return 0;
}

int text_parse_span(struct slice text, uint64_t *ms)
{
    if (slice_is(text, "0")) {
        *ms = 0;
        return 0;
    }
    return parse_quantity(text, span_units, COUNT_OF(span_units), false, ms);
}

int text_parse_size(struct slice text, uint64_t *bytes)
{
    return parse_quantity(text, size_units, COUNT_OF(size_units), true, bytes);
}

static char *format_quantity(uint64_t value, const struct text_unit *units, size_t count,
                             char text[TEXT_NUMBER_SIZE])
{
    size_t best = 0;
    for (size_t i = 1; value > 0 && i < count; i++) {
        if (value % units[i].factor == 0)
            best = i;
    }
    snprintf(text, TEXT_NUMBER_SIZE, "%" PRIu64 "%s", value / units[best].factor, units[best].name);
    return text;
}

char *text_format_span(uint64_t ms, char text[TEXT_NUMBER_SIZE])
{
    return format_quantity(ms, span_units, COUNT_OF(span_units), text);
}

char *text_format_size(uint64_t bytes, char text[TEXT_NUMBER_SIZE])
{
    return format_quantity(bytes, size_units, COUNT_OF(size_units), text);
}

char *text_format_size_short(uint64_t bytes, char text[TEXT_NUMBER_SIZE])
{
    size_t unit = 0;
    while (unit + 1 < COUNT_OF(size_units) && bytes >= size_units[unit + 1].factor)
        unit++;
    double value = (double)bytes / (double)size_units[unit].factor;
    /* 9.96 would be printed as "10.0": from there on no digit follows the point. */
    int decimals = unit > 0 && value < 9.95 ? 1 : 0;
    snprintf(text, TEXT_NUMBER_SIZE, "%.*f%s", decimals, value, unit ? size_units[unit].name : "B");
    return text;
}

char *text_format_count(uint64_t count, char text[TEXT_NUMBER_SIZE])
{
    char digits[TEXT_NUMBER_SIZE];
    size_t len = (size_t)snprintf(digits, sizeof digits, "%" PRIu64, count);
    char *to = text;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return text;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t text_distance(struct slice a, struct slice b)
{
    if (a.len > TEXT_WORD_MAX || b.len > TEXT_WORD_MAX)
        return SIZE_MAX;
    /* Three rows of the table: two before (for swapped neighbours), before, now. */
    size_t rows[3][TEXT_WORD_MAX + 1] = {{0}};
    for (size_t j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];
        const size_t *older = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            bool same = a.ptr[i - 1] == b.ptr[j - 1];
            now[j] = smaller(before[j] + 1, now[j - 1] + 1);
            now[j] = smaller(now[j], before[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                now[j] = smaller(now[j], older[j - 2] + 1);
        }
    }
    return rows[a.len % 3][b.len];
}

struct text_nearest text_nearest_start(struct slice word)
{
    return (struct text_nearest){.word = word, .distance = SIZE_MAX};
}

void text_nearest_offer(struct text_nearest *n, const char *candidate)
{
    struct slice c = slice_of(candidate);
    size_t distance = text_distance(n->word, c);
    size_t near = (c.len + 2) / 3;
    if (distance <= near && distance < n->distance) {
        n->best = candidate;
        n->distance = distance;
    }
}
