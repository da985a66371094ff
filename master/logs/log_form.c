/* log_form.c: see log_form.h. */
#include "master/logs/log_form.h"

#include "common/clock.h"

#include <stdio.h>
#include <syslog.h>
#include <unistd.h>

static void form_json_string(struct buffer *out, struct slice text)
{
    buffer_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c == '"' || c == '\\') {
            buffer_append_char(out, '\\');
            buffer_append_char(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buffer_printf(out, "\\u%04x", c);
        } else {
            buffer_append_char(out, (char)c);
        }
    }
    buffer_append_char(out, '"');
}

static void form_json_pair(struct buffer *out, const char *key, struct slice value)
{
    buffer_printf(out, ",\"%s\":", key);
    form_json_string(out, value);
}

/* Takes the next word off *rest: up to a space outside quotes. */
static struct slice form_word(struct slice *rest)
{
    while (rest->len > 0 && *rest->ptr == ' ')
        *rest = slice_make(rest->ptr + 1, rest->len - 1);
    size_t n = 0;
    bool quoted = false;
    while (n < rest->len && (quoted || rest->ptr[n] != ' ')) {
        if (rest->ptr[n] == '\\' && quoted && n + 1 < rest->len)
            n++;
        else if (rest->ptr[n] == '"')
            quoted = !quoted;
        n++;
    }
    struct slice word = slice_make(rest->ptr, n);
    *rest = slice_make(rest->ptr + n, rest->len - n);
    return word;
}

/* A key that can stand as a JSON key without thought; anything else is not ours, and stays text. */
static bool form_is_key(struct slice key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return key.len > 0;
}

/* `key=value` or `key="quoted value"` (log_quote) as key and plain value. False for any other word. */
static bool form_split_field(struct slice word, struct slice *key, struct buffer *value)
{
    const char *eq = memchr(word.ptr, '=', word.len);
    if (eq == NULL)
        return false;
    *key = slice_make(word.ptr, (size_t)(eq - word.ptr));
    if (!form_is_key(*key))
        return false;
    struct slice text = slice_make(eq + 1, word.len - key->len - 1);
    if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"') {
        buffer_append_slice(value, text);
        return true;
    }
    /* Undo log_quote's backslashes before quotes and backslashes; its \xNN stays readable text. */
    for (size_t i = 1; i + 1 < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 2 < text.len &&
            (text.ptr[i + 1] == '"' || text.ptr[i + 1] == '\\'))
            i++;
        buffer_append_char(value, text.ptr[i]);
    }
    return true;
}

/* What we say of a line; a speaker's own word of that name would stand for ours to most readers: the last wins. */
static bool form_is_ours(struct slice key)
{
    static const char *const ours[] = {"ts", "level", "worker", "event", "text", "object"};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (slice_equal(key, slice_of(ours[i])))
            return true;
    return false;
}

static bool form_json_field(struct buffer *out, struct slice word)
{
    struct slice key;
    struct buffer value = BUFFER_EMPTY;
    bool field = form_split_field(word, &key, &value) && !form_is_ours(key);
    if (field) {
        buffer_append_char(out, ',');
        form_json_string(out, key);
        buffer_append_char(out, ':');
        form_json_string(out, buffer_slice(&value));
    }
    if (!buffer_ok(&value))
        out->failed = true;
    buffer_fini(&value);
    return field;
}

/* ---- JSON ---- */

static void form_json(struct buffer *out, const char *time, const struct log_line *l)
{
    buffer_printf(out, "{\"ts\":\"%s\"", time);
    form_json_pair(out, "level", slice_of(log_level_name(l->level)));
    form_json_pair(out, "worker", slice_of(l->worker));
    if (l->object) {
        buffer_append_text(out, ",\"event\":\"output\",\"object\":");
        buffer_append_slice(out, l->text);
        buffer_append_text(out, "}\n");
        return;
    }
    struct slice rest = l->text;
    form_json_pair(out, "event", form_word(&rest));
    struct buffer text = BUFFER_EMPTY;
    for (struct slice word = form_word(&rest); word.len > 0; word = form_word(&rest)) {
        if (form_json_field(out, word))
            continue;
        if (text.len > 0)
            buffer_append_char(&text, ' ');
        buffer_append_slice(&text, word);
    }
    if (text.len > 0)
        form_json_pair(out, "text", buffer_slice(&text));
    if (!buffer_ok(&text))
        out->failed = true;
    buffer_fini(&text);
    buffer_append_text(out, "}\n");
}

/* ---- the journal ---- */

/* FIELD=value; a value with a newline would need another form, and our lines have none. */
static void form_journal_field(struct buffer *out, const char *prefix, struct slice key,
                               struct slice value)
{
    buffer_append_text(out, prefix);
    for (size_t i = 0; i < key.len; i++)
        buffer_append_char(out, key.ptr[i] >= 'a' && key.ptr[i] <= 'z'
                                    ? (char)(key.ptr[i] - 'a' + 'A')
                                    : key.ptr[i]);
    buffer_append_char(out, '=');
    buffer_append_slice(out, value);
    buffer_append_char(out, '\n');
}

/*
 * Keys longer than journald takes (64 with the prefix) stay in the message only, and so do ours: journald keeps both
 * values of a field that comes twice, and finds the entry under either.
 */
static void form_journal_word(struct buffer *out, struct slice word)
{
    struct slice key;
    struct buffer value = BUFFER_EMPTY;
    if (form_split_field(word, &key, &value) && !form_is_ours(key) && key.len <= 48)
        form_journal_field(out, "PLATOON_", key, buffer_slice(&value));
    if (!buffer_ok(&value))
        out->failed = true;
    buffer_fini(&value);
}

static void form_journal(struct buffer *out, const struct log_line *l)
{
    buffer_printf(out, "PRIORITY=%d\nSYSLOG_IDENTIFIER=platoon\nPLATOON_WORKER=%s\n", (int)l->level,
                  l->worker);
    struct slice rest = l->text;
    if (!l->object) {
        form_journal_field(out, "PLATOON_", slice_of("event"), form_word(&rest));
        for (struct slice word = form_word(&rest); word.len > 0; word = form_word(&rest))
            form_journal_word(out, word);
    }
    buffer_printf(out, "MESSAGE=%s ", l->worker);
    buffer_append_slice(out, l->text);
    buffer_append_char(out, '\n');
}

/* ---- all ---- */

void log_form(struct buffer *out, enum log_form form, const struct log_line *l)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(l->wall_ms, time);
    switch (form) {
    case LOG_FORM_TEXT:
        buffer_printf(out, "%s %-5s %s ", time, log_level_name(l->level), l->worker);
        buffer_append_slice(out, l->text);
        buffer_append_char(out, '\n');
        break;
    case LOG_FORM_JSON:
        form_json(out, time, l);
        break;
    case LOG_FORM_SYSLOG:
        buffer_printf(out, "<%d>platoon[%d]: %s ", LOG_DAEMON | (int)l->level, (int)getpid(),
                      l->worker);
        buffer_append_slice(out, l->text);
        break;
    case LOG_FORM_JOURNAL:
        form_journal(out, l);
        break;
    }
}
