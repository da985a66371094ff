/* fuzz_date_words.c: dates in words (common/time/date_words.h): what is read is read again from its own text. */
#include "common/time/date_words.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct zone *zone;
    struct date_time date, again;
    char text[DATE_TEXT_SIZE];
    if (zone == NULL && zone_load("Europe/Berlin", &zone) != 0)
        abort();
    if (date_words_read(slice_make(data, size), zone, 1795861440, &date) != 0)
        return 0;
    if (date.offset % 60 != 0)
        return 0; /* before 1893: no other program reads such an offset */
    date_format(&date, false, text);
    if (date_words_read(slice_of(text), zone, 0, &again) != 0 || again.utc != date.utc ||
        again.micro != date.micro || again.offset != date.offset)
        abort();
    return 0;
}
