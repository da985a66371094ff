/* config_check_program.c: see config_check_program.h. */
#include "master/program/config_check_program.h"

#include "common/text.h"
#include "common/words.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"
#include "proto/contract.h"

#include <errno.h>
#include <inttypes.h>

/* What is being checked; the list of words lives as long as one check. */
struct program_check {
    const struct config_section *s;
    struct config_errors *errors;
    const char *key;
    struct buffer words;
};

#define PROGRAM_ERROR(c, ...)                                                                      \
    config_errors_add((c)->errors, config_check_line((c)->s, (c)->key), __VA_ARGS__)

/*
 * Cuts the key's value into words. False, having said why, when it cannot be; false without a word when the
 * value was reported before.
 */
static bool program_words(struct program_check *c, const char *key, size_t max)
{
    c->key = key;
    buffer_clear(&c->words);
    if (config_check_broken(c->s, key))
        return false;
    int rc = words_split(slice_of(config_get(c->s, key)), max, &c->words);
    if (rc == -EINVAL)
        PROGRAM_ERROR(c, "%s: a quote does not end, or a backslash stands last", key);
    else if (rc == -E2BIG)
        PROGRAM_ERROR(c, "%s: more than %zu words", key, max);
    else if (rc < 0)
        c->errors->failed = true;
    return rc >= 0;
}

#define PROGRAM_EACH(c, word)                                                                      \
    for (const char *word = words_next(&(c)->words, 0, NULL); word != NULL;                        \
         word = words_next(&(c)->words, 0, word))

/* ---- program ---- */

int config_program_words(const struct config *c, struct slice command, struct buffer *words)
{
    struct buffer whole = BUFFER_EMPTY;
    buffer_clear(words);
    int rc = words_split(command, CONFIG_WORDS_MAX, words);
    if (rc <= 0 || words->data[0] == '/' || strchr(words->data, '/') == NULL)
        return rc;
    buffer_printf(&whole, "%s/", config_base(c));
    buffer_append_slice(&whole, buffer_slice(words));
    bool good = buffer_ok(&whole);
    if (good) {
        buffer_fini(words);
        *words = whole;
    } else {
        buffer_fini(&whole);
    }
    return good ? rc : -ENOMEM;
}

int config_program_command(const struct config *c, const struct config_section *program,
                           uint64_t number, struct buffer *words)
{
    struct buffer text = BUFFER_EMPTY;
    words_expand_number(config_get(program, "command"), number, &text);
    int rc = buffer_ok(&text) ? config_program_words(c, buffer_slice(&text), words) : -ENOMEM;
    buffer_fini(&text);
    return rc;
}

static void program_command(struct program_check *c)
{
    bool given =
        program_words(c, "command", CONFIG_WORDS_MAX) && config_get(c->s, "command")[0] != '\0';
    if (given && c->words.len == 0)
        PROGRAM_ERROR(c, "command: is empty, it must be a program and its arguments");
}

static void program_environment(struct program_check *c)
{
    if (!program_words(c, "environment", CONFIG_WORDS_MAX))
        return;
    PROGRAM_EACH(c, word)
    {
        const char *equal = strchr(word, '=');
        if (equal == NULL || equal == word)
            PROGRAM_ERROR(c, "environment: '%s' is not NAME=value", word);
    }
}

static void program_exit_codes(struct program_check *c)
{
    if (!program_words(c, "exit_codes", CONFIG_WORDS_MAX))
        return;
    PROGRAM_EACH(c, word)
    {
        uint64_t code;
        if (text_parse_u64(slice_of(word), &code) != 0 || code > 255)
            PROGRAM_ERROR(c, "exit_codes: '%s' is not a whole number from 0 to 255", word);
    }
}

static void program_umask(struct program_check *c)
{
    c->key = "umask";
    if (config_check_broken(c->s, "umask"))
        return;
    const char *text = config_get(c->s, "umask");
    if (strlen(text) > 4 || strspn(text, "01234567") != strlen(text) ||
        (strlen(text) == 4 && text[0] != '0'))
        PROGRAM_ERROR(c, "umask: '%s' is not an octal number such as 027", text);
}

