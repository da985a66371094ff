/* command_info_amounts.c: see command_info.h. */
#include "workers/cache/command/command_info.h"

#include "common/clock.h"
#include "workers/cache/cache_node.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

/* ---- numbers ---- */

static void info_u64(struct buffer *out, const char *name, uint64_t value)
{
    buffer_printf(out, "%s:%" PRIu64 "\r\n", name, value);
}

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
    info_u64(out, name, bytes);
    if (unit == 0)
        buffer_printf(out, "%s_human:%" PRIu64 "B\r\n", name, bytes);
    else
        buffer_printf(out, "%s_human:%.2f%c\r\n", name, value, units[unit]);
}

static double info_share(uint64_t part, uint64_t all)
{
    return all > 0 ? (double)part / (double)all : 0.0;
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

static uint64_t info_clients_bytes(const struct cache_node *n)
{
    uint64_t bytes = 0;
    for (const struct cache_client *c = n->clients; c != NULL; c = c->next)
        bytes += sizeof *c + c->in.cap + c->unsent.cap + c->reply.out.cap;
    return bytes;
}

/* ---- memory ---- */

/* What the C library has got, and has given on. */
static void info_allocator(struct buffer *out, uint64_t allocated, uint64_t active,
                           uint64_t resident)
{
    buffer_printf(out,
                  "allocator_frag_ratio:%.2f\r\nallocator_frag_bytes:%" PRIu64
                  "\r\nallocator_rss_ratio:1.00\r\nallocator_rss_bytes:0\r\n"
                  "rss_overhead_ratio:%.2f\r\nrss_overhead_bytes:%" PRId64 "\r\n",
                  info_share(active, allocated), active - allocated, info_share(resident, active),
                  (int64_t)resident - (int64_t)active);
}

static void info_no_scripts(struct buffer *out)
{
    buffer_append_text(out, "used_memory_lua:0\r\nused_memory_vm_eval:0\r\n"
                            "used_memory_lua_human:0B\r\nused_memory_scripts_eval:0\r\n"
                            "number_of_cached_scripts:0\r\nnumber_of_functions:0\r\n"
                            "number_of_libraries:0\r\nused_memory_vm_functions:0\r\n"
                            "used_memory_vm_total:0\r\nused_memory_vm_total_human:0B\r\n"
                            "used_memory_functions:0\r\nused_memory_scripts:0\r\n"
                            "used_memory_scripts_human:0B\r\n");
}

/* `used` is what memory_max counts: objects, and what is kept of them. */
void command_info_memory(const struct cache_node *n, struct buffer *out)
{
    struct mallinfo2 heap = mallinfo2();
    uint64_t used = cache_db_bytes(n->db), resident = info_resident();
    uint64_t allocated = heap.uordblks + heap.hblkhd, active = heap.arena + heap.hblkhd;
    uint64_t overhead = allocated > used ? allocated - used : 0;
    uint64_t system = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    info_human(out, "used_memory", used);
    info_human(out, "used_memory_rss", resident);
    info_human(out, "used_memory_peak", cache_rates_peak(n));
    buffer_printf(out, "used_memory_peak_perc:%.2f%%\r\n",
                  100 * info_share(used, cache_rates_peak(n)));
    info_u64(out, "used_memory_overhead", overhead);
    info_u64(out, "used_memory_startup", 0);
    info_u64(out, "used_memory_dataset", used);
    buffer_printf(out, "used_memory_dataset_perc:%.2f%%\r\n",
                  100 * info_share(used, used + overhead));
    info_u64(out, "allocator_allocated", allocated);
    info_u64(out, "allocator_active", active);
    info_u64(out, "allocator_resident", active);
    info_human(out, "total_system_memory", system);
    info_no_scripts(out);
    info_human(out, "maxmemory", n->options.memory_max);
    buffer_printf(out, "maxmemory_policy:%s\r\n", n->options.evict ? "allkeys-lru" : "noeviction");
    info_allocator(out, allocated, active, resident);
    buffer_printf(out, "mem_fragmentation_ratio:%.2f\r\nmem_fragmentation_bytes:%" PRId64 "\r\n",
                  info_share(resident, used), (int64_t)resident - (int64_t)used);
    buffer_append_text(out, "mem_not_counted_for_evict:0\r\nmem_replication_backlog:0\r\n"
                            "mem_total_replication_buffers:0\r\nmem_clients_slaves:0\r\n");
    info_u64(out, "mem_clients_normal", info_clients_bytes(n));
    info_u64(out, "mem_cluster_links", 0);
    info_u64(out, "mem_aof_buffer",
             n->log != NULL ? cache_log_added(n->log) - cache_log_written(n->log) : 0);
    buffer_append_text(out, "mem_allocator:libc\r\nactive_defrag_running:0\r\n"
                            "lazyfree_pending_objects:0\r\nlazyfreed_objects:0\r\n");
}

/* ---- persistence ---- */

/* The log is its append-only file; there are no snapshots, and the last one was what it began with. */
static void info_log(const struct cache_log *log, struct buffer *out)
{
    info_u64(out, "aof_current_size", cache_log_bytes(log));
    info_u64(out, "aof_base_size", cache_log_alive(log));
    info_u64(out, "aof_pending_rewrite", cache_log_wants_rewrite(log));
    info_u64(out, "aof_buffer_length", cache_log_added(log) - cache_log_written(log));
    info_u64(out, "aof_pending_bio_fsync", cache_log_synced(log) < cache_log_written(log));
    info_u64(out, "aof_delayed_fsync", 0);
}

void command_info_persistence(const struct cache_node *n, struct buffer *out)
{
    bool good = !n->turn.failed && (n->log == NULL || cache_log_trouble(n->log)[0] == '\0');
    uint64_t born = (clock_wall_ms() - (clock_mono_ms() - n->born_ms)) / 1000;
    buffer_printf(out,
                  "loading:0\r\nasync_loading:0\r\ncurrent_cow_peak:0\r\ncurrent_cow_size:0\r\n"
                  "current_cow_size_age:0\r\ncurrent_fork_perc:0.00\r\n"
                  "current_save_keys_processed:0\r\ncurrent_save_keys_total:0\r\n"
                  "rdb_changes_since_last_save:0\r\nrdb_bgsave_in_progress:0\r\n"
                  "rdb_last_save_time:%" PRIu64 "\r\nrdb_last_bgsave_status:ok\r\n"
                  "rdb_last_bgsave_time_sec:-1\r\nrdb_current_bgsave_time_sec:-1\r\n"
                  "rdb_saves:0\r\nrdb_last_cow_size:0\r\nrdb_last_load_keys_expired:0\r\n"
                  "rdb_last_load_keys_loaded:0\r\naof_enabled:%d\r\n",
                  born, n->log != NULL);
    buffer_printf(out,
                  "aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0\r\n"
                  "aof_last_rewrite_time_sec:-1\r\naof_current_rewrite_time_sec:-1\r\n"
                  "aof_last_bgrewrite_status:ok\r\naof_rewrites:0\r\n"
                  "aof_rewrites_consecutive_failures:0\r\naof_last_write_status:%s\r\n"
                  "aof_last_cow_size:0\r\nmodule_fork_in_progress:0\r\n"
                  "module_fork_last_cow_size:0\r\n",
                  good ? "ok" : "err");
    if (n->log != NULL)
        info_log(n->log, out);
}

/* ---- stats ---- */

static double info_kb(uint64_t bytes)
{
    return (double)bytes / 1024;
}

static void info_traffic(const struct cache_node *n, struct buffer *out)
{
    const struct cache_node_counts *c = &n->counts;
    info_u64(out, "total_connections_received", c->connections);
    info_u64(out, "total_commands_processed", c->commands);
    info_u64(out, "instantaneous_ops_per_sec", n->rates.ops);
    info_u64(out, "total_net_input_bytes", c->in_bytes);
    info_u64(out, "total_net_output_bytes", c->out_bytes);
    buffer_printf(out,
                  "total_net_repl_input_bytes:0\r\ntotal_net_repl_output_bytes:0\r\n"
                  "instantaneous_input_kbps:%.2f\r\ninstantaneous_output_kbps:%.2f\r\n"
                  "instantaneous_input_repl_kbps:0.00\r\ninstantaneous_output_repl_kbps:0.00\r\n",
                  info_kb(n->rates.in_bytes), info_kb(n->rates.out_bytes));
    info_u64(out, "rejected_connections", c->rejected);
}

static void info_objects(const struct cache_node *n, struct buffer *out)
{
    const struct cache_stats *s = cache_db_stats(n->db);
    buffer_append_text(out, "sync_full:0\r\nsync_partial_ok:0\r\nsync_partial_err:0\r\n");
    info_u64(out, "expired_keys", s->expired);
    buffer_append_text(out, "expired_stale_perc:0.00\r\nexpired_time_cap_reached_count:0\r\n"
                            "expire_cycle_cpu_milliseconds:0\r\n");
    info_u64(out, "evicted_keys", s->evicted);
    buffer_append_text(out, "evicted_clients:0\r\ntotal_eviction_exceeded_time:0\r\n"
                            "current_eviction_exceeded_time:0\r\n");
    info_u64(out, "keyspace_hits", s->hits);
    info_u64(out, "keyspace_misses", s->misses);
    buffer_append_text(out, "pubsub_channels:0\r\npubsub_patterns:0\r\npubsubshard_channels:0\r\n"
                            "latest_fork_usec:0\r\ntotal_forks:0\r\nmigrate_cached_sockets:0\r\n"
                            "slave_expires_tracked_keys:0\r\nactive_defrag_hits:0\r\n"
                            "active_defrag_misses:0\r\nactive_defrag_key_hits:0\r\n"
                            "active_defrag_key_misses:0\r\ntotal_active_defrag_time:0\r\n"
                            "current_active_defrag_time:0\r\ntracking_total_keys:0\r\n"
                            "tracking_total_items:0\r\ntracking_total_prefixes:0\r\n");
}

void command_info_stats(const struct cache_node *n, struct buffer *out)
{
    info_traffic(n, out);
    info_objects(n, out);
    info_u64(out, "unexpected_error_replies", 0);
    info_u64(out, "total_error_replies", n->counts.errors);
    info_u64(out, "dump_payload_sanitizations", 0);
    info_u64(out, "total_reads_processed", n->counts.reads);
    info_u64(out, "total_writes_processed", n->counts.writes);
    buffer_append_text(out, "io_threaded_reads_processed:0\r\nio_threaded_writes_processed:0\r\n"
                            "reply_buffer_shrinks:0\r\nreply_buffer_expands:0\r\n");
    info_u64(out, "client_output_buffer_limit_disconnections", n->turn.dropped);
    info_u64(out, "acl_access_denied_auth", n->counts.auth_failures);
}
