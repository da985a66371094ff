/*
 * platoon.c: platoon, the master: command line, start and end.
 *
 * Links libuv, msgpack-c and libconfuse, nothing else (make lint checks it). Everything that can be found wrong is said
 * before the first process is started; after that this process only ends by an order.
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/standard_fds.h"
#include "master/process/announce.h"
#include "master/process/child.h"
#include "master/logs/collect.h"
#include "master/config/config_load.h"
#include "master/control/control_server.h"
#include "master/logs/crash.h"
#include "master/start/delegation.h"
#include "master/logs/events.h"
#include "master/logs/log_out.h"
#include "master/logs/logs.h"
#include "master/process/look.h"
#include "master/process/seed.h"
#include "master/check.h"
#include "master/master.h"
#include "master/start/notify.h"
#include "master/reaper.h"
#include "master/reload.h"
#include "master/shutdown.h"
#include "master/supervise/supervisor.h"
#include "master/systems_config.h"
#include "master/systems_tree.h"
#include "master/build/tree_build.h"
#include "master/upgrade/upgrade.h"
#include "master/process/process.h"
#include "proto/control.h"
#include "proto/link.h"

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

/* Time the last answers on the control socket get to leave. */
#define MAIN_GRACE_MS 100

/* libuv's table of descriptors is made for so many. */
#define MAIN_DESCRIPTORS 16384

#define MAIN_NO_MEMORY "memory is short: make room, then start it again"

enum main_mode { MAIN_RUN, MAIN_CHECK, MAIN_PRINT, MAIN_TAKE_OVER, MAIN_PROBE };

static struct master master;
static struct supervisor_watch main_watch;
static uv_signal_t main_signals[5];
static uv_timer_t main_watchdog, main_grace;
static bool main_is_ready, main_was_ready, main_was_up, main_ended;
static int main_exit_code;
static int main_state_fd = -1; /* --take-over */
static char main_no_group[DELEGATION_WHY_SIZE];
static struct buffer main_warnings;

static const char main_help[] =
    "Usage: platoon -c FILE [--check | --print-config]\n"
    "\n"
    "Runs the workers FILE describes, in the foreground, and replaces those that die.\n"
    "\n"
    "  -c, --config FILE   configuration, see platoon.conf(5)\n"
    "      --check         say what is wrong with FILE, run nothing (exit 0, or 78)\n"
    "      --print-config  print what is in effect, defaults filled in, secrets masked\n"
    "      --version       print the version\n"
    "  -h, --help          print this\n"
    "\n"
    "Signals: TERM, INT stop everything in order; a second one, a second later, or a third "
    "forces.\n"
    "HUP reads FILE again; USR2 opens the log files anew.\n"
    "Look at it with: platoonctl -c FILE tree\n";

/* ---- end ---- */

