/*
 * platoonctl.c: platoonctl, the tool: takes its arguments apart, finds the socket, runs one verb, writes what it gave.
 *
 * Talks to the master only through the control socket (proto/control.h); the configuration file
 * is read only to find it.
 */
#include "common/standard_fds.h"
#include "common/clock.h"
#include "master/config/config_load.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_verbs.h"
#include "master/systems_config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MIN     40
#define WIDTH_NONE    1000000
#define WIDTH_MAX     1000

/* A platoon that runs can be asked whatever has become of its file since. */
static int socket_from_config(const char *file, struct buffer *path)
{
    struct buffer errors = BUFFER_EMPTY;
    struct config *config = config_load_rough(file, &errors);
    int status = CONTROL_OK;
    if (config == NULL) {
        const char *text = buffer_text(&errors);
        ctl_say_lines(text != NULL ? text : "platoonctl: not enough memory");
        status = CONTROL_CONFIG;
    } else {
        if (errors.len > 0)
            fprintf(stderr, "platoonctl: note: %s has errors: see platoonctl check %s\n", file,
                    file);
        buffer_printf(path, "%s/%s", config_get(config_platoon(config), "runtime_dir"),
                      CONTROL_SOCKET_NAME);
    }
    config_free(config);
    buffer_fini(&errors);
    return status;
}

static int find_socket(const struct ctl_args *a, struct buffer *path)
{
    const char *env = getenv(CTL_SOCKET_ENV);
    if (a->socket != NULL)
        buffer_append_text(path, a->socket);
    else if (a->config != NULL)
        return socket_from_config(a->config, path);
    else
        buffer_append_text(path, env != NULL && env[0] != '\0' ? env : CTL_SOCKET_DEFAULT);
    return CONTROL_OK;
}

/* What is no terminal has no edge: nothing is cut or broken there. */
static size_t find_width(void)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col < WIDTH_MIN ? WIDTH_MIN : size.ws_col;
    const char *env = getenv("COLUMNS");
    long columns = env != NULL ? strtol(env, NULL, 10) : 0;
    if (columns >= WIDTH_MIN && columns <= WIDTH_MAX)
        return (size_t)columns;
    return isatty(STDOUT_FILENO) == 1 ? WIDTH_DEFAULT : WIDTH_NONE;
}

/* https://no-color.org: any value but the empty one. */
static bool wants_color(const struct ctl *c)
{
    const char *no = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return c->terminal && !c->args.no_color && (no == NULL || no[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0);
}

static int run_verb(struct ctl *c)
{
    enum ctl_verb verb = c->args.verb;
    if (c->args.argc < ctl_verb_min(verb))
        return ctl_fail_usage(verb, "'%s' needs more words", ctl_verb_words(verb));
    if (c->args.argc > ctl_verb_max(verb))
        return ctl_fail_usage(verb, "'%s': one word too many", c->args.argv[ctl_verb_max(verb)]);
    c->color = wants_color(c);
    struct buffer path = BUFFER_EMPTY;
    int status = find_socket(&c->args, &path);
    const char *text = buffer_text(&path);
    if (status == CONTROL_OK && text == NULL)
        status = ctl_fail(CONTROL_ERROR, "not enough memory");
    if (status == CONTROL_OK) {
        c->timeout_ms = c->args.timeout_given ? c->args.timeout_ms : ctl_verb_timeout_ms(verb);
        c->deadline = clock_mono_ms() + c->timeout_ms;
        ctl_client_init(&c->client, text, c->args.config);
        status = ctl_verb_handler(verb)(c);
        ctl_client_fini(&c->client);
    }
    buffer_fini(&path);
    return status;
}

static int run(struct ctl *c, int argc, char **argv)
{
    struct buffer why = BUFFER_EMPTY;
    int status = CONTROL_OK;
    int rc = ctl_args_parse(&c->args, argc, argv, &why);
    const char *text = buffer_text(&why);
    if (rc == -ENOMEM || text == NULL)
        status = ctl_fail(CONTROL_ERROR, "not enough memory");
    else if (rc != 0)
        status = ctl_fail(CONTROL_USAGE, "%s", text);
    else if (c->args.help)
        ctl_args_help(c->args.verb, &c->out);
    else if (c->args.version)
        buffer_printf(&c->out, "platoonctl %s\n", PLATOON_VERSION);
    else
        status = run_verb(c);
    buffer_fini(&why);
    return status;
}

int main(int argc, char **argv)
{
    standard_fds_fill();
    systems_config_register();
    struct ctl c = {
        .terminal = isatty(STDOUT_FILENO) == 1,
    };
    c.width = find_width();
    int status = run(&c, argc, argv);
    int written = ctl_flush(&c);
    ctl_args_fini(&c.args);
    buffer_fini(&c.out);
    return status != CONTROL_OK ? status : written;
}
