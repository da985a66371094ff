/*
 * fuzz_job_say.c: what a job says (workers/jobs/sanjer_say.c): a program's stdout, with its lines between its output,
 * and a child's stream, whole and in pieces.
 *
 * The file is compiled into this one, over a worker that only pretends. Whatever is said, what is kept of it is
 * bounded, and a secret is not in it.
 */
#include "workers/jobs/sanjer_say.c"

#define SECRET "hunter2222"
#define KEEP   256u
#define SET    512u

static unsigned over, stores;

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* ---- the worker ---- */

void worker_exit(struct worker *w, enum contract_exit code, const char *format, ...)
{
    (void)w;
    (void)code;
    (void)format;
    abort();
}

void sanjer_run_over(struct sanjer_run *run, const json_t *end)
{
    (void)run;
    over += json_is_object(end);
}

void sanjer_store_take(struct sanjer_run *run, json_t *store)
{
    (void)run;
    if (!json_is_object(store))
        abort();
    stores++;
}

/* What functions of RQ's say is read by their own file (sanjer_function.c). */
void sanjer_function_say(struct sanjer_run *run, const json_t *said)
{
    (void)run;
    (void)said;
}

/* ---- what holds ---- */

static void no_secret(const char *text, size_t len)
{
    if (memmem(text, len, SECRET, strlen(SECRET)) != NULL)
        abort();
}

static void check(const struct sanjer_run *run)
{
    char *meta = json_dumps(run->meta, JSON_COMPACT);
    struct slice kept = sanjer_say_kept(run);
    if (run->output.len > 2 * KEEP || kept.len > KEEP || !json_is_object(run->meta) || meta == NULL)
        abort();
    if (run->meta_size > SET)
        abort();
    if (run->progress != -1 && !(run->progress >= 0 && run->progress <= 1))
        abort();
    if (run->output.len > 0)
        no_secret(run->output.data, run->output.len);
    for (size_t i = 0; i < 2; i++)
        if (run->held[i].len >= strlen(SECRET))
            abort();
    no_secret(meta, strlen(meta));
    no_secret(run->raised, strlen(run->raised));
    if (run->traceback != NULL)
        no_secret(run->traceback, strlen(run->traceback));
    free(meta);
}

/* The first byte says whose stream it is, and in what pieces it comes. */
static void say(struct slice bytes, bool child, size_t piece)
{
    struct sanjer s = {.output_keep = KEEP, .dataset_max = SET};
    struct sanjer_run run = {.s = &s, .progress = -1, .said_fd = child ? 3 : -1};
    json_t *secrets = json_pack("{s:s}", "password", SECRET);
    run.meta = json_object();
    if (secrets == NULL || run.meta == NULL || job_mask_new(secrets, &run.mask) != 0)
        abort();
    while (bytes.len > 0) {
        struct slice part = slice_make(bytes.ptr, piece < bytes.len ? piece : bytes.len);
        bytes = slice_make(bytes.ptr + part.len, bytes.len - part.len);
        if (child)
            sanjer_say_child(&run, part);
        else
            sanjer_say_out(&run, part);
        check(&run);
        sanjer_say_output(&run, SANJER_ERR, part); /* between its pieces */
        check(&run);
    }
    sanjer_say_ended(&run);
    sanjer_say_no_more(&run);
    check(&run);
    if (run.line.len > 0)
        abort();
    job_mask_free(run.mask);
    json_decref(secrets);
    json_decref(run.meta);
    json_decref(run.result);
    free(run.traceback);
    buffer_fini(&run.line);
    buffer_fini(&run.output);
    buffer_fini(&run.held[SANJER_OUT]);
    buffer_fini(&run.held[SANJER_ERR]);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size == 0)
        return 0;
    struct slice bytes = slice_make(data + 1, size - 1);
    say(bytes, data[0] & 1, data[0] / 2 == 0 ? size : data[0] / 2);
    return 0;
}
