/* upgrade.c: the old master's side. See upgrade.h; upgrade_adopt.c is the new one's. */
#include "master/upgrade/upgrade.h"

#include "common/clock.h"
#include "common/log.h"
#include "master/process/child.h"
#include "master/logs/crash.h"
#include "master/logs/events.h"
#include "master/logs/log_out.h"
#include "master/logs/logs.h"
#include "master/start/notify.h"
#include "master/reload.h"
#include "master/supervise/supervisor.h"
#include "proto/upgrade_state.h"
#include "master/process/process.h"
#include "master/process/seed.h"
#include "proto/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define UPGRADE_PROBE_MS 10000 /* the new binary may take to look at the state */
#define UPGRADE_QUIET_MS 5000  /* a worker may take to read what it was told */
#define UPGRADE_LOOK_MS  5
#define UPGRADE_SAID_MAX 1000

static struct {
    struct master *master;
    const struct upgrade_control *control;
    char program[PATH_MAX];
    bool running;
    upgrade_answer_fn fn;
    void *ctx;
    int state_fd; /* for the probe; -1: none */
    uv_process_t probe;
    bool probing;
    uv_pipe_t said_pipe;
    char said[UPGRADE_SAID_MAX + 1]; /* what the probe says */
    size_t said_len;
    uv_timer_t timer;
    uint64_t deadline_ms;
} upgrade = {.state_fd = -1};

void upgrade_setup(const struct upgrade_control *control)
{
    upgrade.control = control;
}

void upgrade_remember_program(void)
{
    ssize_t n = readlink("/proc/self/exe", upgrade.program, sizeof upgrade.program - 1);
    upgrade.program[n > 0 ? n : 0] = '\0';
    /* After an upgrade, or when a package has been installed over us, the kernel says so behind the name. */
    char *gone = strstr(upgrade.program, " (deleted)");
    if (gone != NULL)
        *gone = '\0';
}

/* ---- the state ---- */

struct upgrade_pack {
    struct buffer out, ends;
    uint64_t nodes;
};

static void upgrade_pack_ends(struct buffer *out, const struct node *n)
{
    struct upgrade_ends m = {.name = slice_of(n->name),
                             .deaths = n->deaths,
                             .unstable = n->unstable,
                             .ended = n->ended,
                             .is_short = n->is_short};
    if (m.deaths != 0 || m.unstable || m.ended || m.is_short)
        upgrade_ends_pack(out, &m);
}

static void upgrade_pack_node(struct upgrade_pack *p, const struct node *n)
{
    struct upgrade_branch branch = {.name = slice_of(n->name),
                                    .wanted = n->wanted_up,
                                    .restarts = n->restarts,
                                    .failures = n->failures,
                                    .state_since_ms = n->state_since_ms,
                                    .next_start_ms = n->next_start_ms};
    if (n->kind == NODE_WORKER)
        process_save(n, &p->out);
    else
        upgrade_branch_pack(&p->out, &branch);
    upgrade_pack_ends(&p->ends, n);
    p->nodes++;
    for (size_t i = 0; i < n->child_count; i++)
        upgrade_pack_node(p, n->children[i]);
}

/* The state as a memory file, or a negative errno. */
static int upgrade_write_state(void)
{
    struct master *m = upgrade.master;
    struct upgrade_pack nodes = {.nodes = 0};
    struct buffer out = BUFFER_EMPTY, lines = BUFFER_EMPTY, events = BUFFER_EMPTY;
    uint64_t last_line = 0, last_event = 0, lost;
    upgrade_pack_node(&nodes, m->root);
    logs_pack(&lines, slice_of(""), 0, LOGS_LINES_MAX, &last_line);
    events_pack(&events, "", 0, EVENTS_MAX, &last_event, &lost);
    struct upgrade_master head = {.version = UPGRADE_VERSION,
                                  .text = slice_of(PLATOON_VERSION),
                                  .instance = slice_of(m->paths.instance),
                                  .boot = m->paths.boot,
                                  .started_ms = m->started_ms,
                                  .upgrades = m->upgrades + 1,
                                  .lock_fd = (uint64_t)m->paths.lock_fd,
                                  .listener_fd = (uint64_t)upgrade.control->fd(),
                                  .request_id = process_last_request(),
                                  .children = child_last_generation(),
                                  .nodes = nodes.nodes,
                                  .last_line = last_line,
                                  .lines = buffer_slice(&lines),
                                  .last_event = last_event,
                                  .events = buffer_slice(&events)};
    upgrade_master_pack(&out, &head);
    buffer_append_slice(&out, buffer_slice(&nodes.out));
    buffer_append_slice(&out, buffer_slice(&nodes.ends));
    bool good = buffer_ok(&out) && buffer_ok(&nodes.out) && buffer_ok(&nodes.ends) &&
                buffer_ok(&lines) && buffer_ok(&events);
    int fd = good ? memfd_create("platoon-state", MFD_CLOEXEC) : -1;
    if (fd >= 0 && write(fd, out.data, out.len) != (ssize_t)out.len) {
        close(fd);
        fd = -1;
    }
    buffer_fini(&out);
    buffer_fini(&nodes.out);
    buffer_fini(&nodes.ends);
    buffer_fini(&lines);
    buffer_fini(&events);
    return fd >= 0 ? fd : -ENOMEM;
}

