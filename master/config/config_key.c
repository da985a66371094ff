/* config_key.c: the table of keys and the check of one value. See config_key.h. */
#include "master/config/config_key.h"

#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define KEY_RECORD(KIND, name, TYPE, preset, min, max, reload, help)                               \
    {CONFIG_##KIND,                                                                                \
     name,                                                                                         \
     CONFIG_##TYPE,                                                                                \
     (preset)[0] == '!' ? "" : (preset),                                                           \
     (preset)[0] == '!',                                                                           \
     min,                                                                                          \
     max,                                                                                          \
     CONFIG_##reload,                                                                              \
     help},
const struct config_key config_keys[CONFIG_KEY_COUNT] = {SYSTEMS(KEYS, KEY_RECORD)};

static const struct {
    const char *name;
    enum config_heads heads;
} config_kinds[CONFIG_KIND_COUNT] = {
#define X(KIND, word, HEADS, example, what) [CONFIG_##KIND] = {word, CONFIG_##HEADS},
    SYSTEMS(SECTIONS, X)
#undef X
};

const char *config_kind_name(enum config_kind kind)
{
    return config_kinds[kind].name;
}

enum config_heads config_kind_heads(enum config_kind kind)
{
    return config_kinds[kind].heads;
}

/* Keys of a kind before the `end`th of the list. */
static size_t key_count(enum config_kind kind, int end)
{
    size_t count = 0;
    for (int i = 0; i < end; i++)
        count += config_keys[i].kind == kind;
    return count;
}

size_t config_kind_keys(enum config_kind kind)
{
    return key_count(kind, CONFIG_KEY_COUNT);
}

/* Counted once: every look-up of a value asks. */
size_t config_key_slot(int key)
{
    static size_t slots[CONFIG_KEY_COUNT];
    static bool counted;
    for (int i = 0; !counted && i < CONFIG_KEY_COUNT; i++)
        slots[i] = key_count(config_keys[i].kind, i);
    counted = true;
    return slots[key];
}

int config_key_find(enum config_kind kind, struct slice name)
{
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        if (config_keys[i].kind == kind && slice_is(name, config_keys[i].name))
            return i;
    }
    return -1;
}

const struct config_key *config_key_nearest(enum config_kind kind, struct slice name)
{
    struct text_nearest nearest = text_nearest_start(name);
    const struct config_key *best = NULL;
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        if (key->kind != kind)
            continue;
        const char *dot = strchr(key->name, '.');
        size_t before = nearest.distance;
        text_nearest_offer(&nearest, key->name);
        if (dot != NULL)
            text_nearest_offer(&nearest, dot + 1);
        if (nearest.distance < before)
            best = key;
    }
    return best;
}

/* ---- choices: the words between the first pair of parentheses of the help ---- */

static struct slice choice_words(const struct config_key *key)
{
    const char *open = strchr(key->help, '(');
    const char *close = open ? strchr(open, ')') : NULL;
    return close ? slice_make(open + 1, (size_t)(close - open - 1)) : slice_of("");
}

/* Cuts the next word off the list; false at the end. */
static bool choice_next(struct slice *words, struct slice *word)
{
    if (words->len == 0)
        return false;
    const char *bar = memchr(words->ptr, '|', words->len);
    word->ptr = words->ptr;
    word->len = bar ? (size_t)(bar - words->ptr) : words->len;
    size_t used = word->len + (bar ? 1 : 0);
    *words = slice_make(words->ptr + used, words->len - used);
    return true;
}

void config_choice_format(const struct config_key *key, struct buffer *out)
{
    struct slice words = choice_words(key), word;
    for (bool first = true; choice_next(&words, &word); first = false) {
        if (!first)
            buffer_append_text(out, words.len ? ", " : " or ");
        buffer_append_slice(out, word);
    }
}

static bool check_choice(const struct config_key *key, const char *value, struct buffer *out,
                         struct buffer *why)
{
    struct slice words = choice_words(key), word;
    while (choice_next(&words, &word)) {
        if (slice_is(word, value)) {
            buffer_append_text(out, value);
            return true;
        }
    }
    buffer_printf(why, "\"%s\" is none of the words it takes, allowed: ", value);
    config_choice_format(key, why);
    return false;
}

/* ---- numbers ---- */

