/*
 * command.c: the command worker: any program under the contract of a worker: those of program sections, and
 * the private redis-server.
 *
 * The program shares our process group and our stderr, is ready when program_ready.c says so, gets its stop signal
 * at STOP and dies with us whatever happens. When it exits by itself, so do we: the master decides what that
 * means. No mailbox, no thread.
 */
#include "workers/program/program_run.h"

static int command_prepare(struct worker *w, void *state)
{
    program_life_begin(state, w, NULL);
    return 0;
}

static void command_on_request(struct worker *w, void *state, const struct link_request *request)
{
    if (!program_life_answer(state, request))
        worker_reply_text(w, request->id, CONTROL_USAGE, "it understands: signal NUMBER");
}

static void command_on_tick(struct worker *w, void *state)
{
    (void)w;
    program_life_tick(state);
}

static void command_drain(struct worker *w, void *state)
{
    (void)w;
    program_life_stop(state);
}

static void command_fini(struct worker *w, void *state)
{
    (void)w;
    program_life_end(state);
}

const struct worker_ops worker_ops = {
    .type = "command",
    .state_size = sizeof(struct program_life),
    .prepare = command_prepare,
    .on_request = command_on_request,
    .on_tick = command_on_tick,
    .drain = command_drain,
    .fini = command_fini,
};
