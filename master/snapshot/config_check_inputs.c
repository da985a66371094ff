/*
 * config_check_inputs.c: what is wrong with how a resource is made: its inputs, its command, its schedule. Part of what
 * config_check_snapshot.c checks.
 *
 * Runs in the master and in the tool. See config_check_inputs.h.
 */
#include "master/snapshot/config_check_inputs.h"

#include "common/name_index.h"
#include "common/text.h"
#include "common/time/schedule.h"
#include "common/words.h"
#include "master/config/config_check_key.h"
#include "master/program/program_calls.h"
#include "master/snapshot/snapshot_of.h"
#include "proto/snapshot/snapshot_limits.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* Resources one above the other: more are a mistake, and would be too deep for who walks them. */
#define INPUTS_DEPTH_MAX 100

/* ---- each input ---- */

static void input_unknown(const struct config *c, const struct config_section *s, const char *word,
                          struct config_errors *errors)
{
    struct text_nearest near = text_nearest_start(slice_of(word));
    const struct config_section *other;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_RESOURCE, i)) != NULL; i++)
        if (other != s && snapshot_of(c, other) == snapshot_of(c, s))
            text_nearest_offer(&near, config_title(other));
    config_errors_add(errors, config_check_line(s, "inputs"),
                      "inputs: there is no resource named %s%s%s%s", word,
                      near.best != NULL ? ": did you mean " : ": add `resource ",
                      near.best != NULL ? near.best : word, near.best != NULL ? "?" : " { }`");
}

static void input_check(const struct config *c, const struct config_section *s, const char *word,
                        struct name_index *seen, struct config_errors *errors)
{
    const struct config_section *input = config_section_find(c, CONFIG_RESOURCE, word);
    unsigned line = config_check_line(s, "inputs");
    if (input == NULL)
        input_unknown(c, s, word, errors);
    else if (snapshot_of(c, input) != snapshot_of(c, s))
        config_errors_add(errors, line,
                          "inputs: %s is of another snapshot: inputs are from one commit", word);
    else if (name_index_find(seen, 0, slice_of(word)) != NULL)
        config_errors_add(errors, line, "inputs: %s stands there twice", word);
    else if (!name_index_add(seen, 0, config_title(input), input))
        errors->failed = true;
}

/* ---- cycles ---- */

/* The way down from the resource that is being checked. */
struct inputs_step {
    const struct config_section *s;
    const struct inputs_step *above;
    unsigned depth;
};

struct inputs_walk {
    const struct config *c;
    const struct config_section *from;
    struct name_index seen;
    struct config_errors *errors;
};

/* Told at the first of them in the file, once. */
static bool inputs_is_first(const struct inputs_walk *w, const struct inputs_step *last)
{
    for (; last != NULL; last = last->above)
        if (last->s->line < w->from->line)
            return false;
    return true;
}

static void inputs_tell_cycle(struct inputs_walk *w, const struct inputs_step *last)
{
    const struct config_section *way[INPUTS_DEPTH_MAX + 2];
    struct buffer text = BUFFER_EMPTY;
    size_t count = 0;
    if (!inputs_is_first(w, last))
        return;
    for (; last != NULL; last = last->above)
        way[count++] = last->s;
    for (size_t i = count; i-- > 0;)
        buffer_printf(&text, "%s -> ", config_title(way[i]));
    const char *said = buffer_text(&text);
    config_errors_add(w->errors, config_check_line(w->from, "inputs"), "inputs: %s%s is a cycle",
                      said != NULL ? said : "", config_title(w->from));
    buffer_fini(&text);
}

/* True when the walk is over: a cycle, or something that is told elsewhere. */
static bool inputs_descend(struct inputs_walk *w, const struct inputs_step *step)
{
    struct buffer words = BUFFER_EMPTY;
    bool over = step->depth > INPUTS_DEPTH_MAX;
    if (over)
        config_errors_add(w->errors, config_check_line(w->from, "inputs"),
                          "inputs: more than %d resources one behind the other", INPUTS_DEPTH_MAX);
    int count =
        over ? 0
             : words_split(slice_of(config_get(step->s, "inputs")), SNAPSHOT_INPUTS_MAX, &words);
    for (const char *word = count > 0 ? words_next(&words, 0, NULL) : NULL; word != NULL && !over;
         word = words_next(&words, 0, word)) {
        const struct config_section *input = config_section_find(w->c, CONFIG_RESOURCE, word);
        if (input == w->from) {
            inputs_tell_cycle(w, step);
            over = true;
        } else if (input != NULL && name_index_find(&w->seen, 0, slice_of(word)) == NULL) {
            over = !name_index_add(&w->seen, 0, config_title(input), input) ||
                   inputs_descend(w, &(struct inputs_step){input, step, step->depth + 1});
        }
    }
    buffer_fini(&words);
    return over;
}

