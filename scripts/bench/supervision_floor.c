/*
 * supervision_floor.c: the least a supervisor can do: posix_spawn N times, and again for each that dies. Nothing is
 * watched, limited, logged or ordered. What scripts/bench/supervision measures everybody against.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char **children_argv;
static pid_t *pids;

static void spawn(int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number + 1);
    char *argv[] = {children_argv[0], children_argv[1], text, NULL};
    char *environment[] = {NULL};
    if (posix_spawn(&pids[number], argv[0], NULL, NULL, argv, environment) != 0)
        exit(1);
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[3]) : 0;
    children_argv = argv + 1;
    pids = calloc((size_t)count + 1, sizeof *pids);
    if (count < 1 || pids == NULL)
        return 2;
    for (int i = 0; i < count; i++)
        spawn(i);
    for (;;) {
        pid_t gone = waitpid(-1, NULL, 0);
        if (gone < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < count; i++)
            if (pids[i] == gone)
                spawn(i);
    }
}
