/*
 * config_parse.c: libconfuse over the scanned tokens, again and again until it finds no more
 * errors. See config_parse.h.
 *
 * libconfuse stops at its first error. The statement it stopped at is reported in our words, hidden from it, and
 * the rest is parsed again: so a person sees all errors at once. All values are text to libconfuse; types and
 * ranges are ours to check.
 */
#include "master/config/config_parse.h"

#include "master/config/config_scan.h"
#include "master/config/config_syntax.h"

#include <confuse.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Where a key or section was met: in parse order, so the first of an option stands first. */
struct record {
    const cfg_opt_t *opt;
    size_t token;
};

struct parse {
    struct config_scan *scan;
    struct config_errors *errors;
    struct buffer text;    /* live tokens, one a line */
    struct buffer lines;   /* size_t for each of its lines: the token that ends there */
    struct buffer records; /* struct record */
    bool stopped;          /* libconfuse reported an error, */
    size_t stopped_at;     /* at this token; the count of tokens for the end of the file */
};

/* libconfuse's callbacks carry no context of ours. */
static struct parse *current;

static size_t token_at_line(const struct parse *p, int line)
{
    const size_t *tokens = (const size_t *)(const void *)p->lines.data;
    size_t count = p->lines.len / sizeof *tokens;
    return line >= 1 && (size_t)line <= count ? tokens[line - 1] : p->scan->count;
}

/* Its text is not used: it names neither the place on the line nor what would be right (config_syntax.c does). */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format,
                                                           va_list args)
{
    (void)format;
    (void)args;
    if (current == NULL || current->stopped)
        return; /* NULL: a look-up afterwards, in what memory was short for */
    current->stopped = true;
    current->stopped_at = token_at_line(current, cfg->line);
}

static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
    struct record r = {opt, token_at_line(current, cfg->line)};
    buffer_append(&current->records, &r, sizeof r);
    return 0;
}

/* ---- option tables from the list of keys ---- */

/* What libconfuse takes for itself, and for each section, twice as much as it was seen to take. */
#define PARSE_MEMORY         (64u * 1024)
#define PARSE_SECTION_MEMORY (16u * 1024)

/* libconfuse wants an array for each kind, and one for each subsection, with an empty option at the end. */
struct table {
    cfg_opt_t *options;
    size_t count;
    char *name; /* of a subsection; of a kind's own table NULL */
    struct table *subsections, *next;
};

struct tables {
    cfg_opt_t top[CONFIG_KIND_COUNT + 1];
    struct table kinds[CONFIG_KIND_COUNT];
};

/* False when memory is short; the table is as it was. */
static bool table_add(struct table *t, const cfg_opt_t *option)
{
    cfg_opt_t *grown = realloc(t->options, (t->count + 2) * sizeof *grown);
    if (grown == NULL)
        return false;
    t->options = grown;
    t->options[t->count++] = *option;
    t->options[t->count] = (cfg_opt_t){.name = NULL};
    return true;
}

/* Made when the first of its keys is met; its options stand in `t` only when all are known (tables_close). */
static struct table *table_subsection(struct table *t, struct slice name)
{
    for (struct table *s = t->subsections; s != NULL; s = s->next)
        if (slice_is(name, s->name))
            return s;
    struct table *s = calloc(1, sizeof *s);
    if (s == NULL || (s->name = slice_dup(name)) == NULL) {
        free(s);
        return NULL;
    }
    s->next = t->subsections;
    t->subsections = s;
    return s;
}

static bool tables_add_key(struct tables *t, const struct config_key *key)
{
    struct table *table = &t->kinds[key->kind];
    const char *dot = strchr(key->name, '.');
    if (dot != NULL)
        table = table_subsection(table, slice_make(key->name, (size_t)(dot - key->name)));
    cfg_opt_t option = {.name = dot != NULL ? dot + 1 : key->name,
                        .type = CFGT_STR,
                        .flags = CFGF_NODEFAULT,
                        .validcb = on_value};
    return table != NULL && table_add(table, &option);
}

