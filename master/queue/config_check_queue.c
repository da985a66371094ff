/*
 * config_check_queue.c: what is wrong with backbone and queue sections, and with whom a program takes from. See
 * config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/template.h"
#include "common/words.h"
#include "master/config/config_check_key.h"
#include "master/queue/queue_backbone.h"
#include "master/queue/queue_listens.h"
#include "master/queue/queue_servers.h"
#include "master/queue/queue_takes.h"
#include "master/systems_config.h"
#include "proto/contract.h"
#include "proto/queue/queue_pattern.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

/* ---- backbone ---- */

/* Keys of a namespace are N and more; a cluster takes the first {tag} of them. */
#define NAMESPACE_MAX 100

static void backbone_check_namespace(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "namespace"))
        return;
    const char *name = config_get(s, "namespace");
    bool plain = true;
    for (const char *c = name; *c != '\0'; c++)
        plain = plain && isgraph((unsigned char)*c);
    unsigned line = config_check_line(s, "namespace");
    if (strlen(name) > NAMESPACE_MAX || !plain)
        config_errors_add(errors, line,
                          "namespace: must be at most %d letters, without blanks: shop, or {shop} "
                          "for a cluster",
                          NAMESPACE_MAX);
    else if (name[0] != '\0' && name[strlen(name) - 1] == ':')
        config_errors_add(errors, line, "namespace: '%s' has its colon from us: write it without",
                          name);
    else if (strcmp(name, "platoon") == 0)
        config_errors_add(errors, line,
                          "namespace: platoon's own keys begin so: choose another name");
}

static void backbone_check_template(const struct config_section *s, const char *key,
                                    struct config_errors *errors)
{
    char why[256];
    struct template *t = NULL;
    if (config_check_broken(s, key))
        return;
    int rc = template_compile(config_get(s, key), &t, why, sizeof why);
    if (rc == -EINVAL)
        config_errors_add(errors, config_check_line(s, key), "%s: %s", key, why);
    else if (rc != 0)
        errors->failed = true;
    template_free(t);
}

/* ---- its servers ---- */

static bool servers_have(const char *servers, struct slice title)
{
    struct slice word;
    while ((servers = queue_servers_word(servers, &word)) != NULL)
        if (slice_equal(word, title))
            return true;
    return false;
}

static void backbone_check_server(const struct config *c, const struct config_section *s,
                                  struct slice word, bool again, struct config_errors *errors)
{
    char title[CONTRACT_NAME_MAX];
    unsigned line = config_check_line(s, "redis");
    if (again)
        config_errors_add(errors, line, "redis: %.*s stands there twice", (int)word.len, word.ptr);
    else if (!slice_copy(word, title, sizeof title) ||
             config_section_find(c, CONFIG_REDIS, title) == NULL)
        config_errors_add(errors, line, "redis: there is no redis section named %.*s",
                          (int)word.len, word.ptr);
}

static void backbone_check_servers(const struct config *c, const struct config_section *s,
                                   struct config_errors *errors)
{
    struct slice word;
    size_t count = 0;
    if (config_check_broken(s, "redis"))
        return;
    for (const char *at = config_get(s, "redis"); (at = queue_servers_word(at, &word)) != NULL;
         count++)
        backbone_check_server(c, s, word, servers_have(at, word), errors);
    if (count == 0 || count > QUEUE_SERVERS_MAX)
        config_errors_add(errors, config_check_line(s, "redis"),
                          "redis: must be 1 to %d names of redis sections", QUEUE_SERVERS_MAX);
}

static bool servers_shared(const struct config_section *s, const struct config_section *other)
{
    struct slice word;
    for (const char *at = config_get(s, "redis"); (at = queue_servers_word(at, &word)) != NULL;)
        if (servers_have(config_get(other, "redis"), word))
            return true;
    return false;
}

/* Two that are one would give each other's messages out. */
static void backbone_check_alone(const struct config *c, const struct config_section *s,
                                 struct config_errors *errors)
{
    const struct config_section *other;
    if (config_check_broken(s, "namespace") || config_check_broken(s, "redis"))
        return;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_BACKBONE, i)) != NULL && other != s;
         i++)
        if (!config_check_broken(other, "namespace") && !config_check_broken(other, "redis") &&
            strcmp(config_get(other, "namespace"), config_get(s, "namespace")) == 0 &&
            servers_shared(s, other)) {
            config_errors_add(errors, config_check_line(s, "namespace"),
                              "namespace: backbone %s has the same in the same Redis: give each "
                              "its own, or make one of both",
                              config_title(other));
            return;
        }
}

void config_check_backbone(const struct config *c, const struct config_section *s,
                           struct config_errors *errors)
{
    char path[2 * CONTRACT_NAME_MAX];
    backbone_check_namespace(s, errors);
    backbone_check_template(s, "topic", errors);
    backbone_check_template(s, "facet", errors);
    backbone_check_servers(c, s, errors);
    backbone_check_alone(c, s, errors);
    snprintf(path, sizeof path, "queue/%s", config_title(s));
    config_check_path(c, s, path, errors);
}

/* ---- queue ---- */

static void queue_check_backbone(const struct config *c, const struct config_section *s,
                                 struct config_errors *errors)
{
    if (config_check_broken(s, "backbone") || queue_backbone(c, s) != NULL ||
        config_get(s, "backbone")[0] != '\0')
        return;
    bool none = config_section_at(c, CONFIG_BACKBONE, 0) == NULL;
    config_errors_add(errors, config_check_line(s, "backbone"),
                      none ? "backbone: there is none: add a section such as backbone shop { }"
                           : "backbone: there are several: say which one it is of");
}