static int parse_number(enum config_type type, const char *value, uint64_t *number)
{
    switch (type) {
    case CONFIG_SPAN:
        return text_parse_span(slice_of(value), number);
    case CONFIG_SIZE:
        return text_parse_size(slice_of(value), number);
    default:
        return text_parse_u64(slice_of(value), number);
    }
}

static const char *format_number(enum config_type type, uint64_t number,
                                 char text[TEXT_NUMBER_SIZE])
{
    switch (type) {
    case CONFIG_SPAN:
        return text_format_span(number, text);
    case CONFIG_SIZE:
        return text_format_size(number, text);
    default:
        snprintf(text, TEXT_NUMBER_SIZE, "%" PRIu64, number);
        return text;
    }
}

static const char *number_kind(enum config_type type)
{
    switch (type) {
    case CONFIG_SPAN:
        return "a duration such as 250ms, 5s, 2m, 1h or 1d";
    case CONFIG_SIZE:
        return "a size such as 4096, 64KB, 16MB or 1GB";
    default:
        return "a whole number";
    }
}

static bool check_number(const struct config_key *key, const char *value, struct buffer *out,
                         struct buffer *why)
{
    uint64_t number = 0, plain = 0;
    int rc = parse_number(key->type, value, &number);
    if (rc == 0 && number >= key->min && number <= key->max) {
        buffer_printf(out, "%" PRIu64, number);
        return true;
    }
    if (rc != -EINVAL)
        buffer_printf(why, "%s is out of range", value);
    else if (key->type == CONFIG_SPAN && text_parse_u64(slice_of(value), &plain) != -EINVAL)
        buffer_printf(why, "%s has no unit", value);
    else
        buffer_printf(why, "\"%s\" is not %s", value, number_kind(key->type));
    char min[TEXT_NUMBER_SIZE], max[TEXT_NUMBER_SIZE];
    buffer_printf(why, ", allowed: %s from %s to %s", number_kind(key->type),
                  format_number(key->type, key->min, min), format_number(key->type, key->max, max));
    return false;
}

static bool check_bool(const char *value, struct buffer *out, struct buffer *why)
{
    bool yes = strcmp(value, "true") == 0;
    if (!yes && strcmp(value, "false") != 0) {
        buffer_printf(why, "\"%s\" is neither true nor false, allowed: true or false", value);
        return false;
    }
    buffer_append_char(out, yes ? '1' : '0');
    return true;
}

/* ---- paths ---- */

/* Drops "./" and "//" at the start; true when something was dropped. */
static bool skip_here(const char **path)
{
    const char *p = *path;
    if (p[0] == '/')
        p++;
    else if (p[0] == '.' && (p[1] == '/' || p[1] == '\0'))
        p += p[1] ? 2 : 1;
    else
        return false;
    *path = p;
    return true;
}

/*
 * Joins base and a relative path. Only the leading "." and ".." are resolved, against `base`, which holds no symbolic
 * link; a ".." further on may follow one, and is left to the kernel.
 */
static void join_path(const char *base, const char *path, struct buffer *out)
{
    size_t len = strlen(base);
    while (len > 0 && base[len - 1] == '/')
        len--;
    for (;;) {
        if (skip_here(&path))
            continue;
        if (path[0] != '.' || path[1] != '.' || (path[2] != '/' && path[2] != '\0'))
            break;
        path += 2;
        while (len > 0 && base[len - 1] != '/')
            len--;
        if (len > 0)
            len--;
    }
    buffer_append(out, base, len);
    if (len == 0 || path[0] != '\0')
        buffer_append_char(out, '/');
    buffer_append_text(out, path);
}

static bool check_path(const struct config_key *key, const char *value, const char *base,
                       struct buffer *out, struct buffer *why)
{
    bool by_name = key->type == CONFIG_EXECUTABLE && strchr(value, '/') == NULL;
    if (key->type == CONFIG_EXECUTABLE && value[0] == '\0') {
        buffer_printf(why, "is empty, allowed: a path, or a name looked up in PATH");
        return false;
    }
    if (value[0] == '~' && (value[1] == '/' || value[1] == '\0')) {
        buffer_printf(why,
                      "\"%s\": ~ is not expanded, allowed: an absolute path, one relative to this "
                      "file, or \"${HOME}/...\"",
                      value);
        return false;
    }
    if (value[0] == '\0' || value[0] == '/' || by_name)
        buffer_append_text(out, value);
    else
        join_path(base, value, out);
    return true;
}

