/*
 * ctl_top.c: the verb `top`: the workers as they are now, again and again, and keys to act on them.
 *
 * On a terminal it draws into the alternate screen and takes single keys; otherwise, and with --json, it prints -n
 * looks one after the other. The screen is put back whatever ends it: a signal is noted and leaves by the same door. No
 * curses: one table, twenty keys and four escape sequences need none.
 */
#include "common/clock.h"
#include "common/text.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_usage.h"
#include "master/ctl/ctl_render.h"
#include "master/ctl/ctl_table.h"
#include "master/ctl/ctl_top.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#define TOP_EVERY_MS 1000
#define TOP_ACT_MS   300 /* an order is given, not waited for */
#define TOP_HEAD     3   /* lines above the rows: summary, message, titles */

enum top_key { TOP_UP = 256, TOP_DOWN, TOP_PAGE_UP, TOP_PAGE_DOWN, TOP_FIRST, TOP_LAST };

struct top {
    struct ctl *c;
    uint64_t every_ms, looks; /* looks 0: until it is ended */
    json_t *before, *now;
    uint64_t before_ms, now_ms;
    struct top_rows rows;
    enum top_sort sort;
    char filter[CONTRACT_NAME_MAX], selected[CONTRACT_NAME_MAX], message[256];
    bool editing, frozen, ended;
    size_t from, height;
};

static volatile sig_atomic_t top_interrupted, top_resized;

static void top_on_signal(int number)
{
    if (number == SIGWINCH)
        top_resized = 1;
    else
        top_interrupted = number;
}

/* ---- looking ---- */

static int top_look(struct top *t)
{
    json_t *tree = NULL;
    t->c->deadline = clock_mono_ms() + t->c->timeout_ms;
    int status = ctl_usage_request(t->c, "tree", 0, NULL, &tree);
    if (status != CONTROL_OK)
        return status;
    json_decref(t->before);
    t->before = t->now;
    t->before_ms = t->now_ms;
    t->now = tree;
    t->now_ms = clock_mono_ms();
    return CONTROL_OK;
}

static int top_sort_rows(struct top *t)
{
    top_rows_fini(&t->rows);
    top_rows_make(&t->rows, t->before, t->now, t->now_ms - t->before_ms, t->filter, t->sort);
    return t->rows.failed ? ctl_fail(CONTROL_ERROR, "not enough memory") : CONTROL_OK;
}

/* ---- without a terminal ---- */

/* The first look has no processor times: with -n 1 there are two, and the second is shown. */
static int top_print(struct top *t)
{
    uint64_t looks = t->looks > 0 ? t->looks : 1;
    int status = top_look(t);
    for (uint64_t i = 0; i < looks && status == CONTROL_OK; i++) {
        poll(NULL, 0, (int)t->every_ms);
        status = top_look(t);
        if (status == CONTROL_OK)
            status = top_sort_rows(t);
        if (status != CONTROL_OK)
            break;
        if (t->c->args.json)
            top_rows_json(&t->rows, &t->c->out);
        else
            top_rows_render(&t->rows, 0, SIZE_MAX, SIZE_MAX, t->c->width, t->c->color, &t->c->out);
        status = ctl_flush(t->c);
    }
    return status;
}

/* ---- drawing ---- */

static void top_find_size(struct top *t)
{
    struct winsize size = {0};
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        t->c->width = size.ws_col;
    t->height = size.ws_row > TOP_HEAD + 2 ? size.ws_row : 24;
}

static size_t top_page(const struct top *t)
{
    return t->height - TOP_HEAD;
}

/* The selection is a name, because rows move; a name that is gone selects the first row. */
static size_t top_selected(struct top *t)
{
    for (size_t i = 0; i < t->rows.count; i++)
        if (strcmp(t->rows.list[i].name, t->selected) == 0)
            return i;
    if (t->rows.count > 0)
        snprintf(t->selected, sizeof t->selected, "%s", t->rows.list[0].name);
    return 0;
}

static void top_scroll_to(struct top *t, size_t selected)
{
    if (selected < t->from)
        t->from = selected;
    if (selected >= t->from + top_page(t))
        t->from = selected - top_page(t) + 1;
    if (t->from >= t->rows.count)
        t->from = 0;
}