static void main_close(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void main_on_grace(uv_timer_t *timer)
{
    control_stop(&master);
    supervisor_watch_remove(&main_watch);
    supervisor_fini();
    seed_stop();
    reaper_stop();
    crash_stop();
    uv_stop(timer->loop);
}

/*
 * systemd is told READY once, its STATUS at each turn. READY=1 waits for no trouble to pass: a store that is locked
 * while we start is no reason to be killed for a start that takes too long.
 */
static void main_tell_ready(void)
{
    if (master.stopping)
        return;
    if (!main_was_up && node_is_up(master.root) && node_is_stable(master.root)) {
        main_was_up = true;
        notify_send("READY=1");
    }
    bool ready = node_is_ready(master.root);
    if (ready == main_is_ready)
        return;
    main_is_ready = ready;
    if (ready && !main_was_ready)
        log_info("platoon-ready", "after_ms=%llu",
                 (unsigned long long)(clock_mono_ms() - master.started_ms));
    main_was_ready = main_was_ready || ready;
    notify_send(ready ? "STATUS=every worker is ready"
                      : "STATUS=not ready: platoonctl status says why");
}

static void main_on_change(void *ctx)
{
    (void)ctx;
    main_tell_ready();
    if (master.stopping && !main_ended && node_is_stopped(master.root)) {
        main_ended = true;
        uv_timer_start(&main_grace, main_on_grace, MAIN_GRACE_MS, 0);
    }
}

/* ---- signals ---- */

static void main_reopen_worker(struct node *worker, void *ctx)
{
    (void)ctx;
    process_reopen_log(worker);
}

static void main_reopen_log(void)
{
    int rc = log_out_reopen();
    if (rc == 0)
        log_info("log-reopened", "pid=%d", (int)getpid());
    else
        log_error("log-reopen", "cause=%s remedy=\"the old file is written on\"",
                  log_quote_text(strerror(-rc)));
    tree_each_worker(master.root, main_reopen_worker, NULL);
}

static void main_on_order(const char *signal)
{
    static uint64_t count, first_ms;
    uint64_t now = clock_mono_ms();
    if (count++ == 0)
        first_ms = now;
    if (policy_order_forces(count, now - first_ms)) {
        log_warn("platoon-forced", "signal=%s order=%llu", signal, (unsigned long long)count);
        supervisor_force();
    }
    master_shutdown(&master);
}

static void main_on_signal(uv_signal_t *handle, int signum)
{
    (void)handle;
    if (signum == SIGTERM || signum == SIGINT) {
        main_on_order(sigabbrev_np(signum));
        return;
    }
    if (signum == SIGHUP)
        reload_on_signal(&master);
    else if (signum == SIGUSR2)
        main_reopen_log();
    else
        log_warn("signal-ignored", "signal=%s", sigabbrev_np(signum));
}

static void main_on_watchdog(uv_timer_t *timer)
{
    (void)timer;
    notify_send("WATCHDOG=1");
}

static void main_handle_signals(void)
{
    static const int handled[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < sizeof handled / sizeof handled[0]; i++) {
        uv_signal_init(master.loop, &main_signals[i]);
        uv_signal_start(&main_signals[i], main_on_signal, handled[i]);
    }
}

/* They were blocked by the last master, so that none is lost between it and us. */
static void main_unblock_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- start ---- */

static uint64_t main_random(void)
{
    uint64_t value = 0;
    if (getrandom(&value, sizeof value, GRND_NONBLOCK) != sizeof value)
        value = clock_mono_ms() * 2654435761u;
    return value;
}

static void main_forget(struct node *n)
{
    control_forget(n);
    child_forget(n);
}

static const struct supervisor_ops main_ops = {
    .spawn = process_spawn,
    .stop = process_stop,
    .force = process_force,
    .up = announce_up,
    .down = announce_down,
    .forget = main_forget,
    .moved = events_add,
    .explain = process_explain,
};

/* The supervisor last: it changes what the others read. */
static const death_reader main_deaths[] = {crash_on_death, supervisor_on_death, NULL};

static const struct process_message main_messages[] = {
    {LINK_MONITOR, false, announce_on_monitor},
    {LINK_BLAME, true, announce_on_blame},
    {LINK_LOOK, true, look_on_look},
    {LINK_CHILD, true, child_on_child},
    {LINK_END, false, child_on_end},
    {0, false, NULL},
};

static const struct process_readers main_readers = {.messages = main_messages,
                                                    .deaths = main_deaths};

/* The root has given up, and the configuration wants who started us to decide. */
static void main_on_fatal(void)
{
    main_exit_code = CONTRACT_EXIT_TEMPORARY;
    master_shutdown(&master);
}

/* Whom the reaper leaves to others, beside the workers. */
static bool main_is_waited_for(pid_t pid)
{
    return pid == upgrade_probe_pid() || seed_is(pid);
}

static const struct upgrade_control main_upgrade_control = {.fd = control_fd,
                                                            .is_quiet = control_is_quiet};

static void main_on_nothing(uv_poll_t *poll, int status, int events)
{
    (void)poll;
    (void)status;
    (void)events;
}

static void main_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/*
 * libuv aborts when its table of descriptors cannot grow, which it does at each power of two. So it grows once, here,
 * where nothing is lost yet: that is enough for five thousand workers.
 */
static void main_grow_loop(void)
{
    static uv_poll_t poll;
    struct rlimit limit = {.rlim_cur = 0};
    int pipe[2];
    getrlimit(RLIMIT_NOFILE, &limit);
    int top = limit.rlim_cur < MAIN_DESCRIPTORS ? (int)limit.rlim_cur - 1 : MAIN_DESCRIPTORS - 1;
    if (top <= 0 || pipe2(pipe, O_CLOEXEC) != 0)
        return;
    int high = fcntl(pipe[0], F_DUPFD_CLOEXEC, top);
    if (high >= 0 && uv_poll_init(master.loop, &poll, high) == 0) {
        uv_poll_start(&poll, UV_READABLE, main_on_nothing);
        uv_poll_stop(&poll);
        uv_close((uv_handle_t *)&poll, NULL);
    }
    close(pipe[0]);
    close(pipe[1]);
    if (high >= 0)
        close(high);
}

static int main_fail(const char *what, int rc)
{
    fprintf(stderr, "platoon: %s: %s\n", what, uv_strerror(rc));
    return CONTRACT_EXIT_TEMPORARY;
}

static int main_setup(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct supervisor_settings supervision = {
        .now_ms = clock_mono_ms,
        .random = main_random,
        .newborns = POLICY_NEWBORNS * (size_t)(processors > 0 ? processors : 1),
    };
    process_register(&main_readers);
    announce_setup(master.root);
    seed_setup(reaper_is_known);
    child_setup(&master);
    upgrade_setup(&main_upgrade_control);
    uv_timer_init(master.loop, &main_grace);
    uv_timer_init(master.loop, &main_watchdog);
    crash_start(master.loop);
    int rc = supervisor_init(master.loop, master.root, &main_ops, &supervision);
    look_setup(master.root); /* it watches the supervisor */
    if (rc == 0)
        rc = reaper_start(master.loop, master.root, main_is_waited_for);
    master.on_fatal = main_on_fatal;
    reload_settings(&master);
    return rc;
}

/* What memory_max means on this host, and why not more. */
static void main_tell_limits(void)
{
    if (master.paths.cgroup[0] != '\0')
        log_info("memory-limits", "kept_by=memory.max group=%s",
                 log_quote_text(master.paths.cgroup));
    else
        log_info("memory-limits", "kept_by=RLIMIT_AS cause=%s", log_quote_text(main_no_group));
}

/* `from`: what the last master has left; NULL: a start from nothing. */
static int main_loop(const struct upgrade *from)
{
    if (from != NULL) {
        upgrade_restore(from);
        reload_log_resume(&master);
    }
    collect_own_lines();
    if (reload_log(&master) != 0)
        return CONTRACT_EXIT_CONFIG;
    main_raise_file_limit();
    master.loop = uv_default_loop();
    if (master.loop == NULL)
        return main_fail("cannot start", UV_ENOMEM);
    main_grow_loop();
    master.started_ms = clock_mono_ms();
    int rc = main_setup();
    if (rc != 0)
        return main_fail("cannot start", rc);
    if (from != NULL)
        upgrade_adopt(from, &master);
    reaper_note_strangers();
    rc = control_start(&master, from != NULL ? (int)from->listener_fd : -1);
    if (rc != 0)
        return main_fail("cannot listen on the control socket", rc);
    main_handle_signals();
    main_unblock_signals();
    uint64_t watchdog = notify_watchdog_ms();
    if (watchdog != 0)
        uv_timer_start(&main_watchdog, main_on_watchdog, watchdog, watchdog);
    main_watch.on_change = main_on_change;
    supervisor_watch_add(&main_watch);
    log_info(from != NULL ? "platoon-upgraded" : "platoon-started",
             "version=%s pid=%d config=%s instance=%s boot=%llu", PLATOON_VERSION, (int)getpid(),
             log_quote_text(config_path(master.config)), master.paths.instance,
             (unsigned long long)master.paths.boot);
    if (from == NULL) {
        main_tell_limits();
        reload_log_warnings(&main_warnings);
        supervisor_start(master.root);
    }
    uv_run(master.loop, UV_RUN_DEFAULT);
    uv_walk(master.loop, main_close, NULL);
    uv_run(master.loop, UV_RUN_DEFAULT);
    uv_loop_close(master.loop);
    log_info("platoon-stopped", "pid=%d", (int)getpid());
    return main_exit_code;
}

static int main_say(int code, struct buffer *error)
{
    const char *text = buffer_text(error);
    if (text == NULL || *text == '\0')
        text = MAIN_NO_MEMORY;
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t n = strcspn(line, "\n");
        const char *own = config_path(master.config);
        bool of_file = strncmp(line, own, strlen(own)) == 0; /* file:line: stands alone */
        fprintf(stderr, "%s%.*s\n", of_file ? "" : "platoon: ", (int)n, line);
        line += n + (line[n] == '\n');
    }
    return code;
}

