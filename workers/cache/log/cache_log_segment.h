/*
 * cache_log_segment.h: the files of the log: their names, their head, how they are made and opened.
 *
 * Runs in a cache node. Blocks on the disk. A segment is NUMBER-INSTANCE.log, both in hex; INSTANCE is of the log and
 * random, made with its first segment, and with the number it is the seed of all checksums in it (cache_log_record.h):
 * in the name, because a damaged head must not make the whole file unreadable. The head:
 *      0  8 bytes  "platoon" and a line's end
 *      8  u32      version of the format (1)
 *     12  u32      number
 *     16  u64      instance
 *     24  u32      number of the segment before it, 0 of the first: numbers may be passed over, so a gap alone is no
 *              loss
 *     28  u32      CRC-32C of all that
 */
#ifndef WORKERS_CACHE_LOG_SEGMENT_H
#define WORKERS_CACHE_LOG_SEGMENT_H

#include "workers/cache/log/cache_log.h"

#define CACHE_LOG_SEGMENT_HEAD 32
#define CACHE_LOG_NAME_SIZE    32

/* What names a segment in its directory. */
struct cache_log_name {
    uint32_t number; /* from 1 on */
    uint64_t instance;
};

enum cache_log_head {
    CACHE_LOG_HEAD_GOOD,
    CACHE_LOG_HEAD_DAMAGED,
    CACHE_LOG_HEAD_FOREIGN, /* of another segment: somebody has renamed it */
    CACHE_LOG_HEAD_NEWER,   /* of a format that we do not know */
};

char *cache_log_name_write(const struct cache_log_name *n, char text[CACHE_LOG_NAME_SIZE]);
bool cache_log_name_read(const char *text, struct cache_log_name *n);

/* The seed of the checksums of what stands at `offset` there. */
uint32_t cache_log_segment_base(const struct cache_log_name *n);
static inline uint32_t cache_log_segment_seed(uint32_t base, uint64_t offset)
{
    return base + (uint32_t)offset;
}

/* `before`: the number of the segment before it, 0: none. */
void cache_log_head_write(const struct cache_log_name *n, uint32_t before,
                          char to[CACHE_LOG_SEGMENT_HEAD]);
enum cache_log_head cache_log_head_read(const char *from, size_t len,
                                        const struct cache_log_name *n, uint32_t *before);

/*
 * Opens (and makes, 0700) the directory, which must be ours and closed to others. The descriptor, or a negative errno;
 * -EPERM: others may write there.
 */
int cache_log_dir_open(const char *path);

/* The segments there, by number; *list is the caller's to free. 0 or a negative errno; -EEXIST: two logs' are there. */
int cache_log_dir_list(int dir, struct cache_log_name **list, size_t *count);

/*
 * A plain file of ours, by no link; to be read and written. The descriptor, or a negative errno: -EPERM it is another
 * user's, -EMLINK it has another name, too, -EINVAL it is no plain file.
 */
int cache_log_segment_open(int dir, const struct cache_log_name *n, uint64_t *size);

/* Bytes of that file; 0: there is none, or it cannot be asked. */
uint64_t cache_log_segment_size(int dir, const struct cache_log_name *n);

/* A new one, empty, 0600. The descriptor, or a negative errno. */
int cache_log_segment_make(int dir, const struct cache_log_name *n);

/* A random number that is no other log's. 0 or a negative errno. */
int cache_log_instance(uint64_t *instance);

/* "PATH: CAUSE: REMEDY" for an errno (negative). */
void cache_log_explain(char *why, size_t size, const char *what, const char *dir,
                       const struct cache_log_name *n, int rc);

#endif
