/*
 * config_check_jobs.c: what is wrong with jobs sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/listen_address.h"
#include "common/time/zone.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"
#include "proto/contract.h"
#include "common/job_queue.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#define JOBS_FUNCTIONS_MAX 40 /* the keeper's WATCH_QUEUES */

/* Names that RQ's clients take too, and that no colon of a key cuts. */
static void jobs_check_name(const struct config_section *s, const char *key, const char *name,
                            size_t len, struct config_errors *errors)
{
    bool plain = len > 0 && len <= 100;
    for (size_t i = 0; plain && i < len; i++)
        plain = isalnum((unsigned char)name[i]) || strchr("_-.", name[i]) != NULL;
    if (!plain)
        config_errors_add(errors, config_check_line(s, key),
                          "%s: '%.*s' is no name of a queue: 1 to 100 letters, digits, _, - and .",
                          key, (int)len, name);
}

static void jobs_check_queue(const struct config_section *s, struct config_errors *errors)
{
    char why[512];
    struct template *t = NULL;
    if (config_check_broken(s, "queue"))
        return;
    int rc = job_queue_compile(config_get(s, "queue"), &t, why, sizeof why);
    if (rc == -EINVAL)
        config_errors_add(errors, config_check_line(s, "queue"), "queue: %s", why);
    else if (rc != 0)
        errors->failed = true;
    template_free(t);
}

/* Whether `name` is one of the words of `words`. */
static bool jobs_has_word(const char *words, const char *name, size_t len)
{
    for (const char *at = words + strspn(words, " \t"); *at != '\0';) {
        size_t length = strcspn(at, " \t");
        if (length == len && strncmp(at, name, len) == 0)
            return true;
        at += length + strspn(at + length, " \t");
    }
    return false;
}

/* Whether a queue, or what its template makes, may have this name. */
static bool jobs_may_make(const char *queue, const char *name, size_t len)
{
    char scope[JOB_QUEUE_SIZE], one[JOB_QUEUE_SIZE];
    job_queue_scope(queue, scope);
    return slice_copy(slice_make(name, len), one, sizeof one) && job_queue_scopes_meet(scope, one);
}

/* The section before this one that has this queue too, in the same Redis; NULL: none. */
static const struct config_section *
jobs_also_has(const struct config *c, const struct config_section *s, const char *name, size_t len)
{
    const struct config_section *other;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_JOBS, i)) != NULL; i++)
        if (other != s && !config_check_broken(other, "queue") &&
            !config_check_broken(other, "redis") && !config_check_broken(s, "redis") &&
            strcmp(config_get(other, "redis"), config_get(s, "redis")) == 0 &&
            (jobs_may_make(config_get(other, "queue"), name, len) ||
             jobs_has_word(config_get(other, "python.functions"), name, len)))
            return other;
    return NULL;
}

/* What they stand for: RQ's queues, each of one section alone, whose keeper waits for it. */
static void jobs_check_functions(const struct config *c, const struct config_section *s,
                                 struct config_errors *errors)
{
    const char *names =
        config_check_broken(s, "python.functions") ? "" : config_get(s, "python.functions");
    unsigned line = config_check_line(s, "python.functions");
    size_t count = 0;
    for (const char *at = names + strspn(names, " \t"); *at != '\0'; count++) {
        size_t len = strcspn(at, " \t");
        const struct config_section *other = jobs_also_has(c, s, at, len);
        jobs_check_name(s, "python.functions", at, len, errors);
        if (other != NULL)
            config_errors_add(errors, line,
                              "python.functions: jobs %s has the queue %.*s too, in the same "
                              "Redis: name it in one of them",
                              config_title(other), (int)len, at);
        at += len + strspn(at + len, " \t");
    }
    if (count > JOBS_FUNCTIONS_MAX)
        config_errors_add(errors, line,
                          "python.functions: %zu queues are more than %d: make a second section",
                          count, JOBS_FUNCTIONS_MAX);
}

static void jobs_check_numbers(const struct config_section *s, const char *key, unsigned least,
                               struct config_errors *errors)
{
    char why[256];
    if (!config_check_broken(s, key) &&
        job_queue_numbers_check(config_get(s, key), least, why, sizeof why) != 0)
        config_errors_add(errors, config_check_line(s, key), "%s: %s", key, why);
}

static void jobs_check_timezone(const struct config_section *s, struct config_errors *errors)
{
    struct zone *zone;
    const char *name = config_check_broken(s, "timezone") ? "" : config_get(s, "timezone");
    int rc = name[0] != '\0' ? zone_load(name, &zone) : -ENOMEM;
    if (rc == 0)
        zone_free(zone);
    else if (rc != -ENOMEM)
        config_errors_add(errors, config_check_line(s, "timezone"),
                          "timezone: there is no zone '%s': name one of tzdata's, such as "
                          "Europe/Berlin or UTC",
                          name);
}

