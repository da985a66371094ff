/* glob.c: see glob.h. */
#include "common/glob.h"

#include <ctype.h>

struct glob {
    const char *at, *end;
};

static char glob_fold(char c, bool any_case)
{
    return any_case ? (char)tolower((unsigned char)c) : c;
}

/* One of a class: a byte, \x, or a range; moves behind it. */
static bool glob_part_has(struct glob *p, char c, bool any_case)
{
    ptrdiff_t left = p->end - p->at;
    if (left >= 2 && p->at[0] == '\\') {
        p->at += 2;
        return p->at[-1] == c; /* in any case too: as Redis has it */
    }
    if (left < 3 || p->at[1] != '-')
        return glob_fold(*p->at++, any_case) == glob_fold(c, any_case);
    char low = p->at[0], high = p->at[2];
    if ((signed char)low > (signed char)high) {
        low = p->at[2];
        high = p->at[0];
    }
    p->at += 3;
    signed char folded = (signed char)glob_fold(c, any_case);
    return folded >= (signed char)glob_fold(low, any_case) &&
           folded <= (signed char)glob_fold(high, any_case);
}

/* Behind the [ of a class; moves behind its ], or to the end of the pattern. */
static bool glob_class_has(struct glob *p, char c, bool any_case)
{
    bool inverted = p->at < p->end && *p->at == '^', has = false;
    p->at += inverted;
    while (p->at < p->end && *p->at != ']')
        has = glob_part_has(p, c, any_case) || has;
    p->at += p->at < p->end;
    return has != inverted;
}

/* What stands next for one byte, and is no *; moves behind it. */
static bool glob_step_has(struct glob *p, char c, bool any_case)
{
    char step = *p->at++;
    if (step == '?')
        return true;
    if (step == '[')
        return glob_class_has(p, c, any_case);
    if (step == '\\' && p->at < p->end)
        step = *p->at++;
    return glob_fold(step, any_case) == glob_fold(c, any_case);
}

static void glob_skip_stars(struct glob *p)
{
    while (p->at < p->end && *p->at == '*')
        p->at++;
}

bool glob_matches(struct slice pattern, struct slice text, bool any_case)
{
    struct glob p = {pattern.ptr, pattern.ptr + pattern.len};
    const char *c = text.ptr, *end = text.ptr + text.len;
    const char *behind_star = NULL,
               *tried = NULL; /* the last *; where what stands behind it began */
    if (text.len == 0)
        return pattern.len == 0;
    while (c < end) {
        if (p.at < p.end && *p.at == '*') {
            glob_skip_stars(&p);
            if (p.at == p.end)
                return true;
            behind_star = p.at;
            tried = c;
        } else if (p.at < p.end && glob_step_has(&p, *c, any_case)) {
            c++;
        } else if (behind_star != NULL) {
            p.at = behind_star;
            c = ++tried;
        } else {
            return false;
        }
    }
    glob_skip_stars(&p);
    return p.at == p.end;
}
