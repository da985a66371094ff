/* fault.c: fault points of the test build. See fault.h. */
#include "common/fault.h"

#ifdef PLATOON_FAULTS

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FAULT_TEXT_MAX 1024

enum fault_kind { FAULT_NONE, FAULT_KILL, FAULT_STALL, FAULT_ERROR };

/* The words of a fault file: what to do, perhaps "always", perhaps details it is limited to. */
struct fault_order {
    enum fault_kind kind;
    bool always;
    bool limited;
    bool matches;
};

static struct fault_order fault_read(char *text, struct slice detail)
{
    struct fault_order order = {0};
    char *save = NULL;
    for (char *word = strtok_r(text, " \n", &save); word != NULL;
         word = strtok_r(NULL, " \n", &save)) {
        if (strcmp(word, "kill") == 0) {
            order.kind = FAULT_KILL;
        } else if (strcmp(word, "stall") == 0) {
            order.kind = FAULT_STALL;
        } else if (strcmp(word, "error") == 0) {
            order.kind = FAULT_ERROR;
        } else if (strcmp(word, "always") == 0) {
            order.always = true;
        } else {
            order.limited = true;
            order.matches = order.matches || slice_is(detail, word);
        }
    }
    return order;
}

bool fault_point(const char *name, struct slice detail)
{
    const char *dir = getenv("PLATOON_FAULT_DIR");
    if (dir == NULL)
        return false;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char text[FAULT_TEXT_MAX];
    size_t len = fread(text, 1, sizeof text - 1, file);
    text[len] = '\0';
    fclose(file);

    struct fault_order order = fault_read(text, detail);
    if (order.kind == FAULT_NONE || (order.limited && !order.matches))
        return false;
    /* unlink decides between several workers at the same point: only one of them may take a single order. */
    if (!order.always && unlink(path) != 0)
        return false;
    fprintf(stderr, "<4>fault-point name=%s\n", name);
    if (order.kind == FAULT_KILL)
        raise(SIGKILL);
    while (order.kind == FAULT_STALL)
        pause();
    return true;
}

#endif