static int main_run(void)
{
    struct buffer error = BUFFER_EMPTY;
    int code = preflight_take(&master.paths, master.config, &error);
    if (code == 0) {
        delegation_take(master.paths.cgroup, main_no_group);
        master.root = tree_build(master.config, &master.paths, &error);
        code = master.root == NULL ? CONTRACT_EXIT_CONFIG
                                   : preflight_check_tree(&master.paths, master.config, master.root,
                                                          PREFLIGHT_START, &error, &main_warnings);
        code = code != 0 ? main_say(code, &error) : main_loop(NULL);
        delegation_return(master.paths.cgroup);
        preflight_release(&master.paths);
        tree_free(master.root);
    } else {
        main_say(code, &error);
    }
    buffer_fini(&error);
    return code;
}

/*
 * --take-over: the last master's state is open as `fd`, and its children are ours. With `probe` only says
 * whether all of that would do.
 */
static int main_take_over(int fd, bool probe)
{
    struct buffer error = BUFFER_EMPTY;
    struct upgrade from;
    int code = preflight_places(&master.paths, master.config, &error);
    if (!upgrade_read(&from, fd, &error))
        code = CONTRACT_EXIT_CONFIG;
    if (code == 0)
        code = preflight_resume(&master.paths, probe, &error);
    memcpy(master.paths.instance, from.instance, sizeof master.paths.instance);
    master.paths.boot = from.boot;
    delegation_resume(master.paths.cgroup);
    if (code == 0) {
        master.root = tree_build(master.config, &master.paths, &error);
        bool fits = master.root != NULL &&
                    preflight_check_tree(&master.paths, master.config, master.root,
                                         PREFLIGHT_RUNNING, &error, NULL) == 0 &&
                    upgrade_fits(&from, &master, &error);
        code = fits ? 0 : CONTRACT_EXIT_CONFIG;
    }
    if (code != 0) {
        main_say(code, &error);
    } else if (!probe) {
        master.paths.lock_fd = (int)from.lock_fd;
        fcntl(master.paths.lock_fd, F_SETFD, FD_CLOEXEC);
        fcntl((int)from.listener_fd, F_SETFD, FD_CLOEXEC);
        close(fd);
        code = main_loop(&from);
        delegation_return(master.paths.cgroup);
        preflight_release(&master.paths);
    }
    upgrade_fini(&from);
    tree_free(master.root);
    buffer_fini(&error);
    return code;
}

