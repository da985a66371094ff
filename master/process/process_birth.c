/*
 * process_birth.c: how a worker's process comes to be: what is executed, whether there is room for it, and why it could
 * not begin. See process.h.
 *
 * Runs in the master. What it is watched by afterwards is process.c's.
 */
#include "master/process/process_private.h"

#include "common/cgroup.h"
#include "common/clock.h"
#include "common/exec_fault.h"
#include "master/process/seed.h"
#include "master/process/spawn.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* More than that a birth costs no owner of a child. */
#define PROCESS_BIRTH_MAX_US 5000

/* For so many milliseconds behind a look that found room for a mailbox, the next one is not looked for. */
#define PROCESS_ROOM_MS 10

/*
 * A mailbox is an inode in runtime_dir, which its worker makes: whether there is room for one is asked here, before a
 * worker is born only to die of it. 0, or a negative errno.
 */
static int process_has_room(void)
{
    char path[4096];
    int len = snprintf(path, sizeof path, "%s/mbox/.room", process_context.settings.runtime_dir);
    if (len < 0 || (size_t)len >= sizeof path)
        return 0;
    int rc = mknod(path, S_IFSOCK | 0600, 0) == 0 ? 0 : -errno;
    unlink(path);
    return contract_is_shortage(-rc) ? rc : 0; /* of anything else its worker speaks */
}

/* Helpers of programs: they come by the thousand. One's own workers are executed: their start is their own. */
static bool process_has_seed(const struct node *n)
{
    return worker_type_record(n->type)->runs == WORKER_RUNS_PROGRAM && n->executable == NULL;
}

/*
 * Of a thousand that start or come back at once not each is asked for: to make and unlink a name is an eighth of what a
 * birth costs the master.
 */
static int process_has_room_for(const struct node *n)
{
    static uint64_t had_room_ms;
    uint64_t now = clock_mono_ms();
    if (process_has_seed(n) && now - had_room_ms <= PROCESS_ROOM_MS)
        return 0;
    int rc = process_has_room();
    had_room_ms = rc == 0 ? now : 0;
    return rc;
}

static void process_forget_last_life(struct node *n)
{
    node_counters_clear(&n->counters);
    n->doing[0] = '\0';
    n->trouble[0] = '\0';
    n->address[0] = '\0';
    n->proves = false;
}

/* The file that is executed; what CONTRACT_ENTER leads to is executed by that one. */
static void process_program(const struct node *n, char program[PATH_MAX])
{
    if (n->executable != NULL && !n->enters)
        snprintf(program, PATH_MAX, "%s", n->executable);
    else
        snprintf(program, PATH_MAX, "%s/%s", process_context.settings.libexec_dir,
                 worker_type_program(n->type));
}

/* The only place that a birth writes to is that of the mailboxes: what else is full is no disk. */
static void process_explain_shortage(int error, struct buffer *out)
{
    char place[PATH_MAX], text[PATH_MAX + 64];
    snprintf(place, sizeof place, "%s/mbox", process_context.settings.runtime_dir);
    buffer_printf(out, "%s: %s", strerror(error),
                  process_has_room() == -error
                      ? contract_shortage_remedy_at(error, place, text, sizeof text)
                      : contract_shortage_remedy(error));
}

void process_explain(const struct node *n, int error, struct buffer *out)
{
    char program[PATH_MAX];
    if (contract_is_shortage(error)) {
        process_explain_shortage(error, out);
        return;
    }
    process_program(n, program);
    buffer_printf(out, "%s: ", program);
    if (error == ENOENT && access("/dev/null", F_OK) != 0)
        buffer_append_text(out,
                           "it needs /dev/null, which is not there: mknod -m 666 /dev/null c 1 3");
    else
        exec_fault_say(program, error,
                       n->executable != NULL ? "is it installed? Or correct `command`"
                                             : "is all of platoon installed?",
                       out);
}

static int process_begin(struct node *n)
{
    struct process *p = calloc(1, sizeof *p);
    if (p == NULL)
        return -ENOMEM;
    char program[PATH_MAX], group[CGROUP_PATH_SIZE];
    process_program(n, program);
    struct spawn_request request = {.program = program,
                                    .type = strrchr(program, '/') + 1,
                                    .enter = n->enters ? n->executable : NULL,
                                    .name = n->name,
                                    .log_level = n->log_level,
                                    .generation = n->generation + 1};
    struct spawn_result born;
    if (process_group(n, group))
        p->oom_kills = cgroup_renew(group);
    p->node = n;
    int rc = process_has_room_for(n);
    if (rc == 0)
        rc = process_has_seed(n) ? seed_spawn(process_context.loop, n->type, &request, &born)
                                 : spawn_worker(&request, &born);
    if (rc == 0)
        rc = process_watch(p, &born);
    if (rc != 0) {
        free(p);
        return rc;
    }
    n->generation++;
    n->started_ms = clock_mono_ms();
    process_forget_last_life(n);
    n->process = p;
    /*
     * Of a seed's we know already what HELLO says, and a thousand would each wait for the master to hear it. For
     * CONTRACT_ENTER, which is told again itself at its HELLO.
     */
    p->configured = born.forked;
    if (n->enters || p->configured)
        process_configure(p);
    return 0;
}

/* The wall's time: we sleep until the newborn is another program. What a busy machine adds is not its owner's doing. */
int process_spawn(struct node *n)
{
    uint64_t before = uv_hrtime();
    int rc = process_begin(n);
    uint64_t us = (uv_hrtime() - before) / 1000;
    process_charge_owner(n, us < PROCESS_BIRTH_MAX_US ? us : PROCESS_BIRTH_MAX_US);
    return rc;
}
