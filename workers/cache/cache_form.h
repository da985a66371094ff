/*
 * cache_form.h: what an object's value is to those that know more than bytes (CACHE.md, Calls).
 *
 * Runs in a cache node and in its backing workers. Pure. Redis' protocol has no forms: what it sets are bytes.
 */
#ifndef WORKERS_CACHE_FORM_H
#define WORKERS_CACHE_FORM_H

#include "common/slice.h"

/* The numbers are in logs and messages. */
enum cache_form { CACHE_FORM_BYTES, CACHE_FORM_STRING, CACHE_FORM_TERM };

/* As it is said, and stands beside the object in the store; "bytes" for a number that is none. */
const char *cache_form_name(unsigned form);

/* False: it is the name of none. */
bool cache_form_find(struct slice name, enum cache_form *form);

#endif
