/* ctl_letters.c: see ctl_letters.h. */
#include "master/ctl/ctl_letters.h"

#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <inttypes.h>

bool ctl_letters_is_all(const struct ctl *c)
{
    return c->args.argc == 3 && strcmp(c->args.argv[2], CTL_LETTERS_ALL) == 0;
}

int ctl_letters_found(const struct ctl *c, const char *system, uint64_t found)
{
    uint64_t named = (uint64_t)c->args.argc - 2;
    if (ctl_letters_is_all(c) || found >= named)
        return CONTROL_OK;
    return ctl_fail(CONTROL_NO_NAME,
                    "%s %s: %" PRIu64 " of %" PRIu64
                    " are no dead letters: '%s dead %s list' shows those that are",
                    system, c->args.argv[0], named - found, named, system, c->args.argv[0]);
}

/* Numbers, or the one word `all`. */
static int letters_check(const struct ctl *c, const struct ctl_letters *letters, bool all_allowed)
{
    if (c->args.argc < 3)
        return ctl_fail_usage(letters->verb, "'%s' needs the %ss of dead letters%s",
                              c->args.argv[1], letters->number, all_allowed ? ", or 'all'" : "");
    if (all_allowed && ctl_letters_is_all(c))
        return CONTROL_OK;
    for (int i = 2; i < c->args.argc; i++) {
        uint64_t number;
        const char *word = c->args.argv[i];
        size_t len = letters->placed ? strcspn(word, "@") : strlen(word);
        if (text_parse_u64(slice_make(word, len), &number) != 0)
            return ctl_fail_usage(letters->verb,
                                  "'%s' is not the %s of a dead letter: 'list' shows them",
                                  c->args.argv[i], letters->number);
    }
    return CONTROL_OK;
}

static int letters_list(struct ctl *c, const struct ctl_letters *letters)
{
    json_t *answer = NULL;
    if (letters->list != NULL)
        return letters->list(c);
    if (c->args.argc > 2)
        return ctl_fail_usage(letters->verb, "'list' takes no further words");
    int status = letters->ask(c, "dead-list", &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (json_array_size(answer) == 0)
        buffer_printf(&c->out, "%s: no dead letters\n", c->args.argv[0]);
    else
        letters->render(answer, c->width, c->color, &c->out);
    json_decref(answer);
    return CONTROL_OK;
}

static int letters_show(struct ctl *c, const struct ctl_letters *letters)
{
    json_t *answer = NULL;
    if (letters->show != NULL)
        return letters->show(c);
    int status = letters_check(c, letters, false);
    if (status == CONTROL_OK)
        status = letters->ask(c, "dead-show", &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        letters->render_data(answer, c->color, &c->out);
    status = ctl_letters_found(c, letters->system, json_array_size(answer));
    json_decref(answer);
    return status;
}

/* retry, drop */
static int letters_change(struct ctl *c, const struct ctl_letters *letters, const char *verb,
                          const char *done)
{
    json_t *answer = NULL;
    int status = letters->check != NULL ? letters->check(c) : letters_check(c, letters, true);
    if (status == CONTROL_OK)
        status = letters->ask(c, verb, &answer);
    if (status != CONTROL_OK)
        return status;
    uint64_t count = ctl_value_u64(answer, "count");
    if (c->args.json)
        ctl_print_json(c, answer);
    else if (count > 0 || ctl_letters_is_all(c))
        buffer_printf(&c->out, "%s: %" PRIu64 " %s\n", c->args.argv[0], count, done);
    json_decref(answer);
    return ctl_letters_found(c, letters->system, count);
}

static int letters_unknown(const struct ctl_letters *letters, const char *what)
{
    struct text_nearest nearest = text_nearest_start(slice_of(what));
    text_nearest_offer(&nearest, "list");
    text_nearest_offer(&nearest, "show");
    text_nearest_offer(&nearest, "retry");
    text_nearest_offer(&nearest, "drop");
    return ctl_fail_usage(letters->verb, "'%s': %s%s", what,
                          nearest.best != NULL ? "did you mean "
                                               : "it is one of list, show, retry, drop",
                          nearest.best != NULL ? nearest.best : "");
}

int ctl_letters_run(struct ctl *c, const struct ctl_letters *letters)
{
    const char *what = c->args.argc > 1 ? c->args.argv[1] : "list";
    if (strcmp(what, "list") == 0)
        return letters_list(c, letters);
    if (strcmp(what, "show") == 0)
        return letters_show(c, letters);
    if (strcmp(what, "retry") == 0)
        return letters_change(c, letters, "dead-retry", letters->retried);
    if (strcmp(what, "drop") == 0)
        return letters_change(c, letters, "dead-drop", "thrown away");
    return letters_unknown(letters, what);
}
