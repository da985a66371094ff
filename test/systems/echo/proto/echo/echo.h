/*
 * echo.h: the lists of echo, the example of a system: it says again what it is told, and counts that in Redis.
 *
 * What the columns of each list mean: proto/systems.h.
 */
#ifndef PROTO_ECHO_ECHO_H
#define PROTO_ECHO_ECHO_H

/* clang-format off */
#define ECHO_SECTIONS(X) \
    X(ECHO, "echo", GROUP, "echo parrot { suffix = \"!\" }", "workers that say again what they are told")

#define ECHO_KEYS(X) \
    X(ECHO, "redis", SECTION, "main", CONFIG_REDIS, 0, RESTART, "the redis section that counts") \
    X(ECHO, "suffix", STRING, "", 0, 0, RESTART, "what stands behind every text that is said again") \
    X(ECHO, "workers", INT, "1", 1, 16, LIVE, "echo workers") \
    X(ECHO, "strategy", CHOICE, "one_for_one", 0, 0, LIVE, \
      "who is restarted when a worker of the section dies (one_for_one|one_for_all|rest_for_one)") \
    X(ECHO, "intensity", INT, "10", 1, 1000, LIVE, \
      "restarts within `period` after which the section's branch is restarted whole") \
    X(ECHO, "period", SPAN, "30s", 1000, 86400000, LIVE, "window for `intensity`") \
    X(ECHO, "log_level", CHOICE, "", 0, 0, LIVE, \
      "least important line that its workers log; empty: as in platoon (error|warn|info|debug)")

#define ECHO_CHECKS(X) \
    X(ECHO, echo)

#define ECHO_TYPES(X) \
    X(ECHO, "echo", ECHO, ALWAYS, ITSELF, "echo/%s/echo", "workers", "says again what it is told")

#define ECHO_MESSAGES(X) \
    X(900, HEARD, heard, "echo to echo: a text that I was told")

#define MESSAGE_FIELDS_HEARD(F) F(str, text, "without the suffix")

#define ECHO_VERBS(X) \
    X(ECHO_SAY, echo_say, "echo say", 2, 2, ANSWER, ACT, "echo say NAME TEXT", "have an echo section say a text again")

#define ECHO_ASKS(X) \
    X("echo", "say", ACT, "TEXT", "map {said, count}: the text with its suffix, and how many the section has said")

#define ECHO_COUNTERS(X) \
    X(ECHOES, "echoes_total", COUNTER, "texts said again") \
    X(HEARD, "heard_total", COUNTER, "texts that a peer said again")

#define ECHO_RIGHTS(X) X(ECHO, "INCR", NEEDED, "-")

#define ECHO_SCRIPTS(X) \
    X(COUNT, echo_count, "echo/count.lua", "echo/shared.lua")
/* clang-format on */

#endif
