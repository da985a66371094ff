/* job_functions.c: which queues of RQ a section runs functions of. See job_functions.h. */
#include "workers/jobs/job_functions.h"

static const char blanks[] = " \t";

const char *job_functions_names(struct worker *w)
{
    const char *names = worker_setting(w, "jobs.python.functions");
    return names != NULL ? names : "";
}

struct slice job_functions_next(const char **at)
{
    const char *from = *at + strspn(*at, blanks);
    size_t len = strcspn(from, blanks);
    *at = from + len;
    return slice_make(from, len);
}

bool job_functions_has(struct worker *w, struct slice queue)
{
    const char *at = job_functions_names(w);
    for (struct slice name; (name = job_functions_next(&at)).len > 0;)
        if (slice_equal(name, queue))
            return true;
    return false;
}
