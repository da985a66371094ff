/*
 * fuzz_job_settings.c: what a platform says (workers/jobs/job_platform.h) and takes (job_settings.h), a NUL, what is
 * given.
 */
#include "workers/jobs/job_platform.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    const unsigned char *end = memchr(data, '\0', size);
    size_t first = end != NULL ? (size_t)(end - data) : size;
    size_t second = end != NULL ? size - first - 1 : 0;
    json_t *spec = json_loadb((const char *)data, first, 0, NULL);
    json_t *given = json_loadb((const char *)data + size - second, second, JSON_DECODE_ANY, NULL);
    struct job_settings *s = NULL;
    struct buffer why = BUFFER_EMPTY;
    json_t *values = NULL;
    struct job_platform_spec read;
    if (spec != NULL && job_platform_read_spec(spec, &read, &why) == 0)
        job_platform_spec_fini(&read);
    else if (spec != NULL && why.len == 0)
        abort();
    buffer_clear(&why);
    if (spec != NULL && job_settings_new(spec, &s, &why) == 0) {
        json_decref(job_settings_describe(s));
        if (job_settings_read(s, given, NULL, 1795861440, &values, &why) == 0) {
            json_decref(job_settings_mask(s, values));
            json_decref(values);
        } else if (why.len == 0 || why.len > JOB_SETTINGS_WHY_MAX) {
            abort();
        }
        job_settings_free(s);
    }
    buffer_fini(&why);
    json_decref(spec);
    json_decref(given);
    return 0;
}
