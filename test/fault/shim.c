/*
 * shim.c: preloaded into every process of a platoon under test: the Nth allocation, write, send or fsync fails.
 *
 * The plan of all processes of one program is the file $PLATOON_SHIM_DIR/<program>, mapped and shared, so that the test
 * can set it while they run: for each kind of call a countdown (0: never fail; 1: the next call fails), how often one
 * has failed, and a delay; and what the wall clock is set forward or back by. What fails, fails as the kernel would say
 * it: ENOMEM; for a regular file ENOSPC, or what the plan says, or only half of it is written; ECONNRESET for a socket;
 * EIO for fsync. Pipes, event and epoll descriptors are
 * left alone: no write to them fails in life but by a full pipe. And a shortage of the machine's, which lasts until it
 * is taken back: the errno that is answered to whoever would make a process, a pipe, a socket or a pair of them, or a
 * node in a directory, from the Nth such call of each process on; and the size from which on there is no memory.
 *
 * Must not allocate, print, or call what it replaces.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum shim_kind { SHIM_ALLOC, SHIM_WRITE, SHIM_SEND, SHIM_SYNC, SHIM_KINDS };
#define SHIM_HALF (-1)
enum shim_shortage { SHIM_PROCESS, SHIM_PIPE, SHIM_NODE, SHIM_MEMORY, SHIM_SHORTAGES };

/* test/fault/plan.py knows this layout. */
struct shim_plan {
    _Atomic int64_t countdown[SHIM_KINDS];
    _Atomic int64_t failed[SHIM_KINDS];
    _Atomic int64_t calls[SHIM_KINDS];
    _Atomic int64_t delay_us[SHIM_KINDS];
    _Atomic int64_t clock_s;
    _Atomic int64_t shortage[SHIM_SHORTAGES];
    _Atomic int64_t spared[SHIM_SHORTAGES]; /* so many of each process succeed */
    _Atomic int64_t write_error;            /* 0: ENOSPC; SHIM_HALF: none, half of it is written */
};

static struct shim_plan *shim_plan;

/* dlsym allocates before malloc is known: those few bytes come from here, and are never given back. */
static char shim_first[64 * 1024];
static size_t shim_first_used;

