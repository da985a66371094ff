/*
 * ctl_echo.c: the verb `echo say`.
 *
 * Runs in platoonctl. Which worker of the section answers is the master's choice (control.h, ask).
 */
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"

int ctl_echo_say_run(struct ctl *c);

int ctl_echo_say_run(struct ctl *c)
{
    struct slice words[] = {slice_of("echo"), slice_of(c->args.argv[0]), slice_of("say"),
                            slice_of(c->args.argv[1])};
    json_t *answer = NULL;
    int status = ctl_request_json(c, "ask", sizeof words / sizeof words[0], words, &answer);
    if (status != CONTROL_OK)
        return status;
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "%s (%llu so far)\n", ctl_value_text(answer, "said"),
                      (unsigned long long)ctl_value_u64(answer, "count"));
    json_decref(answer);
    return CONTROL_OK;
}
