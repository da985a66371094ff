/* web_tokens.c: see web_tokens.h. */
#include "workers/snapshot/web/web_tokens.h"

#include "common/base64.h"
#include "common/http/http_guard.h"
#include "common/secret_file.h"

#include <stdio.h>
#include <strings.h>

#define BASIC_MAX 1024 /* of a header; a longer one is nobody's */

static struct slice tokens_word(struct slice *line)
{
    while (line->len > 0 && (line->ptr[0] == ' ' || line->ptr[0] == '\t')) {
        line->ptr++;
        line->len--;
    }
    struct slice word = slice_make(line->ptr, 0);
    while (line->len > 0 && line->ptr[0] != ' ' && line->ptr[0] != '\t') {
        line->ptr++;
        line->len--;
        word.len++;
    }
    return word;
}

/* What can stand in a header, and in a commit's message. */
static bool tokens_is_plain(struct slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] <= ' ' || word.ptr[i] > '~')
            return false;
    return word.len > 0;
}

static bool tokens_line(struct slice line, struct web_tokens *out)
{
    struct slice name = tokens_word(&line), right = tokens_word(&line), token = tokens_word(&line);
    if (name.len == 0 || name.ptr[0] == '#')
        return true;
    struct web_token *t = &out->list[out->count];
    if (out->count == WEB_TOKENS_MAX || tokens_word(&line).len > 0 || !tokens_is_plain(name) ||
        !tokens_is_plain(token) || token.len < WEB_TOKEN_MIN ||
        !slice_copy(name, t->name, sizeof t->name) ||
        (!slice_is(right, "read") && !slice_is(right, "act")))
        return false;
    t->right = slice_is(right, "act") ? WEB_ACT : WEB_READ;
    t->token = token;
    out->count++;
    return true;
}

size_t web_tokens_read(struct slice text, struct web_tokens *out)
{
    out->count = 0;
    for (size_t number = 1; text.len > 0; number++)
        if (!tokens_line(secret_file_line(&text), out))
            return number;
    return 0;
}

/* "Basic …" as "Bearer TOKEN" of its password. False: it is none. */
static bool tokens_from_basic(const char *authorization, char *bearer, size_t size)
{
    static const char scheme[] = "Basic ";
    struct buffer pair = BUFFER_EMPTY;
    if (strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *coded = authorization + sizeof scheme - 1;
    coded += strspn(coded, " ");
    bool good = strlen(coded) < BASIC_MAX && base64_append_bytes(&pair, slice_of(coded));
    const char *text = good ? buffer_text(&pair) : NULL;
    const char *password = text != NULL && strlen(text) == pair.len ? strchr(text, ':') : NULL;
    good = password != NULL && snprintf(bearer, size, "Bearer %s", password + 1) < (int)size;
    buffer_fini(&pair);
    return good;
}

enum web_right web_tokens_find(const struct web_tokens *t, const char *authorization,
                               const char **name)
{
    char bearer[BASIC_MAX];
    const struct web_token *found = NULL;
    *name = "";
    if (authorization == NULL)
        return WEB_NONE;
    if (tokens_from_basic(authorization, bearer, sizeof bearer))
        authorization = bearer;
    for (size_t i = 0; i < t->count; i++) /* all of them, whichever it is */
        if (http_guard_token(authorization, t->list[i].token))
            found = &t->list[i];
    if (found == NULL)
        return WEB_WRONG;
    *name = found->name;
    return found->right;
}
