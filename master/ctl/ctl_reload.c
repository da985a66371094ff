/* ctl_reload.c: the verbs `reload` and `scale`, which list what changes, and `check`, which only looks at a file. */
#include "master/check.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <stdio.h>

static const char *reload_text(const json_t *change, size_t at)
{
    const char *text = json_string_value(json_array_get(change, at));
    return text != NULL ? text : "?";
}

static enum ctl_color reload_color(const char *action)
{
    return strcmp(action, "start") == 0  ? CTL_GREEN
           : strcmp(action, "stop") == 0 ? CTL_RED
                                         : CTL_YELLOW;
}

static void reload_render(struct ctl *c, const json_t *changes)
{
    static const struct ctl_column columns[] = {
        {"", false, false}, {"", false, false}, {"", false, true}};
    struct ctl_table t;
    ctl_table_init(&t, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *change = json_array_get(changes, i);
        const char *action = reload_text(change, 0);
        ctl_table_cell(&t, reload_color(action), slice_of(action));
        ctl_table_cell(&t, CTL_PLAIN, slice_of(reload_text(change, 1)));
        ctl_table_cell(&t, CTL_DIM, slice_of(reload_text(change, 2)));
    }
    ctl_table_render(&t, c->width, c->color, &c->out);
    ctl_table_fini(&t);
}

static int reload_ask(struct ctl *c, const char *verb, size_t argc, const struct slice *words)
{
    json_t *answer = NULL;
    int status = ctl_request_json(c, verb, argc, words, &answer);
    if (status != CONTROL_OK)
        return status;
    const json_t *changes = json_object_get(answer, "changes");
    bool applied = json_is_true(json_object_get(answer, "applied"));
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (json_array_size(changes) == 0)
        buffer_append_text(&c->out, "nothing changes\n");
    else
        reload_render(c, changes);
    if (!c->args.json && json_array_size(changes) > 0)
        buffer_append_text(&c->out, applied ? "done\n" : "dry run: nothing was changed\n");
    json_decref(answer);
    return CONTROL_OK;
}

/* Moves the verb's words to `words` without --dry-run. -1: another option. */
static int reload_words(struct ctl *c, struct slice words[3], bool *dry_run)
{
    int count = 0;
    *dry_run = false;
    for (int i = 0; i < c->args.argc; i++) {
        if (strcmp(c->args.argv[i], "--dry-run") == 0)
            *dry_run = true;
        else if (c->args.argv[i][0] == '-')
            return -1;
        else
            words[count++] = slice_of(c->args.argv[i]);
    }
    return count;
}

int ctl_reload_run(struct ctl *c)
{
    struct slice words[3];
    bool dry_run;
    if (reload_words(c, words, &dry_run) != 0)
        return ctl_fail_usage(CTL_VERB_RELOAD, "'%s' is not expected", c->args.argv[0]);
    words[0] = slice_of("dry-run");
    return reload_ask(c, "reload", dry_run, words);
}

int ctl_scale_run(struct ctl *c)
{
    struct slice words[3];
    bool dry_run;
    if (reload_words(c, words, &dry_run) != 2)
        return ctl_fail_usage(CTL_VERB_SCALE, "it takes a pool and a number");
    words[2] = slice_of("dry-run");
    return reload_ask(c, "scale", dry_run ? 3 : 2, words);
}

int ctl_check_run(struct ctl *c)
{
    const char *file = c->args.argv[0];
    struct buffer errors = BUFFER_EMPTY, warnings = BUFFER_EMPTY;
    int code = check_file(file, &errors, &warnings);
    const char *text = buffer_text(&errors), *warned = buffer_text(&warnings);
    ctl_say_lines(warned != NULL ? warned : "");
    if (code != 0)
        ctl_say_lines(text != NULL && *text != '\0' ? text : "platoonctl: not enough memory");
    else if (c->args.json)
        buffer_append_text(&c->out, "{\"ok\": true}\n");
    else
        buffer_printf(&c->out, "%s: configuration OK%s\n", file,
                      warnings.len > 0 ? ", but see the warnings above" : "");
    buffer_fini(&errors);
    buffer_fini(&warnings);
    return code != 0 ? CONTROL_CONFIG : CONTROL_OK;
}
