/* ctl_args.c: the command line of platoonctl, taken apart. See ctl_args.h. */
#include "master/ctl/ctl_args.h"

#include "common/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct ctl_option_record {
    const char *short_name;
    const char *long_name;
    const char *value; /* "": takes none */
    const char *help;
};

static const struct ctl_option_record options[CTL_OPTION_COUNT] = {
#define X(NAME, short_name, long_name, value, help)                                                \
    [CTL_OPTION_##NAME] = {short_name, long_name, value, help},
    CTL_OPTION_LIST(X)
#undef X
};

enum ctl_group { CTL_GROUP_LOOK, CTL_GROUP_ACT, CTL_GROUP_WAIT };

struct ctl_verb_text {
    const char *words;
    int min, max;
    uint64_t timeout_ms;
    enum ctl_group group;
    const char *grammar;
    const char *help;
};

static const struct ctl_verb_text verbs[CTL_VERB_COUNT] = {
#define X(NAME, name, words, min, max, TIME, GROUP, grammar, help)                                 \
    [CTL_VERB_##                                                                                   \
        NAME] = {words, min, max, CTL_TIMEOUT_##TIME##_MS, CTL_GROUP_##GROUP, grammar, help},
    SYSTEMS(VERBS, X)
#undef X
};

int ctl_verb_min(enum ctl_verb verb)
{
    return verbs[verb].min;
}

int ctl_verb_max(enum ctl_verb verb)
{
    return verbs[verb].max;
}

uint64_t ctl_verb_timeout_ms(enum ctl_verb verb)
{
    return verbs[verb].timeout_ms;
}

const char *ctl_verb_words(enum ctl_verb verb)
{
    return verbs[verb].words;
}

const char *ctl_verb_grammar(enum ctl_verb verb)
{
    return verbs[verb].grammar;
}

const char *ctl_verb_help(enum ctl_verb verb)
{
    return verbs[verb].help;
}

/* ---- options ---- */

int ctl_args_take(const char **words, int count, int *at, const char *name, const char **value)
{
    const char *word = words[*at];
    size_t len = strlen(name);
    if (strncmp(word, name, len) != 0)
        return 0;
    if (word[len] == '=') {
        *value = word + len + 1;
        return 1;
    }
    if (word[len] != '\0')
        return 0;
    if (*at + 1 >= count)
        return -EINVAL;
    *value = words[++*at];
    return 1;
}

static int set_timeout(struct ctl_args *a, const char *value, struct buffer *why)
{
    uint64_t ms = 0;
    if (text_parse_span(slice_of(value), &ms) != 0 || ms == 0 || ms > INT32_MAX) {
        buffer_printf(why,
                      "--timeout %s: not a duration between 1ms and 24d: write 500ms, 5s, 2m or 1h",
                      value);
        return -EINVAL;
    }
    a->timeout_ms = ms;
    a->timeout_given = true;
    return 0;
}

static int set_option(struct ctl_args *a, enum ctl_option option, const char *value,
                      struct buffer *why)
{
    switch (option) {
    case CTL_OPTION_SOCKET:
        a->socket = value;
        break;
    case CTL_OPTION_CONFIG:
        a->config = value;
        break;
    case CTL_OPTION_JSON:
        a->json = true;
        break;
    case CTL_OPTION_TIMEOUT:
        return set_timeout(a, value, why);
    case CTL_OPTION_NO_COLOR:
        a->no_color = true;
        break;
    case CTL_OPTION_HELP:
        a->help = true;
        break;
    case CTL_OPTION_VERSION:
        a->version = true;
        break;
    case CTL_OPTION_COUNT:
        break;
    }
    return 0;
}

/* 1 when words[*at] is one of the options above and was taken, 0 when it is not, -EINVAL. */
static int take_option(struct ctl_args *a, const char **words, int count, int *at,
                       struct buffer *why)
{
    for (size_t i = 0; i < CTL_OPTION_COUNT; i++) {
        const struct ctl_option_record *o = &options[i];
        const char *value = NULL;
        int taken = 0;
        if (o->value[0] == '\0')
            taken = strcmp(words[*at], o->long_name) == 0 ||
                    (o->short_name[0] != '\0' && strcmp(words[*at], o->short_name) == 0);
        else if (o->short_name[0] != '\0' && strcmp(words[*at], o->short_name) == 0)
            taken = ctl_args_take(words, count, at, o->short_name, &value);
        else
            taken = ctl_args_take(words, count, at, o->long_name, &value);
        if (taken == 0)
            continue;
        if (taken < 0) {
            buffer_printf(why, "%s needs a value: %s %s", words[*at], o->long_name, o->value);
            return -EINVAL;
        }
        int rc = set_option(a, (enum ctl_option)i, value, why);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

static void say_unknown_option(const char *word, struct buffer *why)
{
    struct text_nearest nearest = text_nearest_start(slice_of(word));
    for (size_t i = 0; i < CTL_OPTION_COUNT; i++)
        text_nearest_offer(&nearest, options[i].long_name);
    buffer_printf(why, "unknown option %s", word);
    if (nearest.best != NULL)
        buffer_printf(why, ": did you mean %s?", nearest.best);
    else
        buffer_append_text(why, ": platoonctl --help lists them");
}

/* ---- verbs ---- */

/* Number of words of the verb's name that the command line starts with, all of them or 0. */
static int match_verb(const char *name, int argc, const char **argv)
{
    int used = 0;
    while (*name != '\0') {
        size_t len = strcspn(name, " ");
        if (used == argc || strlen(argv[used]) != len || strncmp(name, argv[used], len) != 0)
            return 0;
        used++;
        name += len;
        name += strspn(name, " ");
    }
    return used;
}

/* Is it the first word of this verb, which has more? */
static bool is_family(const struct ctl_verb_text *v, const char *word)
{
    size_t len = strcspn(v->words, " ");
    return v->words[len] == ' ' && strlen(word) == len && strncmp(v->words, word, len) == 0;
}

static bool is_first_word(const char *word)
{
    for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
        if (is_family(&verbs[i], word))
            return true;
    }
    return false;
}

#define FAMILY_SIZE 32

/* The first words of verbs that have more: what only they are near to is one of them. `name`: room for it. */
static void offer_families(struct text_nearest *nearest, char name[FAMILY_SIZE])
{
    char best[FAMILY_SIZE] = "";
    for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
        size_t len = strcspn(verbs[i].words, " ");
        if (verbs[i].words[len] == '\0' ||
            !slice_copy(slice_make(verbs[i].words, len), name, FAMILY_SIZE))
            continue;
        size_t before = nearest->distance;
        text_nearest_offer(nearest, name);
        if (nearest->distance < before)
            memcpy(best, name, sizeof best);
    }
    memcpy(name, best, sizeof best);
}

static void say_unknown_verb(int argc, const char **argv, struct buffer *why)
{
    struct buffer typed = BUFFER_EMPTY;
    buffer_append_text(&typed, argv[0]);
    bool family = is_first_word(argv[0]);
    if (family && argc > 1)
        buffer_printf(&typed, " %s", argv[1]);
    struct text_nearest nearest = text_nearest_start(buffer_slice(&typed));
    for (size_t i = 0; i < CTL_VERB_COUNT; i++)
        if (!family ||
            is_family(&verbs[i], argv[0])) /* a family's name alone is near to no other's */
            text_nearest_offer(&nearest, verbs[i].words);
    char first[FAMILY_SIZE];
    if (!family)
        offer_families(&nearest, first);
    const char *text = buffer_text(&typed);
    if (nearest.best != NULL) {
        buffer_printf(why, "unknown verb '%s': did you mean '%s'?", text ? text : "", nearest.best);
    } else if (family) {
        buffer_printf(why, "'%s' is not a verb: there are", text ? text : "");
        for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
            if (is_family(&verbs[i], argv[0]))
                buffer_printf(why, " '%s'", verbs[i].words);
        }
    } else {
        buffer_printf(why, "unknown verb '%s': platoonctl --help lists them", text ? text : "");
    }
    buffer_fini(&typed);
}

static int find_verb(struct ctl_args *a, struct buffer *why)
{
    for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
        int used = match_verb(verbs[i].words, a->argc, a->argv);
        if (used == 0)
            continue;
        a->verb = (enum ctl_verb)i;
        a->argv += used;
        a->argc -= used;
        return 0;
    }
    if (a->argc == 0 && (a->help || a->version))
        return 0;
    if (a->argc == 0)
        buffer_append_text(why, "what shall it do? platoonctl --help lists the verbs");
    else if (a->help)
        return 0;
    else
        say_unknown_verb(a->argc, a->argv, why);
    return -EINVAL;
}

