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
#include "workers/cache/command/command_list.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- numbers ---- */

/* As Redis has it: "512.00M". */
static void info_human(struct buffer *out, const char *name, uint64_t bytes)
{
    static const char units[] = "BKMGT";
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 2 < sizeof units) {
        value /= 1024;
        unit++;
    }
    buffer_printf(out, "%s:%" PRIu64 "\r\n", name, bytes);
    if (unit == 0)
        buffer_printf(out, "%s_human:%" PRIu64 "B\r\n", name, bytes);
    else
        buffer_printf(out, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

static uint64_t info_resident(void)
{
    unsigned long long total = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f == NULL)
        return 0;
    int found = fscanf(f, "%llu %llu", &total, &resident);
    fclose(f);
    return found == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* ---- sections ---- */

static void info_server(const struct cache_node *n, struct buffer *out)
{
    struct utsname system;
    struct timespec now;
    uint64_t seconds = (clock_mono_ms() - n->born_ms) / 1000;
    memset(&system, 0, sizeof system);
    uname(&system);
    clock_gettime(CLOCK_REALTIME, &now);
    buffer_printf(out,
                  "redis_version:" CACHE_REDIS_VERSION "\r\nplatoon_version:" PLATOON_VERSION
                  "\r\nredis_mode:standalone\r\nos:%s %s %s\r\narch_bits:%zu\r\n"
                  "multiplexing_api:epoll\r\nprocess_id:%d\r\nprocess_supervised:platoon\r\n"
                  "run_id:%s\r\ntcp_port:0\r\nserver_time_usec:%" PRIu64
                  "\r\nuptime_in_seconds:%" PRIu64 "\r\nuptime_in_days:%" PRIu64
                  "\r\nexecutable:cache-node\r\nconfig_file:\r\nplatoon_name:%s\r\n",
                  system.sysname, system.release, system.machine, sizeof(void *) * 8, (int)getpid(),
                  n->run_id, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000, seconds,
                  seconds / 86400, n->options.name);
}

static void info_clients(const struct cache_node *n, struct buffer *out)
{
    size_t parked = 0;
    for (const struct cache_client *c = n->clients; c != NULL; c = c->next)
        parked += (c->parked > 0) + cache_guest_count(c);
    buffer_printf(out,
                  "connected_clients:%zu\r\ncluster_connections:0\r\nmaxclients:%zu\r\n"
                  "blocked_clients:%zu\r\ntracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                  n->client_count, n->options.clients_max, parked);
}

static void info_memory(const struct cache_node *n, struct buffer *out)
{
    uint64_t used = cache_db_bytes(n->db), resident = info_resident();
    info_human(out, "used_memory", used);
    info_human(out, "used_memory_rss", resident);
    info_human(out, "maxmemory", n->options.memory_max);
    buffer_printf(out,
                  "maxmemory_policy:%s\r\nmem_fragmentation_ratio:%.2f\r\nmem_allocator:libc\r\n",
                  n->options.evict ? "allkeys-lru" : "noeviction",
                  used > 0 ? (double)resident / (double)used : 0.0);
}

static void info_persistence(const struct cache_node *n, struct buffer *out)
{
    bool good = !n->turn.failed && (n->log == NULL || cache_log_trouble(n->log)[0] == '\0');
    buffer_printf(out,
                  "loading:0\r\nasync_loading:0\r\nrdb_changes_since_last_save:0\r\n"
                  "rdb_bgsave_in_progress:0\r\nrdb_last_bgsave_status:ok\r\naof_enabled:%d\r\n"
                  "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
                  "aof_last_bgrewrite_status:ok\r\naof_last_write_status:%s\r\n",
                  n->log != NULL, good ? "ok" : "err");
    if (n->log != NULL)
        buffer_printf(out, "aof_current_size:%" PRIu64 "\r\n", cache_log_bytes(n->log));
}

static void info_stats(const struct cache_node *n, struct buffer *out)
{
    const struct cache_stats *s = cache_db_stats(n->db);
    buffer_printf(out,
                  "total_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
                  "\r\ntotal_net_input_bytes:%" PRIu64 "\r\ntotal_net_output_bytes:%" PRIu64
                  "\r\nrejected_connections:%" PRIu64 "\r\nexpired_keys:%" PRIu64
                  "\r\nevicted_keys:%" PRIu64 "\r\nevicted_clients:0\r\nkeyspace_hits:%" PRIu64
                  "\r\nkeyspace_misses:%" PRIu64
                  "\r\npubsub_channels:0\r\npubsub_patterns:0\r\nlatest_fork_usec:0\r\n"
                  "total_forks:0\r\ntotal_error_replies:%" PRIu64
                  "\r\nclient_output_buffer_limit_disconnections:%" PRIu64
                  "\r\nacl_access_denied_auth:%" PRIu64 "\r\n",
                  n->counts.connections, n->counts.commands, n->counts.in_bytes,
                  n->counts.out_bytes, n->counts.rejected, s->expired, s->evicted, s->hits,
                  s->misses, n->counts.errors, n->turn.dropped, n->counts.auth_failures);
}

static void info_replication(const struct cache_node *n, struct buffer *out)
{
    buffer_printf(out,
                  "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
                  "master_replid:%s\r\nmaster_replid2:0000000000000000000000000000000000000000\r\n"
                  "master_repl_offset:0\r\nsecond_repl_offset:-1\r\nrepl_backlog_active:0\r\n",
                  n->run_id);
}

static void info_cpu(const struct cache_node *n, struct buffer *out)
{
    struct rusage self;
    (void)n;
    memset(&self, 0, sizeof self);
    getrusage(RUSAGE_SELF, &self);
    buffer_printf(out,
                  "used_cpu_sys:%ld.%06ld\r\nused_cpu_user:%ld.%06ld\r\n"
                  "used_cpu_sys_children:0.000000\r\nused_cpu_user_children:0.000000\r\n",
                  (long)self.ru_stime.tv_sec, (long)self.ru_stime.tv_usec,
                  (long)self.ru_utime.tv_sec, (long)self.ru_utime.tv_usec);
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
} info_sections[] = {
    {"server", "Server", info_server},
    {"clients", "Clients", info_clients},
    {"memory", "Memory", info_memory},
    {"persistence", "Persistence", info_persistence},
    {"stats", "Stats", info_stats},
    {"replication", "Replication", info_replication},
    {"cpu", "CPU", info_cpu},
    {"modules", "Modules", info_nothing},
    {"errorstats", "Errorstats", info_nothing},
    {"cluster", "Cluster", info_cluster},
    {"keyspace", "Keyspace", info_keyspace},
};

static bool info_is_asked(const struct info_section *s, const struct slice *words, size_t count)
{
    static const char *const all[] = {"default", "all", "everything"};
    if (count == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (command_is(words[i], s->word))
            return true;
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++)
            if (command_is(words[i], all[k]))
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