static void top_add_line(struct top *t, const char *text)
{
    size_t len = strlen(text);
    ctl_append_safe(&t->c->out, slice_make(text, len < t->c->width ? len : t->c->width));
    buffer_append_text(&t->c->out, "\x1b[K\r\n");
}

/* Each line of `text` ends by clearing what stood behind it. */
static void top_add_lines(struct top *t, struct buffer *text)
{
    const char *at = buffer_text(text);
    for (size_t lines = 0; at != NULL && *at != '\0' && lines < t->height; lines++) {
        size_t n = strcspn(at, "\n");
        bool last = at[n] == '\0' || at[n + 1] == '\0' || lines + 1 == t->height;
        buffer_append_slice(&t->c->out, slice_make(at, n));
        buffer_append_text(&t->c->out, last ? "\x1b[K" : "\x1b[K\r\n");
        at += n + (at[n] == '\n');
    }
}

static int top_draw(struct top *t)
{
    char line[512];
    struct buffer table = BUFFER_EMPTY;
    size_t selected = top_selected(t);
    top_scroll_to(t, selected);
    buffer_append_text(&t->c->out, "\x1b[H");
    snprintf(line, sizeof line, "platoon: %zu of %zu workers ready  by %s%s%s%s  ? help",
             t->rows.ready, t->rows.workers, top_sort_name(t->sort),
             t->filter[0] != '\0' ? "  filter: " : "", t->filter, t->frozen ? "  frozen" : "");
    top_add_line(t, line);
    if (t->editing)
        snprintf(line, sizeof line, "filter: %s_   (Enter: take it, Esc: none)", t->filter);
    top_add_line(t, t->editing ? line : t->message);
    top_rows_render(&t->rows, t->from, top_page(t), selected, t->c->width, t->c->color, &table);
    top_add_lines(t, &table);
    buffer_append_text(&t->c->out, "\x1b[J");
    t->c->out.failed = t->c->out.failed || table.failed;
    buffer_fini(&table);
    return ctl_flush(t->c);
}

/* ---- keys ---- */

/* The rest of an escape sequence, up to its last letter; what follows is the next key. */
static void top_read_sequence(char *bytes, size_t size)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t len = 0;
    while (len + 1 < size && poll(&in, 1, 20) == 1 && read(STDIN_FILENO, bytes + len, 1) == 1) {
        char c = bytes[len++];
        if (len > 1 && ((c >= 'A' && c <= 'Z') || c == '~'))
            break;
    }
    bytes[len] = '\0';
}

/* One key; 0 when none came within the time. */
static int top_read_key(uint64_t within_ms)
{
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    char bytes[8];
    if (poll(&in, 1, (int)within_ms) != 1)
        return 0;
    ssize_t n = read(STDIN_FILENO, bytes, 1);
    if (n <= 0) {
        top_interrupted = SIGHUP; /* the terminal is gone */
        return 0;
    }
    if (bytes[0] != '\x1b' || poll(&in, 1, 20) != 1)
        return (unsigned char)bytes[0];
    top_read_sequence(bytes, sizeof bytes);
    static const struct {
        const char *text;
        int key;
    } sequences[] = {{"[A", TOP_UP},         {"[B", TOP_DOWN},  {"[5~", TOP_PAGE_UP},
                     {"[6~", TOP_PAGE_DOWN}, {"[H", TOP_FIRST}, {"[F", TOP_LAST},
                     {"OA", TOP_UP},         {"OB", TOP_DOWN}};
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++)
        if (strcmp(bytes, sequences[i].text) == 0)
            return sequences[i].key;
    return 0;
}

static void top_select(struct top *t, size_t index)
{
    if (t->rows.count == 0)
        return;
    if (index >= t->rows.count)
        index = t->rows.count - 1;
    snprintf(t->selected, sizeof t->selected, "%s", t->rows.list[index].name);
}

static bool top_move(struct top *t, int key)
{
    size_t at = top_selected(t), page = top_page(t);
    if (key == TOP_UP || key == 'k')
        top_select(t, at > 0 ? at - 1 : 0);
    else if (key == TOP_DOWN || key == 'j')
        top_select(t, at + 1);
    else if (key == TOP_PAGE_UP)
        top_select(t, at > page ? at - page : 0);
    else if (key == TOP_PAGE_DOWN)
        top_select(t, at + page);
    else if (key == TOP_FIRST)
        top_select(t, 0);
    else if (key == TOP_LAST)
        top_select(t, SIZE_MAX);
    else
        return false;
    return true;
}

