/*
 * command_info.c: INFO: Redis' names for what a node has to say of itself.
 *
 * Runs in a cache node. Tools read it: names that Redis has mean what they mean there; of what a node does not have
 * only those are given that tools ask for, with the value that says so.
 */
#include "common/clock.h"
#include "common/text.h"
#include "workers/cache/cache_guest.h"
#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_info.h"
#include "workers/cache/command/command_list.h"
#include "workers/cache/command/command_stats.h"

#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- sections ---- */

/* Of its first TCP address; 0: it has none, which is what Redis says then. */
static unsigned info_port(const struct cache_node *n)
{
    for (size_t i = 0; i < n->listen.count; i++) {
        struct sockaddr_in6 at = {.sin6_family = AF_UNSPEC}; /* its port stands where IPv4's does */
        socklen_t size = sizeof at;
        if (n->listen.at[i].path[0] == '\0' &&
            getsockname(n->listen.at[i].fd, (struct sockaddr *)&at, &size) == 0)
            return ntohs(at.sin6_port);
    }
    return 0;
}

static void info_executable(char path[PATH_MAX])
{
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
}

static void info_server(const struct cache_node *n, struct buffer *out)
{
    struct utsname system;
    struct timespec now;
    char executable[PATH_MAX];
    info_executable(executable);
    uint64_t seconds = (clock_mono_ms() - n->born_ms) / 1000;
    memset(&system, 0, sizeof system);
    uname(&system);
    clock_gettime(CLOCK_REALTIME, &now);
    buffer_printf(out,
                  "redis_version:" CACHE_REDIS_VERSION "\r\nredis_git_sha1:00000000\r\n"
                  "redis_git_dirty:0\r\nredis_build_id:0\r\nredis_mode:standalone\r\n"
                  "os:%s %s %s\r\narch_bits:%zu\r\nmonotonic_clock:POSIX clock_gettime\r\n"
                  "multiplexing_api:epoll\r\natomicvar_api:c11-builtin\r\ngcc_version:%d.%d.%d\r\n"
                  "process_id:%d\r\nprocess_supervised:platoon\r\nrun_id:%s\r\ntcp_port:%u\r\n",
                  system.sysname, system.release, system.machine, sizeof(void *) * 8, __GNUC__,
                  __GNUC_MINOR__, __GNUC_PATCHLEVEL__, (int)getpid(), n->run_id, info_port(n));
    buffer_printf(out,
                  "server_time_usec:%" PRIu64 "\r\nuptime_in_seconds:%" PRIu64
                  "\r\nuptime_in_days:%" PRIu64 "\r\nhz:10\r\nconfigured_hz:10\r\n"
                  "lru_clock:%" PRIu64 "\r\nexecutable:%s\r\nconfig_file:\r\n"
                  "io_threads_active:0\r\nplatoon_version:" PLATOON_VERSION
                  "\r\nplatoon_name:%s\r\n",
                  (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, seconds,
                  seconds / 86400, (uint64_t)now.tv_sec & 0xffffff, executable, n->options.name);
}

static void info_clients(const struct cache_node *n, struct buffer *out)
{
    size_t parked = 0, in = 0, unsent = 0;
    for (const struct cache_client *c = n->clients; c != NULL; c = c->next) {
        parked += (c->parked > 0) + cache_guest_count(c);
        in = c->in.cap > in ? c->in.cap : in;
        unsent = c->unsent.cap > unsent ? c->unsent.cap : unsent;
    }
    buffer_printf(out,
                  "connected_clients:%zu\r\ncluster_connections:0\r\nmaxclients:%zu\r\n"
                  "client_recent_max_input_buffer:%zu\r\nclient_recent_max_output_buffer:%zu\r\n"
                  "blocked_clients:%zu\r\ntracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                  n->client_count, n->options.clients_max, in, unsent, parked);
}

static void info_replication(const struct cache_node *n, struct buffer *out)
{
    buffer_printf(out,
                  "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
                  "master_replid:%s\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n"
                  "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n"
                  "repl_backlog_size:0\r\nrepl_backlog_first_byte_offset:0\r\n"
                  "repl_backlog_histlen:0\r\n",
                  n->run_id);
}

static void info_used(struct buffer *out, int who, const char *whose)
{
    struct rusage used;
    memset(&used, 0, sizeof used);
    getrusage(who, &used);
    buffer_printf(out, "used_cpu_sys%s:%ld.%06ld\r\nused_cpu_user%s:%ld.%06ld\r\n", whose,
                  (long)used.ru_stime.tv_sec, (long)used.ru_stime.tv_usec, whose,
                  (long)used.ru_utime.tv_sec, (long)used.ru_utime.tv_usec);
}

static void info_cpu(const struct cache_node *n, struct buffer *out)
{
    (void)n;
    info_used(out, RUSAGE_SELF, "");
    info_used(out, RUSAGE_CHILDREN, "_children");
    info_used(out, RUSAGE_THREAD, "_main_thread");
}

static void info_errors(const struct cache_node *n, struct buffer *out)
{
    for (size_t i = 0; i < n->rates.error_count; i++)
        buffer_printf(out, "errorstat_%s:count=%" PRIu64 "\r\n", n->rates.errors[i].word,
                      n->rates.errors[i].count);
}

static void info_nothing(const struct cache_node *n, struct buffer *out)
{
    (void)n;
    (void)out;
}

static void info_cluster(const struct cache_node *n, struct buffer *out)
{
    (void)n;
    buffer_append_text(out, "cluster_enabled:0\r\n");
}

static void info_keyspace(const struct cache_node *n, struct buffer *out)
{
    if (cache_db_count(n->db) > 0)
        buffer_printf(out, "db0:keys=%zu,expires=%zu,avg_ttl=0\r\n", cache_db_count(n->db),
                      cache_db_expiring(n->db));
}

static const struct info_section {
    const char *word, *title;
    void (*write)(const struct cache_node *n, struct buffer *out);
    bool named; /* not among those that are told when none is named */
} info_sections[] = {
    {"server", "Server", info_server, false},
    {"clients", "Clients", info_clients, false},
    {"memory", "Memory", command_info_memory, false},
    {"persistence", "Persistence", command_info_persistence, false},
    {"stats", "Stats", command_info_stats, false},
    {"replication", "Replication", info_replication, false},
    {"cpu", "CPU", info_cpu, false},
    {"modules", "Modules", info_nothing, false},
    {"commandstats", "Commandstats", command_stats_calls, true},
    {"errorstats", "Errorstats", info_errors, false},
    {"latencystats", "Latencystats", command_stats_latencies, true},
    {"cluster", "Cluster", info_cluster, false},
    {"keyspace", "Keyspace", info_keyspace, false},
};

static bool info_is_asked(const struct info_section *s, const struct slice *words, size_t count)
{
    if (count == 0)
        return !s->named;
    for (size_t i = 0; i < count; i++) {
        if (command_is(words[i], s->word))
            return true;
        if (command_is(words[i], "all") || command_is(words[i], "everything") ||
            (command_is(words[i], "default") && !s->named))
            return true;
    }
    return false;
}

void command_info(struct cache_client *c, const struct slice *words, size_t count)
{
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < sizeof info_sections / sizeof info_sections[0]; i++) {
        const struct info_section *s = &info_sections[i];
        if (!info_is_asked(s, words + 1, count - 1))
            continue;
        buffer_printf(&text, "%s# %s\r\n", text.len > 0 ? "\r\n" : "", s->title);
        s->write(c->node, &text);
    }
    if (buffer_ok(&text))
        resp_verbatim(&c->reply, "txt", buffer_slice(&text));
    else
        command_fault(c, CACHE_FAULT_MEMORY);
    buffer_fini(&text);
}