static bool program_is_span(const char *text)
{
    uint64_t ms;
    return text_parse_span(slice_of(text), &ms) == 0 && ms <= 3600000;
}

/* tcp:ADDRESS:PORT or http:ADDRESS:PORT/PATH. */
static bool program_is_address(const char *how)
{
    bool http = strncmp(how, "http:", 5) == 0;
    if (!http && strncmp(how, "tcp:", 4) != 0)
        return false;
    const char *from = how + (http ? 5 : 4);
    const char *path = http ? strchr(from, '/') : NULL;
    size_t len = path != NULL ? (size_t)(path - from) : strlen(from);
    const char *port = memrchr(from, ':', len);
    uint64_t number = 0;
    return port != NULL && port > from &&
           text_parse_u64(slice_make(port + 1, len - (size_t)(port + 1 - from)), &number) == 0 &&
           number >= 1 && number <= 65535;
}

static void program_ready(struct program_check *c)
{
    c->key = "ready";
    if (config_check_broken(c->s, "ready"))
        return;
    buffer_clear(&c->words);
    words_expand_number(config_get(c->s, "ready"), config_get_u64(c->s, "processes"), &c->words);
    const char *how = buffer_text(&c->words);
    if (how == NULL) {
        c->errors->failed = true;
        return;
    }
    bool tcp = program_is_address(how);
    bool unix_path = strncmp(how, "unix:/", 6) == 0;
    bool exits = strcmp(how, "exit") == 0;
    if (exits && strcmp(config_get(c->s, "restart"), "permanent") == 0)
        PROGRAM_ERROR(
            c, "ready: exit needs restart = transient or temporary: a permanent one never ends");
    bool told = (strncmp(how, "log:", 4) == 0 && how[4] != '\0') || strcmp(how, "notify") == 0 ||
                (strcmp(how, "actor") == 0 && strcmp(config_get(c->s, "port"), "none") != 0);
    if (!tcp && !unix_path && !exits && !told && strcmp(how, "none") != 0 &&
        strcmp(how, "fd") != 0 && !program_is_span(how))
        PROGRAM_ERROR(c,
                      "ready: '%s' is none of none, exit, 3s, unix:/path, tcp:ADDRESS:PORT, "
                      "http:ADDRESS:PORT/PATH, log:TEXT, notify, fd",
                      how);
}

static void program_backoff(struct program_check *c)
{
    c->key = "backoff_min";
    if (config_check_broken(c->s, "backoff_min") || config_check_broken(c->s, "backoff_max"))
        return;
    uint64_t max = config_get_u64(c->s, "backoff_max");
    if (max != 0 && config_get_u64(c->s, "backoff_min") > max)
        PROGRAM_ERROR(c, "backoff_min: must not be above backoff_max");
}

/* What a program gets through its command worker; a custom worker has none in between. */
static const char *const program_only[] = {"ready",    "exit_codes",      "stop_signal", "log_file",
                                           "log_keep", "log_rotate_size", "port"};

static bool program_is_setting(const char *word)
{
    const char *equal = strchr(word, '=');
    return equal != NULL && equal > word && equal - word <= 40;
}

/* True when a setting in front of this one has the same name. */
static bool program_was_set(const struct program_check *c, const char *word)
{
    size_t len = strcspn(word, "=") + 1;
    for (const char *other = words_next(&c->words, 0, NULL); other != word;
         other = words_next(&c->words, 0, other))
        if (strncmp(other, word, len) == 0)
            return true;
    return false;
}

/* Each process rotates its own file; one for several would be moved away under the others' hands. */
static void program_log_file(struct program_check *c)
{
    c->key = "log_file";
    if (config_check_broken(c->s, "log_file") || config_check_broken(c->s, "processes"))
        return;
    const char *file = config_get(c->s, "log_file");
    buffer_clear(&c->words);
    if (file[0] != '\0' && config_get_u64(c->s, "processes") > 1 &&
        !words_expand_number(file, 1, &c->words))
        PROGRAM_ERROR(c, "log_file: %s would be several processes' at once: put {n} into it", file);
}