/* Shows the text until a key comes. */
static void top_page_text(struct top *t, struct buffer *text)
{
    buffer_append_text(&t->c->out, "\x1b[H\x1b[J");
    top_add_lines(t, text);
    buffer_printf(&t->c->out, "\x1b[%zu;1H\x1b[7many key goes back\x1b[0m\x1b[K", t->height);
    ctl_flush(t->c);
    while (top_read_key(1000) == 0 && !top_interrupted)
        ;
}

static void top_ask_text(struct top *t, const char *verb, struct buffer *text)
{
    char limit[24];
    snprintf(limit, sizeof limit, "%zu", t->height - 2);
    struct slice words[] = {slice_of(t->selected), slice_of(limit)}, body;
    bool logs = strcmp(verb, "logs") == 0;
    json_t *answer = NULL;
    int status = ctl_client_ask(&t->c->client, clock_mono_ms() + t->c->timeout_ms, verb,
                                logs ? 2 : 1, words, &body);
    if (status != CONTROL_OK || ctl_value_decode(body, &answer) != 0) {
        ctl_append_safe(text, slice_of(ctl_client_why(&t->c->client)));
        return;
    }
    if (logs)
        ctl_logs_render(json_object_get(answer, "lines"), t->c->color, text);
    else
        ctl_crashes_render_text(ctl_value_text(answer, "newest"), text);
    json_decref(answer);
}

static void top_show(struct top *t, const char *verb, const char *nothing)
{
    struct buffer text = BUFFER_EMPTY;
    top_ask_text(t, verb, &text);
    if (text.len == 0)
        buffer_printf(&text, "%s: %s", t->selected, nothing);
    top_page_text(t, &text);
    buffer_fini(&text);
}

/* Ordered; the screen shows what comes of it. */
static void top_act(struct top *t, const char *verb)
{
    struct slice name = slice_of(t->selected), body;
    int status = ctl_client_ask(&t->c->client, clock_mono_ms() + TOP_ACT_MS, verb, 1, &name, &body);
    if (status == CONTROL_OK || status == CONTROL_TIMEOUT)
        snprintf(t->message, sizeof t->message, "%s: %s ordered", t->selected, verb);
    else
        snprintf(t->message, sizeof t->message, "%s", ctl_client_why(&t->c->client));
}

static void top_help(struct top *t)
{
    struct buffer text = BUFFER_EMPTY;
    buffer_append_text(&text, "sort by\n");
    for (int i = 0; i < TOP_SORT_COUNT; i++) {
        static const char keys[] = {
#define X(NAME, key, what) key,
            TOP_SORT_LIST(X)
#undef X
        };
        buffer_printf(&text, "    %c  %s\n", keys[i], top_sort_name((enum top_sort)i));
    }
    buffer_append_text(&text,
                       "the worker that is marked (arrows, j, k, page keys)\n"
                       "    R  restart    S  stop    A  start    l  its log    x  its last crash\n"
                       "    /  only names that hold a text    space  freeze    q  end\n");
    top_page_text(t, &text);
    buffer_fini(&text);
}

static void top_edit(struct top *t, int key)
{
    size_t len = strlen(t->filter);
    if (key == '\r' || key == '\n') {
        t->editing = false;
    } else if (key == '\x1b') {
        t->editing = false;
        t->filter[0] = '\0';
    } else if (key == 0x7f || key == '\b') {
        t->filter[len > 0 ? len - 1 : 0] = '\0';
    } else if (key > ' ' && key <= '~' && len + 1 < sizeof t->filter) {
        t->filter[len] = (char)key;
        t->filter[len + 1] = '\0';
    }
}

static void top_press(struct top *t, int key)
{
    enum top_sort sort = key < 128 ? top_sort_find((char)key) : TOP_SORT_COUNT;
    if (t->editing)
        top_edit(t, key);
    else if (sort != TOP_SORT_COUNT)
        t->sort = sort;
    else if (top_move(t, key))
        return;
    else if (key == 'q')
        t->ended = true;
    else if (key == '/')
        t->editing = true;
    else if (key == ' ')
        t->frozen = !t->frozen;
    else if (key == 'R')
        top_act(t, "restart");
    else if (key == 'S')
        top_act(t, "stop");
    else if (key == 'A')
        top_act(t, "start");
    else if (key == 'l')
        top_show(t, "logs", "has said nothing");
    else if (key == 'x')
        top_show(t, "crashes", "has not crashed");
    else if (key == '?' || key == 'h')
        top_help(t);
}