static bool tables_close(struct tables *t, enum config_kind kind)
{
    struct table *table = &t->kinds[kind];
    for (struct table *s = table->subsections; s != NULL; s = s->next) {
        cfg_opt_t option = {.name = s->name,
                            .type = CFGT_SEC,
                            .flags = CFGF_NONE,
                            .subopts = s->options,
                            .validcb = on_value};
        if (!table_add(table, &option))
            return false;
    }
    t->top[kind] = (cfg_opt_t){.name = config_kind_name(kind),
                               .type = CFGT_SEC,
                               .flags = config_kind_heads(kind) == CONFIG_SINGLE
                                            ? CFGF_NONE
                                            : CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES,
                               .subopts = table->options,
                               .validcb = on_value};
    return table->options != NULL;
}

static void tables_free(struct tables *t)
{
    for (int kind = 0; t != NULL && kind < CONFIG_KIND_COUNT; kind++) {
        for (struct table *s = t->kinds[kind].subsections, *next; s != NULL; s = next) {
            next = s->next;
            free(s->options);
            free(s->name);
            free(s);
        }
        free(t->kinds[kind].options);
    }
    free(t);
}

/* NULL when memory is short. */
static struct tables *tables_new(void)
{
    struct tables *t = calloc(1, sizeof *t);
    bool good = t != NULL;
    for (int i = 0; good && i < CONFIG_KEY_COUNT; i++)
        good = tables_add_key(t, &config_keys[i]);
    for (enum config_kind kind = 0; good && kind < CONFIG_KIND_COUNT; kind++)
        good = tables_close(t, kind);
    if (good)
        return t;
    tables_free(t);
    return NULL;
}

/* ---- parsing until nothing is wrong ---- */

/*
 * To libconfuse ${NAME} is a variable of our environment, which no document promises and no shell's ${f} survives. So
 * it gets each such $ behind a backslash, and what stands outside of quotes in quotes.
 */
static void emit_text(struct buffer *out, const struct config_token *t)
{
    bool quoted = t->type == CONFIG_TOKEN_STRING;
    bool hole = t->type == CONFIG_TOKEN_WORD && memmem(t->text.ptr, t->text.len, "${", 2) != NULL;
    if (!hole && (!quoted || t->text.ptr[0] != '"')) {
        buffer_append_slice(out, t->text);
        return;
    }
    if (hole)
        buffer_append_char(out, '"');
    for (size_t i = 0; i < t->text.len; i++) {
        char c = t->text.ptr[i];
        if (c == '$' || (hole && (c == '\\' || c == '"')))
            buffer_append_char(out, '\\');
        buffer_append_char(out, c);
        if (quoted && c == '\\' && i + 1 < t->text.len)
            buffer_append_char(out, t->text.ptr[++i]);
    }
    if (hole)
        buffer_append_char(out, '"');
}

/* The live tokens, one a line, and which token ends on which line (a quoted string may span several). */
static bool emit(struct parse *p)
{
    buffer_clear(&p->text);
    buffer_clear(&p->lines);
    for (size_t i = 0; i < p->scan->count; i++) {
        const struct config_token *t = &p->scan->tokens[i];
        if (t->dropped)
            continue;
        size_t start = p->text.len;
        if (t->renamed)
            buffer_printf(&p->text, "\"=%zu\"", i);
        else if (t->type == CONFIG_TOKEN_OTHER)
            buffer_append_char(&p->text,
                               ','); /* an error for certain; a '*' would be passed over */
        else
            emit_text(&p->text, t);
        buffer_append_char(&p->text, '\n');
        for (size_t at = start; buffer_ok(&p->text) && at < p->text.len; at++) {
            if (p->text.data[at] == '\n')
                buffer_append(&p->lines, &i, sizeof i);
        }
    }
    buffer_append_char(&p->text, '\n'); /* cfg_parse_buf takes no empty text */
    return buffer_text(&p->text) != NULL && buffer_ok(&p->lines);
}

/*
 * libconfuse (3.3) does not stand a failed allocation: it asserts, or frees through null pointers what it has half
 * built. We are one thread, so what is there for us now is there for it a moment later.
 */
