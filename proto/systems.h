/*
 * systems.h: every system there is, one line each, and what its lists may hold.
 *
 * Read by everybody: whoever walks a list of all systems expands SYSTEMS, as SYSTEMS(KEYS, X), in start order. A system
 * is a folder per layer (scripts/lib/rooms) and two lines here: its include and its line in SYSTEMS. Its lists are
 * macros of its header, proto/<system>/<system>.h, and an absent one is empty (build/gen/proto/absent_lists.h, made by
 * scripts/lib/absent-lists).
 *
 * Recipe for a system: test/systems/echo has all of it. Its folders, its two lines here, `make
 * docs`; nothing else names it.
 *
 * SECTIONS    X(KIND, "word", HEADS, "example", "what it is")
 *   A kind of section of the configuration file. HEADS: SINGLE (one, without a title), TITLED (any number, each with a
 *   title), GROUP (as TITLED, and the workers that one section gives birth to are peers: each is told of the others'
 *   coming and going). example: one line, as it stands in the manual.
 *
 * KEYS        X(KIND, "key", TYPE, "default", min, max, RELOAD, "help")
 *   A key of a kind of section, which may be another system's.
 *   key       a dot means a subsection: "get_hash.workers" is written get_hash { workers = 2 }. Keys of one
 *             subsection stand together.
 *   TYPE      STRING   any text; CONFIG_MASKED as min: NAME=value, whose values --print-config does not show, or
 *                      a JSON object, of which it shows nothing
 *             PATH     a file or directory; relative ones are relative to the configuration file
 *             EXECUTABLE  a path, or a name looked up in PATH
 *             BOOL     true, false
 *             INT      whole number within min..max
 *             SPAN     duration with a unit: 250ms, 5s, 2m, 1h; min..max in milliseconds; delivered as milliseconds
 *             SIZE     bytes, or with a unit: 64KB, 16MB, 1GB (powers of 1024); min..max in bytes; delivered as bytes
 *             CHOICE   one of the words in "help" between the first pair of parentheses, separated by '|'
 *             SECTION  the title of a section of the kind that stands as min (CONFIG_REDIS): it must
 *                      exist, and a worker is told all its keys under this key's name ("redis.url").
 *                      Empty: none, where the default is
 *   default   "" means none; "!" means the key must be given
 *   RELOAD    what a reload makes of a change: LIVE: a running tree takes it over (workers are not told of these keys);
 *             RESTART: the workers it concerns are restarted; MASTER: refused, platoon itself must be started anew
 *
 * TYPES       X(NAME, "type", KIND, WHEN, RUNS, "path", "workers key", "what it does")
 *   A worker type, in start order; stop order is the reverse.
 *   type      name of its program, libexec/platoon/<type>; its file is workers/<system>/<type>.c, its
 *             libraries stand in libs.mk there
 *   KIND      the kind of section that gives birth to it
 *   WHEN      ALWAYS (for each such section); ONCE (when there is any, once); or the name of a condition,
 *             tree_when_<name> in the system's room of the master, asked for each; NEVER: a builder of
 *             its own makes it (BUILDS)
 *   RUNS      ITSELF; PROGRAM: its work is a program that it runs, to which signals go and whose usage is shown;
 *             CUSTOM: its executable is not in libexec, the section names it
 *   path      where in the tree; %s is the section's title. Of a titled kind without %s, the first section has the
 *             plain path, and the title of a further one stands before the last part: redis/send, redis/other-send
 *   workers key  key of that section that says how many there are, numbered from 1 ("1": always one;
 *                "": one without a number)
 *
 * CHECKS      X(KIND, name): config_check_<name>, in the system's room of the master, looks at each section of the kind
 * TELLS       X(KIND, "key", name): what workers are told of this key is what config_tell_<name> makes of it
 * EXTRAS      X(TYPE, name): tree_extra_<name> makes further settings for each worker of that type that a
 *             section of its own kind bore
 * SETTINGS    X("setting"): one of those, or of what BUILDS tell; a name that ends in a dot
 *             stands for all that start so
 * LATER       X("setting"): one that KEYS, EXTRAS or BUILDS have come to tell in a later build: an upgrade does not
 *             restart a worker for it that was started without
 * PREFLIGHTS  X(KIND, name): preflight_<name> looks, before a start, a reload or for a check, whether what such
 *             a section needs is there
 * CHILDREN    X(name): tree_children_<name> says who may have temporary children and makes them (child.h); one system's
 * SWEEPS      X("prefix"): a socket PREFIX….sock in runtime_dir is a server's that ran for us; a start waits
 *             for its end, and removes it
 * BUILDS      X(name): tree_build_<name> adds to the tree what no line of TYPES can say
 *
 * MESSAGES    X(number, NAME, name, "from to: what it says"), and for each MESSAGE_FIELDS_<NAME>(F) (schema.h)
 *   What workers say to each other. Numbers are never reused; each system has a hundred of its own: core, redis and
 *   drain the first, and a new one the first that is free. A double does not compile, one outside of the system's
 *   hundred fails in `make lint`.
 *
 * VERBS       X(NAME, name, "words", min, max, TIME, GROUP, "grammar", "help")
 *   What people type behind platoonctl; its handler is ctl_<name>_run, in master/ctl/<system>/.
 *   min, max  words behind the verb, its own options included; VERB_MANY: any number; VERB_REST: everything behind it
 *             belongs to it, the tool's options too
 *   TIME      how long it may take unless --timeout says another: ANSWER (a question), ACT (it waits for
 *             processes), WAIT (for work)
 *   GROUP     where --help lists it: LOOK, ACT, WAIT
 *
 * ASKS        X("type", "verb", LOOK|ACT, "arguments", "answer")
 *   What a worker type answers to `ask` (control.h); LOOK changes nothing.
 *
 * COUNTERS    X(NAME, "name", COUNTER|GAUGE, "help")
 *   A number that workers report in their beats. COUNTER only grows within an incarnation, and the master shows rates
 *   from it; GAUGE is the state of the moment. Names follow Prometheus' conventions without the `platoon_` prefix.
 *
 * HISTOGRAMS  X(NAME, "name", "help")
 *   How long something took, each time, within an incarnation: a COUNTER for each of HISTOGRAM_BOUNDS (counters.h), of
 *   those that took no longer, one of all, and one of their milliseconds. The name is in seconds, and says so.
 *
 * WARNINGS    X(NAME, "what is wrong, and the remedy")
 *   A gauge, by its name among the COUNTERS, that warns while it is not 0: not of what keeps a worker from its work
 *   (that is its trouble, and makes the tree not ready), but of what may break a promise. The log says so when it
 *   begins and when it is over, `status` as long as it lasts.
 *
 * GRAPHS      X(name)
 *   What `graph` draws of the system beside its workers: ctl_graph_<name> asks for it, ctl_graph_<name>_render draws it
 *   (master/ctl/ctl_graph.h); both in master/ctl/<system>/.
 *
 * SCRIPTS     X(NAME, name, "file", "shared parts")
 *   A Lua script; file and parts are paths below proto/. The parts, blanks between them, stand in front of it, and may
 *   be another system's. Its text is redis_script_<name> (redis_script.h).
 *
 * RIGHTS      X(KIND, "COMMAND", NEEDED|OPTIONAL|NEWER|SPARE, "words")
 *   A Redis command, with its subcommand, that scripts and workers use for such sections; `make lint` compares.
 *   NEEDED    it stands in the ACL SETUSER line of the manual. words: what follows it when a worker tries the right
 *             (workers/redis/redis_rights.h), such that nothing is changed: $ is a key of ours that is not there, @ the
 *             set; "-": it is not tried, because without it nothing could be asked at all
 *   OPTIONAL  it stands there too, and is done without
 *   NEWER     as OPTIONAL, beside that line: a server that does not know a command takes no line with it
 *   SPARE     used where it is allowed, and not worth a right
 */
