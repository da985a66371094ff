/*
 * json_short.h: whether it was for want of memory that jansson did not read, or make, a value.
 *
 * Runs in workers that read what others have written. jansson does not say so: a string for which it has no memory is
 * "invalid token" to it, and who believed that would take what is right for garbage. Of one thread, and not nested.
 */
#ifndef COMMON_JSON_JSON_SHORT_H
#define COMMON_JSON_JSON_SHORT_H

#include <stdbool.h>

/* From here on jansson's allocations are watched. */
void json_short_begin(void);

/* Until here. True: one of them has failed. */
bool json_short_end(void);

#endif