/* Does the verb of that one word keep the rest to itself? */
static bool is_greedy(const char *word)
{
    for (size_t i = 0; i < CTL_VERB_COUNT; i++)
        if (verbs[i].max == VERB_REST && strcmp(word, verbs[i].words) == 0)
            return true;
    return false;
}

int ctl_args_parse(struct ctl_args *a, int argc, char **argv, struct buffer *why)
{
    *a = (struct ctl_args){.verb = CTL_VERB_COUNT};
    a->storage = calloc((size_t)argc + 1, sizeof *a->storage);
    if (a->storage == NULL)
        return -ENOMEM;
    a->argv = a->storage;
    const char **words = (const char **)argv;
    bool literal = false;
    for (int i = 1; i < argc; i++) {
        const char *word = words[i];
        bool is_option = !literal && word[0] == '-' && word[1] != '\0';
        if (is_option && strcmp(word, "--") == 0) {
            literal = true;
            continue;
        }
        int taken = is_option ? take_option(a, words, argc, &i, why) : 0;
        if (taken < 0)
            return taken;
        if (taken > 0)
            continue;
        if (is_option && a->argc == 0) {
            say_unknown_option(word, why);
            return -EINVAL;
        }
        a->argv[a->argc++] = word;
        literal = literal || (a->argc == 1 && is_greedy(word));
    }
    return find_verb(a, why);
}