/* ---- the end of it ---- */

static void upgrade_answer(const char *why)
{
    upgrade_answer_fn fn = upgrade.fn;
    upgrade.fn = NULL;
    if (fn != NULL)
        fn(why, upgrade.ctx);
}

static void upgrade_give_up(const char *why)
{
    log_error("upgrade-refused", "cause=%s remedy=\"this master goes on\"", log_quote_text(why));
    upgrade_answer(why);
    upgrade.running = false;
    if (upgrade.state_fd >= 0)
        close(upgrade.state_fd);
    upgrade.state_fd = -1;
}

void upgrade_forget(const void *ctx)
{
    if (upgrade.ctx == ctx)
        upgrade.fn = NULL;
}

/* ---- exec ---- */

/* What must be open in the new master. All else is closed by exec. */
static void upgrade_keep_fd(int fd, bool keep)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

static void upgrade_keep_worker(struct node *n, void *ctx)
{
    int fds[3];
    process_fds(n, fds);
    for (size_t i = 0; i < 3; i++)
        upgrade_keep_fd(fds[i], *(bool *)ctx);
}

static void upgrade_keep_all(int state_fd, bool keep)
{
    upgrade_keep_fd(state_fd, keep);
    upgrade_keep_fd(upgrade.master->paths.lock_fd, keep);
    upgrade_keep_fd(upgrade.master->paths.state_lock_fd, keep); /* found by preflight_resume */
    upgrade_keep_fd(log_out_fd(), keep);
    upgrade_keep_fd(upgrade.control->fd(), keep);
    tree_each_worker(upgrade.master->root, upgrade_keep_worker, &keep);
}

/*
 * Does not return when it succeeds. Signals that come meanwhile wait for the new master's handlers; their
 * default would be our death.
 */
static void upgrade_exec(void)
{
    sigset_t all, before;
    char number[16];
    int fd = upgrade_write_state();
    snprintf(number, sizeof number, "%d", fd);
    const char *argv[] = {upgrade.program, "-c",   config_path(upgrade.master->config),
                          "--take-over",   number, NULL};
    if (fd >= 0) {
        log_info("upgrading", "program=%s", log_quote_text(upgrade.program));
        crash_flush();
        seed_stop(); /* it would be nobody's */
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, &before);
        upgrade_keep_all(fd, true);
        execv(upgrade.program, (char *const *)(uintptr_t)argv);
        int error = errno;
        upgrade_keep_all(fd, false);
        sigprocmask(SIG_SETMASK, &before, NULL);
        close(fd);
        upgrade_give_up(strerror(error));
        return;
    }
    upgrade_give_up("no memory for the state");
}

/* ---- quiet ---- */

static void upgrade_look_quiet(struct node *n, void *ctx)
{
    const struct node **loud = ctx;
    bool waits = n->child && n->process == NULL; /* about to be started, or freed */
    if (waits || !process_is_quiet(n))
        *loud = n;
}

static void upgrade_on_quiet_timer(uv_timer_t *timer)
{
    const struct node *loud = NULL;
    char why[CONTRACT_NAME_MAX + 64];
    tree_each_worker(upgrade.master->root, upgrade_look_quiet, &loud);
    if (loud == NULL && upgrade.control->is_quiet()) {
        uv_timer_stop(timer);
        upgrade_exec();
        return;
    }
    if (clock_mono_ms() < upgrade.deadline_ms)
        return;
    uv_timer_stop(timer);
    snprintf(why, sizeof why, "%s does not read what it is told",
             loud != NULL ? loud->name : "a control client");
    upgrade_give_up(why);
}

/* ---- the probe ---- */

static void upgrade_on_probe_closed(uv_handle_t *handle)
{
    (void)handle;
}

pid_t upgrade_probe_pid(void)
{
    return upgrade.probing ? (pid_t)uv_process_get_pid(&upgrade.probe) : 0;
}

static void upgrade_on_probe_end(uv_process_t *process, int64_t code, int signal)
{
    upgrade.probing = false;
    uv_timer_stop(&upgrade.timer);
    uv_close((uv_handle_t *)process, upgrade_on_probe_closed);
    uv_close((uv_handle_t *)&upgrade.said_pipe, upgrade_on_probe_closed);
    close(upgrade.state_fd);
    upgrade.state_fd = -1;
    if (code != 0 || signal != 0) {
        char why[UPGRADE_SAID_MAX + 128];
        size_t line = strcspn(upgrade.said, "\n");
        upgrade.said[line] = '\0';
        snprintf(why, sizeof why, "%s refuses: %s", upgrade.program,
                 line > 0 ? upgrade.said : "it ended without a word");
        upgrade_give_up(why);
        return;
    }
    upgrade_answer(NULL);
    upgrade.deadline_ms = clock_mono_ms() + UPGRADE_QUIET_MS;
    uv_timer_start(&upgrade.timer, upgrade_on_quiet_timer, UPGRADE_LOOK_MS, UPGRADE_LOOK_MS);
}