/* ---- on a terminal ---- */

/* Keys until the next look is due. */
static int top_wait(struct top *t, uint64_t due)
{
    int status = CONTROL_OK;
    while (status == CONTROL_OK && !t->ended && !top_interrupted) {
        uint64_t now = clock_mono_ms();
        if (now >= due && !t->frozen)
            break;
        int key = top_read_key(t->frozen || due - now > 200 ? 200 : due - now);
        if (key != 0)
            top_press(t, key);
        if (key != 0 || top_resized) {
            top_resized = 0;
            top_find_size(t);
            status = top_sort_rows(t);
            if (status == CONTROL_OK)
                status = top_draw(t);
        }
    }
    return status;
}

static int top_live(struct top *t)
{
    int status = CONTROL_OK;
    for (uint64_t i = 0;
         status == CONTROL_OK && !t->ended && !top_interrupted && (t->looks == 0 || i < t->looks);
         i++) {
        status = top_look(t);
        if (status == CONTROL_OK)
            status = top_sort_rows(t);
        if (status == CONTROL_OK)
            status = top_draw(t);
        if (status == CONTROL_OK)
            status = top_wait(t, clock_mono_ms() + (t->before == NULL ? 200 : t->every_ms));
    }
    return status;
}

static void top_handle_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    struct sigaction action = {.sa_handler = top_on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaction(numbers[i], &action, NULL);
}

static int top_screen(struct top *t)
{
    struct termios was, raw;
    if (tcgetattr(STDIN_FILENO, &was) != 0)
        return ctl_fail(CONTROL_ERROR, "cannot read keys: %s: platoonctl top -n 1",
                        strerror(errno));
    raw = was;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    top_handle_signals();
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    top_find_size(t);
    buffer_append_text(&t->c->out, "\x1b[?1049h\x1b[?25l\x1b[H\x1b[J");
    int status = top_live(t);
    buffer_clear(&t->c->out); /* what could not be drawn must not stand in front of it */
    buffer_append_text(&t->c->out, "\x1b[?25h\x1b[?1049l");
    int flushed = ctl_flush(t->c);
    tcsetattr(STDIN_FILENO, TCSANOW, &was);
    return status != CONTROL_OK ? status : flushed;
}

static int top_read_wish(struct ctl *c, struct top *t)
{
    *t = (struct top){.c = c, .every_ms = TOP_EVERY_MS, .sort = TOP_SORT_CPU};
    for (int i = 0; i < c->args.argc; i++) {
        const char *value = NULL;
        int taken = ctl_args_take(c->args.argv, c->args.argc, &i, "-n", &value);
        if (taken < 0 || (taken > 0 && (text_parse_u64(slice_of(value), &t->looks) != 0 ||
                                        t->looks < 1 || t->looks > 1000000)))
            return ctl_fail_usage(CTL_VERB_TOP, "-n needs a number of looks");
        if (taken > 0)
            continue;
        taken = ctl_args_take(c->args.argv, c->args.argc, &i, "--every", &value);
        if (taken < 0 || (taken > 0 && (text_parse_span(slice_of(value), &t->every_ms) != 0 ||
                                        t->every_ms < 100 || t->every_ms > 3600000)))
            return ctl_fail_usage(CTL_VERB_TOP, "--every takes 100ms to 1h");
        if (taken > 0)
            continue;
        if (c->args.argv[i][0] == '-' || t->filter[0] != '\0' ||
            strlen(c->args.argv[i]) >= sizeof t->filter)
            return ctl_fail_usage(CTL_VERB_TOP, "'%s' is not expected", c->args.argv[i]);
        snprintf(t->filter, sizeof t->filter, "%s", c->args.argv[i]);
    }
    return CONTROL_OK;
}

int ctl_top_run(struct ctl *c)
{
    struct top t;
    int status = top_read_wish(c, &t);
    if (status != CONTROL_OK)
        return status;
    bool live = c->terminal && isatty(STDIN_FILENO) && !c->args.json;
    c->draws = live;
    status = live ? top_screen(&t) : top_print(&t);
    json_decref(t.before);
    json_decref(t.now);
    top_rows_fini(&t.rows);
    return status;
}
