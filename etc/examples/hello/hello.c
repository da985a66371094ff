/* hello.c: a worker type of your own: it answers `platoonctl send hello.1 '"anything"'`. */
#include <platoon/worker.h>

static void hello_on_request(struct worker *w, void *state, const struct link_request *request)
{
    (void)state;
    const char *greeting = worker_setting_text(w, "own.greeting");
    worker_reply_text(w, request->id, CONTROL_OK, "%s from %s", greeting, worker_name(w));
}

const struct worker_ops worker_ops = {.type = "hello", .on_request = hello_on_request};