static void upgrade_on_probe_late(uv_timer_t *timer)
{
    (void)timer;
    uv_process_kill(&upgrade.probe, SIGKILL);
}

static void upgrade_on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    size_t room = UPGRADE_SAID_MAX - upgrade.said_len;
    static char over[256];
    *buf = room > 0 ? uv_buf_init(upgrade.said + upgrade.said_len, (unsigned)room)
                    : uv_buf_init(over, sizeof over);
}

static void upgrade_on_said(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    if (n > 0 && upgrade.said_len < UPGRADE_SAID_MAX && buf->base >= upgrade.said)
        upgrade.said_len += (size_t)n;
    if (n < 0)
        uv_read_stop(stream);
}

/* A program, or a script that names its own: what is neither would be handed to a shell by execvp. */
static bool upgrade_is_program(const char *path)
{
    char head[4] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : -1;
    if (fd >= 0)
        close(fd);
    return n == sizeof head && (memcmp(head, "\177ELF", 4) == 0 || memcmp(head, "#!", 2) == 0);
}

/* Asks the new binary, which gets the state as descriptor 3 and says on stderr what it has against it. */
static int upgrade_probe(void)
{
    uv_loop_t *loop = upgrade.master->loop;
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_IGNORE},
                                    {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
                                     .data.stream = (uv_stream_t *)&upgrade.said_pipe},
                                    {.flags = UV_INHERIT_FD, .data.fd = upgrade.state_fd}};
    const char *args[] = {
        upgrade.program, "-c", config_path(upgrade.master->config), "--take-over", "3",
        "--probe",       NULL};
    uv_process_options_t options = {.file = upgrade.program,
                                    .args = (char **)(uintptr_t)args,
                                    .exit_cb = upgrade_on_probe_end,
                                    .flags = UV_PROCESS_DETACHED, /* without our terminal */
                                    .stdio = stdio,
                                    .stdio_count = 4};
    memset(upgrade.said, 0, sizeof upgrade.said);
    upgrade.said_len = 0;
    uv_pipe_init(loop, &upgrade.said_pipe, 0);
    int rc = uv_spawn(loop, &upgrade.probe, &options);
    if (rc != 0) {
        uv_close((uv_handle_t *)&upgrade.said_pipe, upgrade_on_probe_closed);
        uv_close((uv_handle_t *)&upgrade.probe, upgrade_on_probe_closed);
        return rc;
    }
    upgrade.probing = true;
    uv_read_start((uv_stream_t *)&upgrade.said_pipe, upgrade_on_alloc, upgrade_on_said);
    uv_timer_start(&upgrade.timer, upgrade_on_probe_late, UPGRADE_PROBE_MS, 0);
    return 0;
}

/* ---- begin ---- */

/* What a reload would change would be changed half by the new master: so first the one, then the other. */
static int upgrade_check_file(struct master *m, struct buffer *error)
{
    struct buffer changes = BUFFER_EMPTY;
    int code = reload_file(m, true, &changes, error);
    struct unpack u = unpack_start(buffer_slice(&changes));
    if (code == 0 && unpack_array(&u) > 0) {
        buffer_printf(error,
                      "%s is not what runs: platoonctl reload first, or write a scaled "
                      "pool's number into it\n",
                      config_path(m->config));
        code = CONTROL_ERROR;
    }
    buffer_fini(&changes);
    return code;
}

int upgrade_begin(struct master *m, upgrade_answer_fn fn, void *ctx, struct buffer *error)
{
    upgrade.master = m;
    if (upgrade.running || m->stopping || supervisor_is_restarting(m->root) ||
        supervisor_is_merging(m->root)) {
        buffer_printf(error, "%s is going on: try again when it is over\n",
                      upgrade.running ? "an upgrade" : "a restart, reload or stop");
        return CONTROL_ERROR;
    }
    if (upgrade.program[0] == '\0' || access(upgrade.program, X_OK) != 0) {
        buffer_printf(error, "%s: %s: install the new platoon there\n", upgrade.program,
                      strerror(errno));
        return CONTROL_ERROR;
    }
    if (!upgrade_is_program(upgrade.program)) {
        buffer_printf(error,
                      "%s: cannot be asked: it is no program: install the new platoon there\n",
                      upgrade.program);
        return CONTROL_ERROR;
    }
    int code = upgrade_check_file(m, error);
    if (code != 0)
        return code;
    if (upgrade.timer.data == NULL) {
        uv_timer_init(m->loop, &upgrade.timer);
        upgrade.timer.data = &upgrade;
    }
    upgrade.state_fd = upgrade_write_state();
    int rc = upgrade.state_fd >= 0 ? upgrade_probe() : upgrade.state_fd;
    if (rc != 0) {
        if (upgrade.state_fd >= 0)
            close(upgrade.state_fd);
        upgrade.state_fd = -1;
        buffer_printf(error, "%s: cannot be asked: %s\n", upgrade.program, uv_strerror(rc));
        return CONTROL_ERROR;
    }
    upgrade.running = true;
    upgrade.fn = fn;
    upgrade.ctx = ctx;
    return 0;
}