__attribute__((constructor)) static void shim_start(void)
{
    char path[4096];
    const char *dir = getenv("PLATOON_SHIM_DIR");
    if (dir == NULL)
        return;
    snprintf(path, sizeof path, "%s/%s", dir, program_invocation_short_name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return; /* no plan for this program */
    void *plan = mmap(NULL, sizeof *shim_plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (plan != MAP_FAILED)
        shim_plan = plan;
}

/* Counts one call. True when it is the one that fails. */
static int shim_fails(enum shim_kind kind)
{
    if (shim_plan == NULL)
        return 0;
    atomic_fetch_add(&shim_plan->calls[kind], 1);
    int64_t delay = atomic_load(&shim_plan->delay_us[kind]);
    if (delay > 0)
        usleep((useconds_t)delay);
    if (atomic_load(&shim_plan->countdown[kind]) <= 0 ||
        atomic_fetch_sub(&shim_plan->countdown[kind], 1) != 1)
        return 0;
    atomic_fetch_add(&shim_plan->failed[kind], 1);
    return 1;
}

#define SHIM_NEXT(name)                                                                            \
    static __typeof__(name) *next;                                                                 \
    if (next == NULL)                                                                              \
    next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* ---- memory ---- */

static void *shim_from_first(size_t size)
{
    size_t at = (shim_first_used + 15) & ~(size_t)15;
    if (at + size > sizeof shim_first)
        return NULL;
    shim_first_used = at + size;
    return shim_first + at;
}

static int shim_is_first(const void *p)
{
    return (const char *)p >= shim_first && (const char *)p < shim_first + sizeof shim_first;
}

static int shim_no_memory(size_t size)
{
    int64_t most = shim_plan != NULL ? atomic_load(&shim_plan->shortage[SHIM_MEMORY]) : 0;
    bool large = most > 0 && size >= (size_t)most;
    if (!large && !shim_fails(SHIM_ALLOC))
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    SHIM_NEXT(malloc);
    return shim_no_memory(size) ? NULL : next(size);
}

void *calloc(size_t count, size_t size)
{
    static int looking;
    static __typeof__(calloc) *next;
    if (next == NULL && looking)
        return shim_from_first(count * size); /* static, hence zero */
    if (next == NULL) {
        looking = 1;
        next = (__typeof__(calloc) *)dlsym(RTLD_NEXT, "calloc");
    }
    return shim_no_memory(count * size) ? NULL : next(count, size);
}

void *realloc(void *p, size_t size)
{
    SHIM_NEXT(realloc);
    return shim_no_memory(size) ? NULL : next(p, size);
}

void free(void *p)
{
    SHIM_NEXT(free);
    if (!shim_is_first(p))
        next(p);
}

/* ---- descriptors ---- */

/* What becomes of a write. */
enum shim_write { SHIM_WHOLE, SHIM_PART, SHIM_NONE };

/* Whether this write is the one that fails, with errno set for what fd is. */
static enum shim_write shim_no_write(int fd)
{
    struct stat st;
    if (shim_plan == NULL || fstat(fd, &st) != 0)
        return SHIM_WHOLE;
    if (S_ISREG(st.st_mode) && shim_fails(SHIM_WRITE)) {
        int64_t error = atomic_load(&shim_plan->write_error);
        errno = error > 0 ? (int)error : ENOSPC;
        return error == SHIM_HALF ? SHIM_PART : SHIM_NONE;
    }
    if (S_ISSOCK(st.st_mode) && shim_fails(SHIM_SEND)) {
        errno = ECONNRESET;
        return SHIM_NONE;
    }
    return SHIM_WHOLE;
}

/* So much of `size` is written; of what has no half, nothing is. */
static size_t shim_length(enum shim_write how, size_t size)
{
    return how == SHIM_WHOLE ? size : how == SHIM_PART ? size / 2 : 0;
}

ssize_t write(int fd, const void *data, size_t size)
{
    SHIM_NEXT(write);
    enum shim_write how = shim_no_write(fd);
    size_t len = shim_length(how, size);
    return how != SHIM_WHOLE && len == 0 ? -1 : next(fd, data, len);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    SHIM_NEXT(writev);
    return shim_no_write(fd) != SHIM_WHOLE ? -1 : next(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    SHIM_NEXT(pwrite64);
    enum shim_write how = shim_no_write(fd);
    size_t len = shim_length(how, size);
    return how != SHIM_WHOLE && len == 0 ? -1 : next(fd, data, len, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    SHIM_NEXT(pwrite);
    enum shim_write how = shim_no_write(fd);
    size_t len = shim_length(how, size);
    return how != SHIM_WHOLE && len == 0 ? -1 : next(fd, data, len, at);
}

ssize_t send(int fd, const void *data, size_t size, int flags)
{
    SHIM_NEXT(send);
    return shim_no_write(fd) != SHIM_WHOLE ? -1 : next(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    SHIM_NEXT(sendmsg);
    return shim_no_write(fd) != SHIM_WHOLE ? -1 : next(fd, message, flags);
}

int fsync(int fd)
{
    SHIM_NEXT(fsync);
    if (!shim_fails(SHIM_SYNC))
        return next(fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    SHIM_NEXT(fdatasync);
    if (!shim_fails(SHIM_SYNC))
        return next(fd);
    errno = EIO;
    return -1;
}

/* ---- the wall clock ---- */

static int64_t shim_clock(void)
{
    return shim_plan != NULL ? atomic_load(&shim_plan->clock_s) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    SHIM_NEXT(clock_gettime);
    int rc = next(clock, t);
    if (rc == 0 && clock == CLOCK_REALTIME)
        t->tv_sec += shim_clock();
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    SHIM_NEXT(gettimeofday);
    int rc = next(t, zone);
    if (rc == 0)
        t->tv_sec += shim_clock();
    return rc;
}

time_t time(time_t *out)
{
    SHIM_NEXT(time);
    time_t now = next(NULL) + shim_clock();
    if (out != NULL)
        *out = now;
    return now;
}

/* ---- a shortage of the machine's ---- */

static int shim_is_short(enum shim_shortage of)
{
    static _Atomic int64_t calls[SHIM_SHORTAGES];
    int64_t error = shim_plan != NULL ? atomic_load(&shim_plan->shortage[of]) : 0;
    if (error != 0 && atomic_fetch_add(&calls[of], 1) < atomic_load(&shim_plan->spared[of]))
        return 0;
    if (error != 0)
        errno = (int)error;
    return error != 0;
}

pid_t fork(void)
{
    SHIM_NEXT(fork);
    return shim_is_short(SHIM_PROCESS) ? -1 : next();
}

pid_t _Fork(void)
{
    SHIM_NEXT(_Fork);
    return shim_is_short(SHIM_PROCESS) ? -1 : next();
}

/* The three that may follow are pointers; who gives fewer flags does not have them read. */
int clone(int (*run)(void *), void *stack, int flags, void *arg, ...)
{
    SHIM_NEXT(clone);
    va_list more;
    va_start(more, arg);
    void *first = va_arg(more, void *), *second = va_arg(more, void *),
         *third = va_arg(more, void *);
    va_end(more);
    return shim_is_short(SHIM_PROCESS) ? -1 : next(run, stack, flags, arg, first, second, third);
}

int pipe2(int ends[2], int flags)
{
    SHIM_NEXT(pipe2);
    return shim_is_short(SHIM_PIPE) ? -1 : next(ends, flags);
}

int socket(int domain, int type, int protocol)
{
    SHIM_NEXT(socket);
    return shim_is_short(SHIM_PIPE) ? -1 : next(domain, type, protocol);
}

int socketpair(int domain, int type, int protocol, int ends[2])
{
    SHIM_NEXT(socketpair);
    return shim_is_short(SHIM_PIPE) ? -1 : next(domain, type, protocol, ends);
}

int mknod(const char *path, mode_t mode, dev_t device)
{
    SHIM_NEXT(mknod);
    return shim_is_short(SHIM_NODE) ? -1 : next(path, mode, device);
}