static void inputs_check(const struct config *c, const struct config_section *s,
                         struct config_errors *errors)
{
    struct buffer words = BUFFER_EMPTY;
    struct name_index seen = NAME_INDEX_EMPTY;
    unsigned line = config_check_line(s, "inputs");
    int count = words_split(slice_of(config_get(s, "inputs")), SNAPSHOT_INPUTS_MAX, &words);
    if (count == -E2BIG)
        config_errors_add(errors, line, "inputs: more than %d", SNAPSHOT_INPUTS_MAX);
    else if (count < 0)
        config_errors_add(errors, line, "inputs: are no names of resources");
    for (const char *word = count > 0 ? words_next(&words, 0, NULL) : NULL; word != NULL;
         word = words_next(&words, 0, word))
        input_check(c, s, word, &seen, errors);
    name_index_fini(&seen);
    buffer_fini(&words);
    struct inputs_walk walk = {.c = c, .from = s, .seen = NAME_INDEX_EMPTY, .errors = errors};
    inputs_descend(&walk, &(struct inputs_step){s, NULL, 1});
    name_index_fini(&walk.seen);
}

/* ---- where from ---- */

static void url_check(const struct config_section *s, struct config_errors *errors)
{
    const char *url = config_get(s, "url");
    unsigned line = config_check_line(s, "url");
    size_t scheme = strncmp(url, "http://", 7) == 0 ? 7 : strncmp(url, "https://", 8) == 0 ? 8 : 0;
    const char *host = url + scheme;
    bool plain = strlen(url) <= SNAPSHOT_COMMAND_MAX;
    for (const char *at = url; *at != '\0'; at++)
        plain = plain && isgraph((unsigned char)*at) && *at != '#';
    if (url[0] == '\0') {
        config_check_together(s, "header_file", "url", errors);
        config_check_together(s, "tls_ca_file", "url", errors);
        return;
    }
    if (scheme == 0 || host[strcspn(host, "/?")] == host[0])
        config_errors_add(errors, line, "url: must be http://host… or https://host…");
    else if (!plain)
        config_errors_add(errors, line,
                          "url: a '#' or a space cannot be in it: write %%23 or %%20; at most %d "
                          "letters",
                          SNAPSHOT_COMMAND_MAX);
    else if (memchr(host, '@', strcspn(host, "/?")) != NULL)
        config_errors_add(errors, line,
                          "url: holds a user or password, which logs would show: put a line "
                          "Authorization: … into header_file");
    if (config_get(s, "inputs")[0] != '\0')
        config_errors_add(errors, line,
                          "url: beside inputs: what is pulled is made from nothing else");
}

/* ---- when ---- */

static void schedule_check(const struct config_section *s, struct config_errors *errors)
{
    const char *cron = config_get(s, "cron");
    uint64_t every = config_get_u64(s, "every");
    const char *key = cron[0] != '\0' ? "cron" : "every";
    char why[SCHEDULE_WHY_SIZE];
    struct schedule schedule;
    if (cron[0] == '\0' && every == 0)
        return;
    if (cron[0] != '\0' && every != 0)
        config_errors_add(errors, config_check_line(s, "cron"),
                          "cron: beside every: one of them is enough");
    else if (schedule_read(cron, every, &schedule, why) != 0)
        config_errors_add(errors, config_check_line(s, key), "%s: %s", key, why);
    if (!snapshot_is_made(s))
        config_errors_add(errors, config_check_line(s, key),
                          "%s: nothing is done then: give command or url, or take it out", key);
}

void config_check_made(const struct config *c, const struct config_section *s,
                       struct config_errors *errors)
{
    const char *inputs = config_get(s, "inputs"), *command = config_get(s, "command");
    if (!config_check_broken(s, "inputs") && inputs[0] != '\0') {
        if (command[0] == '\0')
            config_errors_add(errors, config_check_line(s, "inputs"),
                              "inputs: nobody makes anything of them: give command");
        inputs_check(c, s, errors);
    }
    if (strlen(command) > SNAPSHOT_COMMAND_MAX)
        config_errors_add(errors, config_check_line(s, "command"),
                          "command: longer than %d letters: make it a file", SNAPSHOT_COMMAND_MAX);
    program_calls_check(s, errors);
    if (!config_check_broken(s, "url"))
        url_check(s, errors);
    if (!config_check_broken(s, "cron") && !config_check_broken(s, "every"))
        schedule_check(s, errors);
    config_check_order(s, "retry_min", "retry_max", errors);
}
