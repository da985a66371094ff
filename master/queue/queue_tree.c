/*
 * queue_tree.c: the workers of queues, and what those of backbones and programs are told of them. See systems_tree.h.
 *
 * Runs in the master. A queue's workers stand below its backbone, which no path of TYPES can say.
 */
#include "common/words.h"
#include "master/queue/queue_backbone.h"
#include "master/queue/queue_listens.h"
#include "master/queue/queue_servers.h"
#include "master/queue/queue_takes.h"
#include "master/systems_tree.h"

#include <errno.h>
#include <stdio.h>

/* ---- what the workers of one server are told of it ---- */

/* Where there are several: which one it is. -ENOENT: config_check refuses that. */
static int queue_extra_server(const struct config *c, const struct config_section *backbone,
                              uint64_t number, struct config_extras *extras)
{
    const struct config_section *redis = queue_servers_of(c, backbone, number);
    if (redis == NULL)
        return -ENOENT;
    config_extras_add_section(extras, c, "redis", redis);
    if (queue_servers_count(backbone) > 1)
        config_extras_add(extras, "backbone.server", config_title(redis));
    return 0;
}

/* ---- what a backbone's workers are told: the queues to register ---- */

static int backbone_extras(const struct config *c, const struct config_section *s, uint64_t number,
                           struct config_extras *extras)
{
    static const char *const keys[] = {"pattern", "raw", "max_attempts", "retry_min", "retry_max"};
    const struct config_section *queue;
    size_t count = 0;
    for (size_t i = 0; (queue = config_section_at(c, CONFIG_QUEUE, i)) != NULL; i++) {
        if (queue_backbone(c, queue) != s)
            continue;
        config_extras_add_item(extras, "queues", count, "name", config_title(queue));
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            config_extras_add_item(extras, "queues", count, keys[k], config_get(queue, keys[k]));
        count++;
    }
    return queue_extra_server(c, s, number, extras);
}

/* Of the only server; where there are several, tree_build_queues makes them. */
int tree_extra_backbone(const struct config *c, const struct config_section *s,
                        const struct preflight *p, struct config_extras *extras)
{
    (void)p;
    return backbone_extras(c, s, 1, extras);
}

bool tree_when_ONE_SERVER(const struct config *c, const struct config_section *s)
{
    (void)c;
    return queue_servers_count(s) == 1;
}

/* ---- what a program is told: whom to take from, and whom to listen to ---- */

static int queue_extra_takes(const struct config *c, size_t number, const char *word,
                             struct config_extras *extras)
{
    char title[CONTRACT_NAME_MAX], path[3 * CONTRACT_NAME_MAX], text[24];
    struct slice name;
    uint64_t weight;
    const struct config_section *queue = NULL, *backbone = NULL;
    if (queue_takes_word(word, &name, &weight) && slice_copy(name, title, sizeof title))
        queue = config_section_find(c, CONFIG_QUEUE, title);
    if (queue != NULL)
        backbone = queue_backbone(c, queue);
    if (backbone == NULL) /* config_check_takes refuses that */
        return -ENOENT;
    queue_path(backbone, queue, path, sizeof path);
    uint64_t servers = queue_servers_count(backbone);
    snprintf(text, sizeof text, "%llu", (unsigned long long)weight);
    config_extras_add_item(extras, "takes", number, "name", title);
    config_extras_add_item(extras, "takes", number, "path", path);
    config_extras_add_item(extras, "takes", number, "weight", text);
    snprintf(text, sizeof text, "%llu",
             (unsigned long long)(servers * config_get_u64(queue, "workers")));
    config_extras_add_item(extras, "takes", number, "workers", text);
    if (config_get_u64(queue, "work_max") > 0)
        config_extras_add_item(extras, "takes", number, "work_max", config_get(queue, "work_max"));
    if (servers > 1)
        config_extras_add_item(extras, "takes", number, "servers", config_get(backbone, "redis"));
    return 0;
}

static int queue_extra_takes_all(const struct config *c, const struct config_section *s,
                                 struct config_extras *extras)
{
    struct buffer words = BUFFER_EMPTY;
    size_t number = 0;
    if (config_get(s, "takes")[0] == '\0')
        return 0;
    int rc = words_split(slice_of(config_get(s, "takes")), QUEUE_TAKES_MAX, &words);
    for (const char *w = rc >= 0 ? words_next(&words, 0, NULL) : NULL; w != NULL && rc >= 0;
         w = words_next(&words, 0, w))
        rc = queue_extra_takes(c, number++, w, extras);
    config_extras_add(extras, "takes.window", config_get(s, "window"));
    buffer_fini(&words);
    return rc < 0 ? rc : 0;
}