void ctl_args_fini(struct ctl_args *a)
{
    free(a->storage);
    a->storage = NULL;
}

/* ---- help ---- */

static const struct {
    enum ctl_group group;
    const char *title;
} groups[] = {{CTL_GROUP_LOOK, "Look:"}, {CTL_GROUP_ACT, "Act:"}, {CTL_GROUP_WAIT, "Wait:"}};

static void help_verb(const struct ctl_verb_text *v, struct buffer *out)
{
    buffer_printf(out, "  %s\n        %s\n", v->grammar, v->help);
}

static void help_options(struct buffer *out)
{
    buffer_append_text(out, "\nOptions, before or behind the verb:\n");
    for (size_t i = 0; i < CTL_OPTION_COUNT; i++) {
        const struct ctl_option_record *o = &options[i];
        char name[64];
        snprintf(name, sizeof name, "%s%s%s%s%s", o->short_name, o->short_name[0] ? ", " : "",
                 o->long_name, o->value[0] ? " " : "", o->value);
        buffer_printf(out, "  %-22s %s\n", name, o->help);
    }
}

/* "`wait` and `drain wait`": the verbs that wait for work. */
static void help_waiting(struct buffer *out)
{
    size_t left = 0, said = 0;
    for (size_t i = 0; i < CTL_VERB_COUNT; i++)
        left += verbs[i].timeout_ms == CTL_TIMEOUT_WAIT_MS;
    for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
        if (verbs[i].timeout_ms != CTL_TIMEOUT_WAIT_MS)
            continue;
        left--;
        buffer_printf(out, "%s`%s`", said++ == 0 ? "" : left == 0 ? " and " : ", ", verbs[i].words);
    }
}

static void help_rest(struct buffer *out)
{
    char act[TEXT_NUMBER_SIZE], wait[TEXT_NUMBER_SIZE], rest[TEXT_NUMBER_SIZE];
    buffer_printf(
        out,
        "\nNAME is a path as `tree` shows it, such as redis/visits/get-hash.1; a branch "
        "stands for\neverything below it. The socket is that of -s, else of -c FILE, else "
        "$" CTL_SOCKET_ENV ", else\n" CTL_SOCKET_DEFAULT
        ". Unless --timeout is given: %s for start, stop, restart\nand shutdown, %s for ",
        text_format_span(CTL_TIMEOUT_ACT_MS, act), text_format_span(CTL_TIMEOUT_WAIT_MS, wait));
    help_waiting(out);
    buffer_printf(out, ", %s for everything else.\n\nExit status:\n",
                  text_format_span(CONTROL_TIMEOUT_MS, rest));
#define X(NAME, code, meaning) buffer_printf(out, "  %3d  %s\n", code, meaning);
    CONTROL_STATUS_LIST(X)
#undef X
}

void ctl_args_help(enum ctl_verb verb, struct buffer *out)
{
    if (verb != CTL_VERB_COUNT) {
        buffer_printf(out, "usage: platoonctl %s\n%s\n", verbs[verb].grammar, verbs[verb].help);
        return;
    }
    buffer_append_text(out, "usage: platoonctl [-s SOCKET | -c FILE] [--json] [--timeout 5s] "
                            "[--no-color] VERB ...\n");
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        buffer_printf(out, "\n%s\n", groups[g].title);
        for (size_t i = 0; i < CTL_VERB_COUNT; i++) {
            if (verbs[i].group == groups[g].group)
                help_verb(&verbs[i], out);
        }
    }
    help_options(out);
    help_rest(out);
}