static bool parse_has_memory(const struct parse *p)
{
    size_t sections = 0;
    for (size_t i = 0; i < p->text.len; i++)
        sections += p->text.data[i] == '{';
    void *some = malloc(PARSE_MEMORY + PARSE_SECTION_MEMORY * sections + 2 * p->text.len);
    free(some);
    return some != NULL;
}

/*
 * One run over the live tokens. NULL when it stopped at an error, or when memory is short (then p->stopped is false).
 */
static cfg_t *parse_once(struct parse *p, struct tables *t)
{
    buffer_clear(&p->records);
    p->stopped = false;
    cfg_t *cfg = emit(p) && parse_has_memory(p) ? cfg_init(t->top, CFGF_NONE) : NULL;
    if (cfg == NULL)
        return NULL;
    cfg_set_error_function(cfg, on_error);
    current = p;
    int rc = cfg_parse_buf(cfg, p->text.data);
    current = NULL;
    if (rc == CFG_SUCCESS && buffer_ok(&p->records))
        return cfg;
    cfg_free(cfg);
    return NULL;
}

/* Each turn hides at least one token, and ends early when the list of errors is full. */
static cfg_t *parse_all(struct parse *p, struct tables *t)
{
    for (;;) {
        cfg_t *cfg = parse_once(p, t);
        if (cfg != NULL || !p->stopped || p->errors->more)
            return cfg;
        if (!config_syntax_recover(p->scan, p->stopped_at, p->errors))
            return NULL;
    }
}

/* ---- from libconfuse's values to ours ---- */

/* By option, and for one option by token. */
static int compare_records(const void *a, const void *b)
{
    const struct record *one = a, *other = b;
    uintptr_t x = (uintptr_t)one->opt, y = (uintptr_t)other->opt;
    return x != y ? (x > y) - (x < y) : (one->token > other->token) - (one->token < other->token);
}