static int queue_extra_listens(const struct config *c, const struct config_section *s,
                               struct config_extras *extras)
{
    struct buffer words = BUFFER_EMPTY;
    size_t number = 0;
    int rc = words_split(slice_of(config_get(s, "listens")), QUEUE_LISTENS_MAX, &words);
    for (const char *w = rc > 0 ? words_next(&words, 0, NULL) : NULL; w != NULL && rc > 0;
         w = words_next(&words, 0, w)) {
        struct slice glob;
        const struct config_section *backbone = queue_listens_word(c, w, &glob);
        if (backbone == NULL) { /* config_check_listens refuses that */
            rc = -ENOENT;
            break;
        }
        config_extras_add_item(extras, "listens", number, "backbone", config_title(backbone));
        config_extras_add_item(extras, "listens", number++, "glob", glob.ptr);
    }
    buffer_fini(&words);
    return rc < 0 ? rc : 0;
}

/* Who delivers and who listens must know which workers are of one server; where there is one, all are. */
static void queue_extra_backbones(const struct config *c, struct config_extras *extras)
{
    const struct config_section *s;
    size_t number = 0;
    char text[24];
    for (size_t i = 0; (s = config_section_at(c, CONFIG_BACKBONE, i)) != NULL; i++) {
        if (queue_servers_count(s) == 1)
            continue;
        snprintf(text, sizeof text, "%llu", (unsigned long long)queue_servers_count(s));
        config_extras_add_item(extras, "backbones", number, "name", config_title(s));
        config_extras_add_item(extras, "backbones", number++, "servers", text);
    }
}

int tree_extra_takes(const struct config *c, const struct config_section *s,
                     const struct preflight *p, struct config_extras *extras)
{
    (void)p;
    queue_extra_backbones(c, extras);
    int rc = queue_extra_takes_all(c, s, extras);
    return rc == 0 ? queue_extra_listens(c, s, extras) : rc;
}

/* ---- the workers of a queue ---- */

/* The backbone's keys, where the queue does not name it, and its Redis'. */
static int queue_settings(struct tree_builder *b, struct node *n, const struct config_section *s,
                          const struct config_section *backbone, uint64_t number)
{
    struct config_extras extras = CONFIG_EXTRAS_EMPTY;
    struct config_identity identity = builder_identity(b);
    if (s != backbone && config_get(s, "backbone")[0] == '\0')
        config_extras_add_section(&extras, b->c, "backbone", backbone);
    int rc = s == backbone ? backbone_extras(b->c, backbone, number, &extras)
                           : queue_extra_server(b->c, backbone, number, &extras);
    if (rc == 0)
        rc = config_settings_pack(&n->settings, b->c, s, &identity, &extras);
    config_extras_fini(&extras);
    return rc;
}

static void queue_build_worker(struct tree_builder *b, enum worker_type type,
                               const struct config_section *s,
                               const struct config_section *backbone, const char *path,
                               uint64_t number)
{
    char name[3 * CONTRACT_NAME_MAX + 24];
    snprintf(name, sizeof name, "%s.%llu", path, (unsigned long long)number);
    struct node *n = builder_leaf(b, name, type, builder_parent(b, name, backbone), s);
    int rc = n != NULL ? queue_settings(b, n, s, backbone, number) : 0;
    if (rc != 0)
        builder_fail(b, name, strerror(-rc));
}

/* `workers` of the section on each server. */
static void queue_build_pool(struct tree_builder *b, enum worker_type type,
                             const struct config_section *s, const struct config_section *backbone,
                             const char *path)
{
    uint64_t count = queue_servers_count(backbone) * config_get_u64(s, "workers");
    b->at = s;
    builder_pool_begin(b);
    for (uint64_t n = 1; n <= count && !b->failed; n++)
        queue_build_worker(b, type, s, backbone, path, n);
    builder_pool_end(b);
}

static void queue_build_backbone(struct tree_builder *b, const struct config_section *s)
{
    char path[2 * CONTRACT_NAME_MAX];
    snprintf(path, sizeof path, "queue/%s/backbone", config_title(s));
    if (!tree_when_ONE_SERVER(b->c, s))
        queue_build_pool(b, WORKER_TYPE_BACKBONE, s, s, path);
}

/* A raw queue's messages are pulled by others, and have no lease to be renewed: it has no worker. */
void tree_build_queues(struct tree_builder *b)
{
    const struct config_section *s;
    char path[3 * CONTRACT_NAME_MAX];
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_BACKBONE, i)) != NULL; i++)
        queue_build_backbone(b, s);
    for (size_t i = 0; !b->failed && (s = config_section_at(b->c, CONFIG_QUEUE, i)) != NULL; i++) {
        const struct config_section *backbone = queue_backbone(b->c, s);
        if (backbone == NULL || config_get_u64(s, "raw") != 0)
            continue;
        queue_path(backbone, s, path, sizeof path);
        queue_build_pool(b, WORKER_TYPE_QUEUE, s, backbone, path);
    }
}