#ifndef PROTO_SYSTEMS_H
#define PROTO_SYSTEMS_H

#include "proto/core/core.h"
#include "proto/health/health.h"
#include "proto/redis/redis.h"
#include "proto/drain/drain.h"
#include "proto/cache/cache.h"
#include "proto/erlang/erlang.h"
#include "proto/queue/queue.h"
#include "proto/jobs/jobs.h"
#include "proto/snapshot/snapshot.h"
#include "proto/program/program.h"

#include "proto/absent_lists.h"

/* clang-format off */
#define SYSTEMS(LIST, X) \
    SYSTEM(core, CORE_##LIST(X)) \
    SYSTEM(health, HEALTH_##LIST(X)) \
    SYSTEM(redis, REDIS_##LIST(X)) \
    SYSTEM(drain, DRAIN_##LIST(X)) \
    SYSTEM(cache, CACHE_##LIST(X)) \
    SYSTEM(erlang, ERLANG_##LIST(X)) \
    SYSTEM(queue, QUEUE_##LIST(X)) \
    SYSTEM(jobs, JOBS_##LIST(X)) \
    SYSTEM(snapshot, SNAPSHOT_##LIST(X)) \
    SYSTEM(program, PROGRAM_##LIST(X))
/* clang-format on */

/* Its entries. Who must tell systems apart defines it otherwise (scripts/lib/lists.c). */
#define SYSTEM(name, ...) __VA_ARGS__

#endif
