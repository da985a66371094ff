/* job_decimal.c: see job_decimal.h. */
#include "workers/jobs/store/job_decimal.h"

#include <stdint.h>

#define DIGITS (JOB_DECIMAL_WHOLE + JOB_DECIMAL_PARTS)

/* Longer ones are nobody's number. */
#define EXPONENT_MAX 400

/* A number as it is written: digits with a point among them, and a power of ten. */
struct decimal {
    bool minus;
    struct slice whole, parts;
    int exponent;
};

static struct slice take_digits(struct slice *text)
{
    size_t n = 0;
    while (n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9')
        n++;
    struct slice digits = slice_make(text->ptr, n);
    *text = slice_make(text->ptr + n, text->len - n);
    return digits;
}

static bool take_char(struct slice *text, const char *any, char *taken)
{
    if (text->len == 0 || text->ptr[0] == '\0' || strchr(any, text->ptr[0]) == NULL)
        return false;
    *taken = text->ptr[0];
    *text = slice_make(text->ptr + 1, text->len - 1);
    return true;
}

static bool take_exponent(struct slice *text, int *exponent)
{
    char sign = '+';
    (void)take_char(text, "+-", &sign);
    struct slice digits = take_digits(text);
    int value = 0;
    if (digits.len == 0)
        return false;
    for (size_t i = 0; i < digits.len && value <= EXPONENT_MAX; i++)
        value = value * 10 + (digits.ptr[i] - '0');
    *exponent = sign == '-' ? -value : value;
    return value <= EXPONENT_MAX;
}

static bool decimal_read(struct slice text, struct decimal *d)
{
    char sign = '+', taken;
    *d = (struct decimal){.minus = false};
    (void)take_char(&text, "+-", &sign);
    d->minus = sign == '-';
    d->whole = take_digits(&text);
    d->parts = slice_make(text.ptr, 0);
    if (take_char(&text, ".", &taken))
        d->parts = take_digits(&text);
    if (d->whole.len + d->parts.len == 0)
        return false;
    if (take_char(&text, "eE", &taken) && !take_exponent(&text, &d->exponent))
        return false;
    return text.len == 0;
}

/* Digit i of it, all of them counted; its place as a power of ten. */
static int digit_at(const struct decimal *d, size_t i, int *power)
{
    *power = (int)d->whole.len - 1 - (int)i + d->exponent;
    return (i < d->whole.len ? d->whole.ptr[i] : d->parts.ptr[i - d->whole.len]) - '0';
}

/* Adds its digits where they belong; powers grow with the index. False: one has no place. */
static bool place(const struct decimal *d, int8_t cells[DIGITS])
{
    size_t count = d->whole.len + d->parts.len;
    for (size_t i = 0; i < count; i++) {
        int power, digit = digit_at(d, i, &power), at = power + JOB_DECIMAL_PARTS;
        if (digit == 0)
            continue;
        if (at < 0 || at >= DIGITS - 1)
            return false;
        cells[at] = (int8_t)(cells[at] + (d->minus ? -digit : digit));
    }
    return true;
}

/* Digits behind the point that it is written with. */
static int scale_of(const struct decimal *d)
{
    int scale = (int)d->parts.len - d->exponent;
    return scale < 0 ? 0 : scale < JOB_DECIMAL_PARTS ? scale : JOB_DECIMAL_PARTS;
}

/* Brings each cell into 0..9; what is carried out of the last one. */
static int carry(int8_t cells[DIGITS])
{
    int over = 0;
    for (int i = 0; i < DIGITS; i++) {
        int value = cells[i] + over;
        over = 0;
        if (value < 0) {
            over = -1;
            value += 10;
        } else if (value > 9) {
            over = 1;
            value -= 10;
        }
        cells[i] = (int8_t)value;
    }
    return over;
}

static void decimal_write(const int8_t cells[DIGITS], bool minus, int scale, char *sum)
{
    int top = DIGITS - 1;
    while (top > JOB_DECIMAL_PARTS && cells[top] == 0)
        top--;
    if (minus)
        *sum++ = '-';
    for (int i = top; i >= JOB_DECIMAL_PARTS - scale; i--) {
        if (i == JOB_DECIMAL_PARTS - 1)
            *sum++ = '.';
        *sum++ = (char)('0' + cells[i]);
    }
    *sum = '\0';
}

bool job_decimal_add(struct slice a, struct slice b, char sum[JOB_DECIMAL_TEXT])
{
    struct decimal x, y;
    int8_t cells[DIGITS] = {0};
    if (!decimal_read(a, &x) || !decimal_read(b, &y) || !place(&x, cells) || !place(&y, cells))
        return false;
    bool minus = carry(cells) < 0;
    if (minus) {
        /* What is there is ten to the DIGITS more than the sum: the opposite of all digits, and one. */
        for (int i = 0; i < DIGITS; i++)
            cells[i] = (int8_t)(9 - cells[i]);
        cells[0]++;
        (void)carry(cells);
    }
    if (cells[DIGITS - 1] != 0)
        return false;
    int scale = scale_of(&x) > scale_of(&y) ? scale_of(&x) : scale_of(&y);
    decimal_write(cells, minus, scale, sum);
    return true;
}