static void program_worker(struct program_check *c)
{
    bool worker = config_get_u64(c->s, "worker") != 0;
    bool port = strcmp(config_get(c->s, "port"), "none") != 0;
    for (size_t i = 0; worker && i < sizeof program_only / sizeof program_only[0]; i++) {
        c->key = program_only[i];
        if (config_value_at(c->s, config_key_find(CONFIG_PROGRAM, slice_of(c->key)))->line != 0)
            PROGRAM_ERROR(c,
                          "%s: is for programs that are no workers: take it out, or worker = true",
                          c->key);
    }
    if (!program_words(c, "settings", CONFIG_WORDS_MAX))
        return;
    if (!worker && !port && c->words.len > 0)
        PROGRAM_ERROR(
            c, "settings: needs worker = true, or port; a program has arguments and environment");
    PROGRAM_EACH(c, word)
    {
        if (!program_is_setting(word))
            PROGRAM_ERROR(c, "settings: '%s' is not NAME=value with a NAME of at most 40 letters",
                          word);
        else if (program_was_set(c, word))
            PROGRAM_ERROR(c, "settings: %.*s is given twice", (int)strcspn(word, "="), word);
    }
    if (worker && program_words(c, "command", CONFIG_WORDS_MAX) && c->words.len > 0 &&
        (strchr(c->words.data, '/') == NULL || words_next(&c->words, 0, c->words.data) != NULL))
        PROGRAM_ERROR(c, "command: a worker's is the path of its program, without arguments: "
                         "settings are what it is told");
}

static void program_may_start(const struct config *config, struct program_check *c)
{
    if (!program_words(c, "may_start", CONFIG_CHILDREN_MAX))
        return;
    PROGRAM_EACH(c, word)
    {
        if (config_section_find(config, CONFIG_PROGRAM, word) != NULL ||
            config_errors_full(c->errors))
            continue;
        struct text_nearest nearest = text_nearest_start(slice_of(word));
        const struct config_section *s;
        for (size_t i = 0; (s = config_section_at(config, CONFIG_PROGRAM, i)) != NULL; i++)
            text_nearest_offer(&nearest, config_title(s));
        PROGRAM_ERROR(c, "may_start: there is no program named %s%s%s%s", word,
                      nearest.best != NULL ? ": did you mean " : ": add `program ",
                      nearest.best != NULL ? nearest.best : word,
                      nearest.best != NULL ? "?" : " { … }`");
    }
    bool speaks =
        config_get_u64(c->s, "worker") != 0 || strcmp(config_get(c->s, "port"), "none") != 0;
    if (!speaks && c->words.len > 0)
        PROGRAM_ERROR(c, "may_start: only a worker = true, or a port, can ask for children");
}

void config_check_program_keys(const struct config_section *s, struct config_errors *errors)
{
    struct program_check c = {.s = s, .errors = errors, .words = BUFFER_EMPTY};
    program_command(&c);
    program_environment(&c);
    program_umask(&c);
    buffer_fini(&c.words);
}

void config_check_program(const struct config *config, const struct config_section *s,
                          struct config_errors *errors)
{
    struct program_check c = {.s = s, .errors = errors, .words = BUFFER_EMPTY};
    program_may_start(config, &c);
    program_command(&c);
    program_environment(&c);
    program_exit_codes(&c);
    program_words(&c, "after", CONFIG_CHILDREN_MAX);
    program_umask(&c);
    program_ready(&c);
    program_backoff(&c);
    program_worker(&c);
    program_log_file(&c);
    buffer_fini(&c.words);
}

/* ---- supervisor ---- */

static const struct config_section *supervisor_child(const struct config *c, const char *title)
{
    const struct config_section *s = config_section_find(c, CONFIG_PROGRAM, title);
    return s != NULL ? s : config_section_find(c, CONFIG_SUPERVISOR, title);
}

/* The first that names a child is its parent. The index has no names of its own: a child's is its section's title. */
static bool supervisor_note_children(const struct config *c, const struct config_section *s)
{
    struct buffer words = BUFFER_EMPTY;
    bool good = true;
    int count = config_check_broken(s, "children")
                    ? 0
                    : words_split(slice_of(config_get(s, "children")), CONFIG_CHILDREN_MAX, &words);
    for (const char *w = count > 0 ? words_next(&words, 0, NULL) : NULL; w != NULL && good;
         w = words_next(&words, 0, w)) {
        const struct config_section *child = supervisor_child(c, w);
        good = child == NULL || name_index_add(&c->parents->of, 0, config_title(child), s);
    }
    buffer_fini(&words);
    return good && count != -ENOMEM;
}

