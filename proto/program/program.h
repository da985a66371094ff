/*
 * program.h: the lists of a user's own programs and their supervisors.
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_PROGRAM_PROGRAM_H
#define PROTO_PROGRAM_PROGRAM_H

/* clang-format off */
#define PROGRAM_SECTIONS(X) \
    X(SUPERVISOR, "supervisor", TITLED, "supervisor site { children = mailer }", \
      "programs that are supervised together") \
    X(PROGRAM, "program", TITLED, "program mailer { command = \"/usr/local/bin/mailer --queue tracking\" }", \
      "any program, as a worker")

#define PROGRAM_KEYS(X) \
    X(SUPERVISOR, "children", STRING, "!", 0, 0, LIVE, \
      "names of program and supervisor sections below it, in start order") \
    X(SUPERVISOR, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a child dies (one_for_one|one_for_all|rest_for_one)") \
    X(SUPERVISOR, "intensity", INT, "10", 1, 1000, LIVE, \
      "restarts within `period` after which it gives up and its parent restarts it whole") \
    X(SUPERVISOR, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(SUPERVISOR, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as above it (error|warn|info|debug)") \
    X(PROGRAM, "command", STRING, "!", 0, 0, RESTART, \
      "program and arguments; quotes make one word of several; {n} is the process' number, {{n}} a plain {n}; a " \
      "shell only by sh -c '…'; with a slash in it the program is a path, without one it is looked for in PATH") \
    X(PROGRAM, "port", CHOICE, "none", 0, 0, RESTART, \
      "the program is an actor: it hears events on stdin and says actions on stdout, as JSON lines or msgpack " \
      "frames; an answer to platoonctl has at most 16 levels of arrays and objects (none|json|msgpack)") \
    X(PROGRAM, "worker", BOOL, "false", 0, 0, RESTART, \
      "the program is a worker of platoon's own kind, made with platoon/worker.h: it has a mailbox and talks to " \
      "the master itself") \
    X(PROGRAM, "settings", STRING, "", CONFIG_MASKED, 0, RESTART, \
      "worker = true, or port: what it is told, NAME=value separated by blanks; {n} as in command") \
    X(PROGRAM, "directory", PATH, "", 0, 0, RESTART, "working directory; empty: platoon's") \
    X(PROGRAM, "environment", STRING, "", CONFIG_MASKED, 0, RESTART, \
      "further variables: NAME=value, separated by blanks; {n} as in command") \
    X(PROGRAM, "user", STRING, "", 0, 0, RESTART, \
      "runs as this user, with its groups, HOME, USER and LOGNAME; platoon must be root then") \
    X(PROGRAM, "group", STRING, "", 0, 0, RESTART, "runs with this group instead of the user's") \
    X(PROGRAM, "umask", STRING, "", 0, 0, RESTART, "octal mask for new files; empty: platoon's") \
    X(PROGRAM, "nice", INT, "0", 0, 19, RESTART, "lower priority: 0 to 19, the lowest") \
    X(PROGRAM, "memory_max", SIZE, "", 1048576, 1099511627776, RESTART, \
      "most memory of each process with its descendants, kept by the kernel (memory.max) in a cgroup that was " \
      "given to platoon (platoon(8)); elsewhere the address space of each single one (RLIMIT_AS); empty: no limit") \
    X(PROGRAM, "memory_restart", SIZE, "", 1048576, 1099511627776, RESTART, \
      "resident memory of each process with its descendants above which it is stopped and started again; empty: " \
      "any") \
    X(PROGRAM, "log_file", PATH, "", 0, 0, RESTART, \
      "file for what it prints, instead of platoon's log; {n} as in command") \
    X(PROGRAM, "log_rotate_size", SIZE, "64MB", 0, 1099511627776, RESTART, \
      "size at which log_file becomes FILE.1, and FILE.1 becomes FILE.2; 0: never") \
    X(PROGRAM, "log_keep", INT, "5", 0, 1000, RESTART, "old log files kept") \
    X(PROGRAM, "files_max", INT, "", 3, 1048576, RESTART, \
      "open files of each process; empty: as the master had at its start") \
    X(PROGRAM, "core_max", SIZE, "", 0, 1099511627776, RESTART, "largest core file; empty: as the master has") \
    X(PROGRAM, "no_new_privs", BOOL, "false", 0, 0, RESTART, "no program it starts may gain rights (set-user-id)") \
    X(PROGRAM, "processes", INT, "1", 0, 1000, LIVE, \
      "how many of them, numbered from 1; 0: none by itself, only as a temporary child of another (may_start)") \
    X(PROGRAM, "may_start", STRING, "", 0, 0, LIVE, \
      "titles of program sections of which it may have the master start temporary children of its own") \
    X(PROGRAM, "may_start_max", INT, "16", 1, 1000, LIVE, "most temporary children of each process at once") \
    X(PROGRAM, "after", STRING, "", 0, 0, LIVE, \
      "names of programs, supervisors or branches that must be ready first, beyond the order of the tree") \
    X(PROGRAM, "ready", STRING, "none", 0, 0, RESTART, \
      "when it is: none (as soon as it runs), exit (it has finished on purpose), 3s (has run so long), unix:PATH " \
      "or tcp:ADDRESS:PORT (it listens), http:ADDRESS:PORT/PATH (answers 2xx or 3xx), log:TEXT (prints a line " \
      "with it), notify (says READY=1 as sd_notify(3) does), actor (port: it says so), fd (a line on " \
      "$NOTIFY_FD); {n} as in command") \
    X(PROGRAM, "ready_timeout", SPAN, "", 100, 3600000, LIVE, "time it may take for that; empty: as in platoon") \
    X(PROGRAM, "restart", CHOICE, "permanent", 0, 0, LIVE, \
      "started again: always, after an end that exit_codes does not name, or never " \
      "(permanent|transient|temporary)") \
    X(PROGRAM, "exit_codes", STRING, "0", 0, 0, RESTART, "exit codes that mean it finished on purpose") \
    X(PROGRAM, "backoff_min", SPAN, "", 1, 60000, LIVE, "first pause before a restart; empty: as in platoon") \
    X(PROGRAM, "backoff_max", SPAN, "", 10, 3600000, LIVE, "longest pause before a restart; empty: as in platoon") \
    X(PROGRAM, "stable_after", SPAN, "", 100, 3600000, LIVE, \
      "time in READY after which the pause starts anew; empty: as in platoon") \
    X(PROGRAM, "stop_signal", CHOICE, "TERM", 0, 0, RESTART, \
      "what tells it to stop (TERM|INT|QUIT|HUP|USR1|USR2|KILL)") \
    X(PROGRAM, "stop_timeout", SPAN, "", 100, 3600000, LIVE, \
      "time it may take to stop, before SIGKILL; empty: as in platoon") \
    X(PROGRAM, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as above it (error|warn|info|debug)")

#define PROGRAM_CHECKS(X) \
    X(SUPERVISOR, supervisor) \
    X(PROGRAM, program)

#define PROGRAM_TYPES(X) \
    X(PORT, "port", PROGRAM, NEVER, PROGRAM, "", "processes", \
      "a program in any language as an actor: a program section with port = json or msgpack") \
    X(CUSTOM, "custom", PROGRAM, NEVER, CUSTOM, "", "processes", \
      "a worker type of your own: a program section with worker = true")

#define PROGRAM_SETTINGS(X) \
    X("command.") \
    X("own.") \
    X("child.owner") \
    X("child.argument") \
    X("custom.executable")

#define PROGRAM_LATER(X) \
    X("command.lock") \
    X("command.reason")

#define PROGRAM_PREFLIGHTS(X) X(PROGRAM, program)

#define PROGRAM_BUILDS(X) \
    X(programs)

#define PROGRAM_CHILDREN(X) \
    X(program)

/* clang-format on */

#endif