/* Whose address is taken already: platoon's, or that of a section before this one. NULL: nobody's. */
static const struct config_section *jobs_listens_too(const struct config *c,
                                                     const struct config_section *s,
                                                     const struct listen_address *address)
{
    const struct config_section *other;
    struct listen_address taken;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_JOBS, i)) != NULL && other != s; i++)
        if (!config_check_broken(other, "listen") &&
            listen_address_parse(config_get(other, "listen"), &taken) == 0 &&
            listen_address_meets(&taken, address))
            return other;
    return NULL;
}

/* Who may connect may run platforms: without a token that is for this machine only. */
static void jobs_check_listen(const struct config *c, const struct config_section *s,
                              struct config_errors *errors)
{
    struct listen_address address;
    const char *text = config_check_broken(s, "listen") ? "" : config_get(s, "listen");
    const struct config_section *other;
    unsigned line = config_check_line(s, "listen");
    if (text[0] == '\0')
        return;
    if (listen_address_parse(text, &address) != 0)
        config_errors_add(errors, line,
                          "listen: '%s' is no address: 127.0.0.1:9041, [::1]:9041 or "
                          "unix:/run/platoon/jobs.sock",
                          text);
    else if (!address.loopback && config_get(s, "token_file")[0] == '\0')
        config_errors_add(errors, line,
                          "listen: %s can be reached from other machines: name a token_file, or "
                          "listen on 127.0.0.1, [::1] or unix:",
                          text);
    else if ((other = jobs_listens_too(c, s, &address)) != NULL)
        config_errors_add(errors, line, "listen: jobs %s listens there too: each needs its own",
                          config_title(other));
}

/* SCHEME://HOST[:PORT], as browsers say it: no path, and no slash at its end. */
static void jobs_check_cors(const struct config_section *s, struct config_errors *errors)
{
    const char *text = config_check_broken(s, "cors") ? "" : config_get(s, "cors");
    const char *host = strstr(text, "://");
    bool origin = host != NULL && host != text && host[3] != '\0' &&
                  host[3 + strcspn(host + 3, "/ \t\r\n,")] == '\0';
    for (const char *c = text; origin && c < host; c++)
        origin = isalnum((unsigned char)*c) || strchr("+-.", *c) != NULL;
    if (text[0] != '\0' && strcmp(text, "*") != 0 && !origin)
        config_errors_add(errors, config_check_line(s, "cors"),
                          "cors: '%s' is no origin: https://desk.example, http://localhost:8080, "
                          "or * for any",
                          text);
}

/* Two sections of one queue would claim each other's jobs, whose platforms they need not have. */
static bool jobs_queues_meet(const struct config_section *one, const struct config_section *other)
{
    char scopes[2][JOB_QUEUE_SIZE];
    if (config_check_broken(one, "queue") || config_check_broken(one, "redis") ||
        strcmp(config_get(one, "redis"), config_get(other, "redis")) != 0)
        return false;
    job_queue_scope(config_get(one, "queue"), scopes[0]);
    job_queue_scope(config_get(other, "queue"), scopes[1]);
    return job_queue_scopes_meet(scopes[0], scopes[1]);
}

static void jobs_check_alone(const struct config *c, const struct config_section *s,
                             struct config_errors *errors)
{
    const struct config_section *other;
    if (config_check_broken(s, "queue") || config_check_broken(s, "redis"))
        return;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_JOBS, i)) != NULL && other != s; i++)
        if (jobs_queues_meet(other, s)) {
            config_errors_add(
                errors, config_check_line(s, "queue"),
                "queue: jobs %s has the same in the same Redis: give each its own, or "
                "make one of both",
                config_title(other));
            return;
        }
}

static void jobs_check_store(const struct config *c, const struct config_section *s,
                             struct config_errors *errors)
{
    const char *type = config_check_named(c, s, "store", CONFIG_STORE, "type");
    if (strcmp(type, "file") == 0 || strcmp(type, "s3") == 0)
        config_errors_add(
            errors, config_check_line(s, "store"),
            "store: %s is of type %s, which keeps a cache's objects and no rows: name "
            "a store of type sqlite or postgres",
            config_get(s, "store"), type);
}

void config_check_jobs(const struct config *c, const struct config_section *s,
                       struct config_errors *errors)
{
    char path[2 * CONTRACT_NAME_MAX];
    jobs_check_queue(s, errors);
    jobs_check_numbers(s, "weights", 0, errors);
    jobs_check_numbers(s, "limits", 1, errors);
    jobs_check_alone(c, s, errors);
    jobs_check_functions(c, s, errors);
    jobs_check_timezone(s, errors);
    jobs_check_listen(c, s, errors);
    jobs_check_cors(s, errors);
    jobs_check_store(c, s, errors);
    config_check_order(s, "retry_min", "retry_max", errors);
    snprintf(path, sizeof path, "jobs/%s", config_title(s));
    config_check_path(c, s, path, errors);
}
