/*
 * config_parse.c: libconfuse over the scanned tokens, again and again until it finds no more errors. See config_parse.h.
 *
 * libconfuse stops at its first error. The statement it stopped at is reported in our words, hidden from it, and the rest is
 * parsed again: so a person sees all errors at once. All values are text to libconfuse; types and ranges are ours to check.
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

#define SUBSECTION_MAX      8
#define SUBSECTION_NAME_MAX 32

struct tables {
    cfg_opt_t top[CONFIG_KIND_COUNT + 1];
    cfg_opt_t keys[CONFIG_KIND_COUNT][CONFIG_KEY_COUNT + 1];
    cfg_opt_t subs[SUBSECTION_MAX][CONFIG_KEY_COUNT + 1];
    char names[SUBSECTION_MAX][SUBSECTION_NAME_MAX];
    size_t sub_count;
};

static cfg_opt_t *end_of(cfg_opt_t *opts)
{
    while (opts->name != NULL)
        opts++;
    return opts;
}

static void add_key(cfg_opt_t *opts, const char *name)
{
    *end_of(opts) =
        (cfg_opt_t){.name = name, .type = CFGT_STR, .flags = CFGF_NODEFAULT, .validcb = on_value};
}

static void add_section(cfg_opt_t *opts, const char *name, cfg_opt_t *subopts, cfg_flag_t flags)
{
    *end_of(opts) = (cfg_opt_t){
        .name = name, .type = CFGT_SEC, .flags = flags, .subopts = subopts, .validcb = on_value};
}

/* The options of a kind's subsection, made when the first of its keys is met. NULL when SUBSECTION_MAX is too small. */
static cfg_opt_t *subsection(struct tables *t, cfg_opt_t *opts, struct slice name)
{
    for (cfg_opt_t *opt = opts; opt->name != NULL; opt++) {
        if (opt->type == CFGT_SEC && slice_is(name, opt->name))
            return opt->subopts;
    }
    if (t->sub_count == SUBSECTION_MAX ||
        !slice_copy(name, t->names[t->sub_count], SUBSECTION_NAME_MAX))
        return NULL;
    cfg_opt_t *subopts = t->subs[t->sub_count];
    add_section(opts, t->names[t->sub_count++], subopts, CFGF_NONE);
    return subopts;
}

/* NULL when memory is short, or when the list has outgrown the limits above (a bug that every test would show). */
static struct tables *tables_new(void)
{
    struct tables *t = calloc(1, sizeof *t);
    if (t == NULL)
        return NULL;
    for (int i = 0; i < CONFIG_KEY_COUNT; i++) {
        cfg_opt_t *opts = t->keys[config_keys[i].kind];
        const char *name = config_keys[i].name, *dot = strchr(name, '.');
        if (dot != NULL)
            opts = subsection(t, opts, slice_make(name, (size_t)(dot - name)));
        if (opts == NULL) {
            free(t);
            return NULL;
        }
        add_key(opts, dot ? dot + 1 : name);
    }
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++)
        add_section(t->top, config_kind_name(kind), t->keys[kind],
                    kind == CONFIG_PLATOON ? CFGF_NONE
                                           : CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES);
    return t;
}

/* ---- parsing until nothing is wrong ---- */

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
            buffer_append_slice(&p->text, t->text);
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
 * libconfuse (3.3) does not stand a failed allocation: it asserts, or frees through null pointers what it has half built. We are one thread, so what is there for us now is there
 * for it a moment later.
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

/* One run over the live tokens. NULL when it stopped at an error, or when memory is short (then p->stopped is false). */
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

/* The token at which an option was first met, CONFIG_TOKEN_NONE when it was not. Reports every further time as a duplicate. */
static size_t find_record(struct parse *p, const cfg_opt_t *opt, const char *name)
{
    const struct record *r = (const struct record *)(const void *)p->records.data;
    size_t first = CONFIG_TOKEN_NONE;
    for (size_t i = 0; i < p->records.len / sizeof *r; i++) {
        if (r[i].opt != opt)
            continue;
        if (first == CONFIG_TOKEN_NONE)
            first = r[i].token;
        else
            config_errors_add(p->errors, config_scan_line(p->scan, r[i].token),
                              "%s: given twice, first on line %u; keep one", name,
                              config_scan_line(p->scan, first));
    }
    return first;
}

static bool set_value(struct config_section *s, int key, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return false;
    free(s->values[key]);
    s->values[key] = copy;
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
        s->broken[key] = true;
        const char *text = buffer_text(&why);
        ok = text != NULL;
        if (ok)
            config_errors_add(p->errors, s->lines[key], "%s: %s", config_keys[key].name, text);
    }
    buffer_fini(&out);
    buffer_fini(&why);
    return ok;
}

static bool take_key(struct parse *p, struct config *c, struct config_section *s, cfg_t *sec,
                     int key)
{
    char path[2 * SUBSECTION_NAME_MAX];
    if (!slice_copy(slice_of(config_keys[key].name), path, sizeof path))
        return false;
    char *dot = strchr(path, '.');
    if (dot != NULL)
        *dot = '|'; /* libconfuse's own separator */
    cfg_opt_t *opt = cfg_getopt(sec, path);
    size_t token = opt ? find_record(p, opt, config_keys[key].name) : CONFIG_TOKEN_NONE;
    if (token == CONFIG_TOKEN_NONE)
        return opt != NULL;
    s->lines[key] = p->scan->tokens[token].line;
    s->broken[key] = p->scan->tokens[token].broken;
    return s->broken[key] || take_value(p, c, s, key, cfg_opt_getnstr(opt, 0));
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
    for (enum config_kind kind = 0; kind < CONFIG_KIND_COUNT; kind++) {
        cfg_opt_t *opt = cfg_getopt(cfg, config_kind_name(kind));
        for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
            cfg_t *sec = cfg_opt_getnsec(opt, i);
            size_t close =
                kind == CONFIG_PLATOON ? find_record(p, opt, "platoon") : closing_token(p, sec);
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
    free(t);
    buffer_fini(&p.text);
    buffer_fini(&p.lines);
    buffer_fini(&p.records);
    config_scan_fini(&scan);
    return rc;
}
