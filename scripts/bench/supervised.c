/*
 * supervised.c: what every supervisor of scripts/bench/supervision runs: it writes its number, its pid and the time
 * into the file named by its first argument, and waits to be killed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct timespec now;
    char line[64];
    if (argc < 3)
        return 2;
    clock_gettime(CLOCK_MONOTONIC, &now);
    int fd = open(argv[1], O_WRONLY | O_APPEND | O_CLOEXEC);
    int n = snprintf(line, sizeof line, "%s %d %lld\n", argv[2], (int)getpid(),
                     (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    if (fd < 0 || write(fd, line, (size_t)n) != n)
        return 1;
    for (;;)
        pause();
}