static void queue_check_name(const struct config_section *s, struct config_errors *errors)
{
    static const char *const taken[] = {"backbone", "inbox", "platoon"};
    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(config_title(s), taken[i]) == 0)
            config_errors_add(errors, config_check_line(s, ""),
                              "queue %s: is platoon's own name: choose another", taken[i]);
}

static void queue_check_pattern(const struct config_section *s, struct config_errors *errors)
{
    char why[512];
    if (!config_check_broken(s, "pattern") &&
        queue_pattern_check(slice_of(config_get(s, "pattern")), why, sizeof why) != 0)
        config_errors_add(errors, config_check_line(s, "pattern"), "pattern: %s", why);
}

/* What only leases and attempts are for. */
static void queue_check_raw(const struct config *c, const struct config_section *s,
                            struct config_errors *errors)
{
    static const char *const keys[] = {"lease", "max_attempts", "retry_min", "retry_max",
                                       "work_max"};
    if (config_check_broken(s, "raw") || config_get_u64(s, "raw") == 0)
        return;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!config_check_broken(s, keys[i]) && config_check_given(c, s, keys[i]))
            config_errors_add(errors, config_check_line(s, keys[i]),
                              "%s: a raw queue has no leases and attempts: leave it out, or raw",
                              keys[i]);
}

void config_check_queue(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    queue_check_name(s, errors);
    queue_check_backbone(c, s, errors);
    queue_check_pattern(s, errors);
    queue_check_raw(c, s, errors);
    config_check_order(s, "retry_min", "retry_max", errors);
}

/* ---- program: takes ---- */

/* It has a port, or is a worker; also while that cannot be said. */
static bool program_speaks(const struct config_section *s)
{
    return config_check_broken(s, "port") || config_check_broken(s, "worker") ||
           strcmp(config_get(s, "port"), "none") != 0 || config_get_u64(s, "worker") != 0;
}

static void takes_check_word(const struct config *c, const struct config_section *s,
                             const char *word, struct config_errors *errors)
{
    char title[CONTRACT_NAME_MAX];
    struct slice name;
    uint64_t weight;
    unsigned line = config_check_line(s, "takes");
    if (!queue_takes_word(word, &name, &weight)) {
        config_errors_add(errors, line,
                          "takes: '%s' is neither a queue's name nor NAME*WEIGHT, from 1 to %d",
                          word, QUEUE_WEIGHT_MAX);
        return;
    }
    const struct config_section *queue =
        slice_copy(name, title, sizeof title) ? config_section_find(c, CONFIG_QUEUE, title) : NULL;
    if (queue == NULL)
        config_errors_add(errors, line, "takes: there is no queue named %.*s", (int)name.len,
                          name.ptr);
    else if (!config_check_broken(queue, "raw") && config_get_u64(queue, "raw") != 0)
        config_errors_add(errors, line,
                          "takes: queue %s is raw, and only pulled by the original's clients: take "
                          "raw out of it",
                          title);
}

void config_check_takes(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    struct buffer words = BUFFER_EMPTY;
    if (config_check_broken(s, "takes") || config_get(s, "takes")[0] == '\0')
        return;
    unsigned line = config_check_line(s, "takes");
    int count = words_split(slice_of(config_get(s, "takes")), QUEUE_TAKES_MAX, &words);
    if (count == -ENOMEM)
        errors->failed = true;
    else if (count < 0)
        config_errors_add(errors, line, "takes: must be at most %d names of queues",
                          QUEUE_TAKES_MAX);
    for (const char *w = count > 0 ? words_next(&words, 0, NULL) : NULL; w != NULL;
         w = words_next(&words, 0, w))
        takes_check_word(c, s, w, errors);
    if (!program_speaks(s))
        config_errors_add(errors, line,
                          "takes: messages come to a port, or to a worker: set port to json or "
                          "msgpack, or worker = true");
    buffer_fini(&words);
}

/* ---- program: listens ---- */

static void listens_check_word(const struct config *c, const struct config_section *s,
                               const char *word, struct config_errors *errors)
{
    struct slice glob;
    unsigned line = config_check_line(s, "listens");
    if (queue_listens_word(c, word, &glob) == NULL)
        config_errors_add(
            errors, line,
            config_section_at(c, CONFIG_BACKBONE, 0) == NULL
                ? "listens: there is no backbone: add a section such as backbone shop { }"
                : "listens: there are several backbones: say which one, as in NAME/%s",
            word);
    else if (glob.len == 0 || glob.len > QUEUE_GLOB_MAX)
        config_errors_add(errors, line, "listens: '%s': a glob of topics has 1 to %d letters", word,
                          QUEUE_GLOB_MAX);
}

void config_check_listens(const struct config *c, const struct config_section *s,
                          struct config_errors *errors)
{
    struct buffer words = BUFFER_EMPTY;
    if (config_check_broken(s, "listens") || config_get(s, "listens")[0] == '\0')
        return;
    unsigned line = config_check_line(s, "listens");
    int count = words_split(slice_of(config_get(s, "listens")), QUEUE_LISTENS_MAX, &words);
    if (count == -ENOMEM)
        errors->failed = true;
    else if (count < 0)
        config_errors_add(errors, line, "listens: must be at most %d globs of topics",
                          QUEUE_LISTENS_MAX);
    for (const char *w = count > 0 ? words_next(&words, 0, NULL) : NULL; w != NULL;
         w = words_next(&words, 0, w))
        listens_check_word(c, s, w, errors);
    if (!program_speaks(s))
        config_errors_add(
            errors, line,
            "listens: what is heard comes to a port, or to a worker: set port to json "
            "or msgpack, or worker = true");
    buffer_fini(&words);
}