/* ---- all types ---- */

bool config_value_check(const struct config_key *key, const char *value, const char *base,
                        struct buffer *out, struct buffer *why)
{
    if (key->required && value[0] == '\0') {
        buffer_printf(why, "is empty, it must be given: %s", key->help);
        return false;
    }
    switch (key->type) {
    case CONFIG_PATH:
    case CONFIG_EXECUTABLE:
        return check_path(key, value, base, out, why);
    case CONFIG_BOOL:
        return check_bool(value, out, why);
    case CONFIG_INT:
    case CONFIG_SPAN:
    case CONFIG_SIZE:
        return check_number(key, value, out, why);
    case CONFIG_CHOICE:
        return check_choice(key, value, out, why);
    case CONFIG_STRING:
    case CONFIG_SECTION: /* whether it is there: config_check.c */
        break;
    }
    buffer_append_text(out, value);
    return true;
}

void config_value_format(const struct config_key *key, const char *value, struct buffer *out)
{
    char text[TEXT_NUMBER_SIZE];
    uint64_t number = 0;
    if (key->type == CONFIG_BOOL)
        buffer_append_text(out, value[0] == '1' ? "true" : "false");
    else if ((key->type == CONFIG_SPAN || key->type == CONFIG_SIZE) &&
             text_parse_u64(slice_of(value), &number) == 0)
        buffer_append_text(out, format_number(key->type, number, text));
    else
        buffer_append_text(out, value);
}

/* Parameters in a url's query that say where and how, and no secret. Any other may be one: its value is not shown. */
static bool mask_is_harmless(struct slice name)
{
    static const char *const known[] = {"sslmode",
                                        "passfile",
                                        "sslrootcert",
                                        "sslcert",
                                        "sslkey",
                                        "sslcrl",
                                        "host",
                                        "dbname",
                                        "db",
                                        "user",
                                        "options",
                                        "application_name",
                                        "connect_timeout",
                                        "target_session_attrs",
                                        "gssencmode",
                                        "service",
                                        "client_encoding",
                                        "channel_binding",
                                        "keepalives",
                                        "hostaddr",
                                        "krbsrvname"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (slice_is(name, known[i]))
            return true;
    return false;
}

/* What stands between ':' and '@' in front of the host; the last '@': a password may hold one. */
static void mask_authority(const char *from, size_t len, struct buffer *out)
{
    const char *at = memrchr(from, '@', len);
    const char *colon = at != NULL ? memchr(from, ':', (size_t)(at - from)) : NULL;
    if (colon == NULL) {
        buffer_append(out, from, len);
        return;
    }
    buffer_append(out, from, (size_t)(colon + 1 - from));
    buffer_append_text(out, "***");
    buffer_append(out, at, len - (size_t)(at - from));
}

/* "a=b&c=d"; without '=' a parameter is a value itself. */
static void mask_query(const char *from, size_t len, struct buffer *out)
{
    for (const char *end = from + len; from < end;) {
        size_t n = 0, name = 0;
        while (from + n < end && from[n] != '&')
            n++;
        while (name < n && from[name] != '=')
            name++;
        bool shown = n == 0 || (name < n && mask_is_harmless(slice_make(from, name)));
        buffer_append(out, from, shown ? n : name < n ? name + 1 : 0);
        if (!shown)
            buffer_append_text(out, "***");
        if (from + n < end)
            buffer_append_char(out, '&');
        from += n + 1;
    }
}

/* Every url in it: an environment may hold several. */
void config_mask(const char *value, struct buffer *out)
{
    for (const char *scheme; (scheme = strstr(value, "://")) != NULL;) {
        const char *host = scheme + strlen("://");
        size_t authority = strcspn(host, "/?# \t\n\"'");
        size_t path = strcspn(host + authority, "?# \t\n\"'");
        const char *after = host + authority + path;
        buffer_append(out, value, (size_t)(host - value));
        mask_authority(host, authority, out);
        buffer_append(out, host + authority, path);
        if (*after == '?') {
            size_t query = strcspn(after + 1, "# \t\n\"'");
            buffer_append_char(out, '?');
            mask_query(after + 1, query, out);
            after += 1 + query;
        }
        value = after;
    }
    buffer_append_text(out, value);
}
