/*
 * utf8.h: is this run of bytes text?
 *
 * Runs in workers that hand bytes of unknown origin to something that takes only UTF-8 (JSON, SQLite). Pure.
 * Strict as RFC 3629 section 3: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a character like any other.
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include "common/slice.h"

/* True when all of `s` is well-formed UTF-8; the empty slice is. */
bool utf8_valid(struct slice s);

/* Length of the well-formed character `s` begins with, 1 to 4; 0 when there is none. */
size_t utf8_character(struct slice s);

/* Length of the longest prefix of `s` (valid UTF-8) that has at most `max` bytes and cuts no character apart. */
size_t utf8_cut(struct slice s, size_t max);

#endif