/* Once a configuration: to ask every supervisor for each child would grow with the square. False: memory is short. */
static bool supervisor_note_all(const struct config *c)
{
    const struct config_section *s;
    bool good = true;
    for (size_t i = 0;
         good && !c->parents->made && (s = config_section_at(c, CONFIG_SUPERVISOR, i)) != NULL; i++)
        good = supervisor_note_children(c, s);
    c->parents->made = good;
    return good;
}

const struct config_section *config_supervisor_of(const struct config *c, const char *title)
{
    return supervisor_note_all(c) ? name_index_find(&c->parents->of, 0, slice_of(title)) : NULL;
}

static void supervisor_no_child(const struct config *c, const struct program_check *check,
                                const char *word)
{
    if (config_errors_full(check->errors))
        return;
    struct text_nearest nearest = text_nearest_start(slice_of(word));
    const struct config_section *s;
    for (int kind = CONFIG_SUPERVISOR; kind <= CONFIG_PROGRAM; kind++)
        for (size_t i = 0; (s = config_section_at(c, (enum config_kind)kind, i)) != NULL; i++)
            text_nearest_offer(&nearest, config_title(s));
    if (nearest.best != NULL)
        PROGRAM_ERROR(check,
                      "children: there is no program or supervisor named %s: did you mean %s?",
                      word, nearest.best);
    else
        PROGRAM_ERROR(
            check, "children: there is no program or supervisor named %s: add `program %s { … }`",
            word, word);
}

static void supervisor_check_child(const struct config *c, const struct program_check *check,
                                   const char *word, struct name_index *seen)
{
    bool twice = name_index_find(seen, 0, slice_of(word)) != NULL;
    check->errors->failed = !name_index_add(seen, 0, word, word) || check->errors->failed;
    const struct config_section *parent = config_supervisor_of(c, word);
    if (supervisor_child(c, word) == NULL)
        supervisor_no_child(c, check, word);
    else if (twice)
        PROGRAM_ERROR(check, "children: %s stands there twice", word);
    else if (parent != check->s)
        PROGRAM_ERROR(check, "children: %s is a child of supervisor %s already", word,
                      config_title(parent));
}

/*
 * Each has one parent at most, so who comes back to where it started has found a ring. Who has more above it than a
 * path has bytes stands below one, or too deep.
 */
static void supervisor_check_ring(const struct config *c, const struct program_check *check)
{
    const struct config_section *at = config_supervisor_of(c, config_title(check->s));
    int steps = 0;
    for (; at != NULL && at != check->s && steps < CONTRACT_NAME_MAX; steps++)
        at = config_supervisor_of(c, config_title(at));
    if (at == check->s)
        PROGRAM_ERROR(check, "children: supervisor %s stands below itself", config_title(check->s));
    else if (at != NULL)
        PROGRAM_ERROR(check, "children: supervisor %s has more than %d others above it",
                      config_title(check->s), CONTRACT_NAME_MAX);
}

void config_check_supervisor(const struct config *c, const struct config_section *s,
                             struct config_errors *errors)
{
    struct program_check check = {.s = s, .errors = errors, .words = BUFFER_EMPTY};
    const struct config_section *twin = config_section_find(c, CONFIG_PROGRAM, config_title(s));
    if (twin != NULL)
        config_errors_add(
            errors, s->line,
            "supervisor %s: there is a program of that name on line %u: choose another",
            config_title(s), twin->line);
    if (config_supervisor_of(c, config_title(s)) == NULL)
        config_check_path(c, s, config_title(s), errors);
    struct name_index seen = NAME_INDEX_EMPTY;
    if (!supervisor_note_all(c)) {
        errors->failed = true;
    } else if (program_words(&check, "children", CONFIG_CHILDREN_MAX)) {
        PROGRAM_EACH(&check, word)
        supervisor_check_child(c, &check, word, &seen);
        supervisor_check_ring(c, &check);
    }
    name_index_fini(&seen);
    buffer_fini(&check.words);
}