/* The first record of an option, or where it would stand. */
static size_t find_first(const struct record *r, size_t count, const cfg_opt_t *opt)
{
    size_t low = 0;
    while (low < count) {
        size_t middle = low + (count - low) / 2;
        if ((uintptr_t)r[middle].opt < (uintptr_t)opt)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

/*
 * The token at which an option was first met, CONFIG_TOKEN_NONE when it was not. Reports every
 * further time as a duplicate.
 */
static size_t find_record(struct parse *p, const cfg_opt_t *opt, const char *name)
{
    const struct record *r = (const struct record *)(const void *)p->records.data;
    size_t first = CONFIG_TOKEN_NONE, count = p->records.len / sizeof *r;
    for (size_t i = find_first(r, count, opt); i < count && r[i].opt == opt; i++) {
        if (first == CONFIG_TOKEN_NONE)
            first = r[i].token;
        else
            config_errors_add(p->errors, config_scan_line(p->scan, r[i].token),
                              "%s: given twice, first on line %u; keep one", name,
                              config_scan_line(p->scan, first));
    }
    return first;
}

/* So that each option's are found without a look at all of them, which would grow with the square. */
static void sort_records(struct parse *p)
{
    if (p->records.len > 0)
        qsort(p->records.data, p->records.len / sizeof(struct record), sizeof(struct record),
              compare_records);
}

static bool set_value(struct config_section *s, int key, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    struct config_value *value = config_value_at(s, key);
    free(value->text);
    value->text = copy;
    return true;
}

/* A value of the file: checked, and put in the default's place. False when memory is short. */
static bool take_value(struct parse *p, struct config *c, struct config_section *s, int key,
                       const char *raw)
{
    struct buffer out = BUFFER_EMPTY, why = BUFFER_EMPTY;
    bool ok = true;
    if (config_value_check(&config_keys[key], raw, c->base, &out, &why)) {
        ok = buffer_text(&out) != NULL && set_value(s, key, out.data);
    } else {
        config_value_at(s, key)->broken = true;
        const char *text = buffer_text(&why);
        ok = text != NULL;
        if (ok)
            config_errors_add(p->errors, config_value_at(s, key)->line, "%s: %s",
                              config_keys[key].name, text);
    }
    buffer_fini(&out);
    buffer_fini(&why);
    return ok;
}

static bool take_key(struct parse *p, struct config *c, struct config_section *s, cfg_t *sec,
                     int key)
{
    char path[CONFIG_KEY_NAME_MAX];
    if (!slice_copy(slice_of(config_keys[key].name), path, sizeof path))
        return false;
    char *dot = strchr(path, '.');
    if (dot != NULL)
        *dot = '|'; /* libconfuse's own separator */
    cfg_opt_t *opt = cfg_getopt(sec, path);
    size_t token = opt ? find_record(p, opt, config_keys[key].name) : CONFIG_TOKEN_NONE;
    if (token == CONFIG_TOKEN_NONE)
        return opt != NULL;
    struct config_value *value = config_value_at(s, key);
    value->line = p->scan->tokens[token].line;
    value->broken = p->scan->tokens[token].broken;
    return value->broken || take_value(p, c, s, key, cfg_opt_getnstr(opt, 0));
}

/* Says which subsections of `sec` stand there twice. */
static void check_subsections(struct parse *p, cfg_t *sec)
{
    cfg_opt_t *opt;
    for (unsigned i = 0; (opt = cfg_getnopt(sec, i)) != NULL; i++) {
        if (opt->type == CFGT_SEC)
            find_record(p, opt, opt->name);
    }
}

static bool take_section(struct parse *p, struct config *c, enum config_kind kind, cfg_t *sec,
                         size_t close)
{
    const struct config_token *tokens = p->scan->tokens;
    struct slice title = slice_of(cfg_title(sec));
    size_t name = CONFIG_TOKEN_NONE;
    if (close != CONFIG_TOKEN_NONE)
        name = config_scan_before(p->scan, tokens[close].match);
    bool duplicate = name != CONFIG_TOKEN_NONE && tokens[name].renamed;
    if (duplicate)
        title = config_scan_title(p->scan, tokens[close].match);
    struct config_section *s = config_section_add(c, kind, title);
    if (s == NULL)
        return false;
    s->duplicate = duplicate;
    if (close != CONFIG_TOKEN_NONE)
        s->line = config_scan_line(p->scan, close);
    check_subsections(p, sec);
    for (int key = 0; key < CONFIG_KEY_COUNT; key++) {
        if (config_keys[key].kind == kind && !take_key(p, c, s, sec, key))
            return false;
    }
    return true;
}

/* The closing brace of a section: libconfuse remembers the line on which a section ended. */
static size_t closing_token(const struct parse *p, const cfg_t *sec)
{
    size_t token = token_at_line(p, sec->line);
    return token < p->scan->count ? token : CONFIG_TOKEN_NONE;
}

static bool take_all(struct parse *p, struct config *c, cfg_t *cfg)
{
    sort_records(p);
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        cfg_opt_t *opt = cfg_getopt(cfg, config_kind_name(kind));
        for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
            cfg_t *sec = cfg_opt_getnsec(opt, i);
            size_t close = config_kind_heads(kind) == CONFIG_SINGLE
                               ? find_record(p, opt, config_kind_name(kind))
                               : closing_token(p, sec);
            if (!take_section(p, c, kind, sec, close))
                return false;
        }
    }
    return true;
}

int config_parse(struct config *c, struct slice text, struct config_errors *errors)
{
    struct config_scan scan;
    struct parse p = {.scan = &scan, .errors = errors};
    int rc = config_scan(&scan, text, errors);
    struct tables *t = rc == 0 ? tables_new() : NULL;
    if (t != NULL) {
        cfg_t *cfg = parse_all(&p, t);
        bool ok = cfg != NULL ? take_all(&p, c, cfg) : p.stopped;
        if (cfg != NULL)
            cfg_free(cfg);
        rc = ok ? 0 : -ENOMEM;
    } else {
        rc = -ENOMEM;
    }
    tables_free(t);
    buffer_fini(&p.text);
    buffer_fini(&p.lines);
    buffer_fini(&p.records);
    config_scan_fini(&scan);
    return rc;
}