static int main_print(struct slice text)
{
    int rc = standard_fds_print(text);
    if (rc == 0)
        return 0;
    fprintf(stderr, "platoon: cannot write the output: %s\n", strerror(-rc));
    return CONTRACT_EXIT_TEMPORARY;
}

static int main_print_buffer(const struct buffer *out)
{
    if (buffer_ok(out))
        return main_print(buffer_slice(out));
    fputs("platoon: " MAIN_NO_MEMORY "\n", stderr);
    return CONTRACT_EXIT_TEMPORARY;
}

static int main_check(const char *path)
{
    struct buffer out = BUFFER_EMPTY;
    struct buffer errors = BUFFER_EMPTY, warnings = BUFFER_EMPTY;
    int code = check_file(path, &errors, &warnings);
    const char *said = buffer_text(&errors), *warned = buffer_text(&warnings);
    if (said == NULL || warned == NULL || (code != 0 && *said == '\0'))
        said = "platoon: " MAIN_NO_MEMORY "\n";
    fputs(warned != NULL ? warned : "", stderr);
    fputs(said, stderr);
    if (code == 0) {
        buffer_printf(&out, "%s: configuration OK%s\n", path,
                      warnings.len > 0 ? ", but see the warnings above" : "");
        code = main_print_buffer(&out);
    }
    buffer_fini(&out);
    buffer_fini(&errors);
    buffer_fini(&warnings);
    return code;
}

/* Loads the file. Its errors name file and line and go out as they are. */
static int main_configured(const char *path, enum main_mode mode)
{
    if (mode == MAIN_CHECK)
        return main_check(path);
    struct buffer text = BUFFER_EMPTY;
    int code = 0;
    systems_config_register();
    systems_tree_register();
    master.config = config_load(path, &text);
    if (master.config == NULL) {
        const char *said = buffer_text(&text);
        fputs(said != NULL && *said != '\0' ? said : "platoon: " MAIN_NO_MEMORY "\n", stderr);
        code = CONTRACT_EXIT_CONFIG;
    } else if (mode == MAIN_PRINT) {
        config_print(master.config, &text);
        code = main_print_buffer(&text);
    } else if (mode == MAIN_TAKE_OVER || mode == MAIN_PROBE) {
        code = main_take_over(main_state_fd, mode == MAIN_PROBE);
    } else {
        code = main_run();
    }
    buffer_fini(&text);
    config_free(master.config);
    logs_fini();
    log_out_fini();
    return code;
}

static int main_usage(const char *problem)
{
    fprintf(stderr, "platoon: %s: see platoon --help\n", problem);
    return CONTROL_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"print-config", no_argument, NULL, 'p'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {"take-over", required_argument, NULL,
         't'}, /* these two are upgrade.c's, and nobody else's */
        {"probe", no_argument, NULL, 'b'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL;
    enum main_mode mode = MAIN_RUN;
    standard_fds_fill();
    upgrade_remember_program();
    unsetenv(
        CONTRACT_ENV_NAME); /* of another platoon, under which we run; our children are not its */
    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, "c:h", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            mode = MAIN_CHECK;
            break;
        case 'p':
            mode = MAIN_PRINT;
            break;
        case 't':
            main_state_fd = atoi(optarg);
            mode = mode == MAIN_PROBE ? MAIN_PROBE : MAIN_TAKE_OVER;
            break;
        case 'b':
            mode = MAIN_PROBE;
            break;
        case 'v':
            return main_print(slice_of("platoon " PLATOON_VERSION "\n"));
        case 'h':
            return main_print(slice_of(main_help));
        default:
            return main_usage("unknown option, or one without its value");
        }
    }
    if (optind < argc)
        return main_usage("takes options only");
    if (path == NULL)
        return main_usage("needs -c FILE");
    return main_configured(path, mode);
}
