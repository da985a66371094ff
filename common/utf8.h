/*
 * utf8.h: is this run of bytes text, and where may it be cut?
 *
 * Runs in every process that hands bytes of unknown origin to something that takes only UTF-8 (JSON, SQLite).
 * Pure. Strict as RFC 3629 section 3: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
 * character like any other.
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

/*
 * Length of `s`, which may hold anything, without the character that its end cuts apart; all of
 * it when its end cuts none.
 */
size_t utf8_whole(struct slice s);

/*
 * Makes a C string text that a fixed room has cut, or that has come from a process we do not believe: a character cut
 * apart at its end goes, any other byte that belongs to none becomes '?'. JSON then shows a string, whatever was said.
 */
void utf8_mend(char *text);

/*
 * Length of the character `s` begins with when it orders a terminal about, or shows text as other text: C0 and DEL, C1
 * (U+0080 to U+009F), line and paragraph separators, and what changes the direction of writing (Unicode Annex 9).
 * 0: it does not, or is no character.
 */
size_t utf8_control(struct slice s);

/* As utf8_mend, and each control character (utf8_control) becomes one '?'. */
void utf8_show(char *text);

#endif
