/*
 * config_check_cache.c: what is wrong with cache sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "common/listen_address.h"
#include "common/words.h"
#include "master/cache/config_check_ring.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"
#include "proto/contract.h"
#include "proto/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define CACHE_ADDRESSES_MAX 16
#define CACHE_PLACES_MAX    256 /* that are compared */

/* Who can connect can read and write all objects: beyond this machine that takes a secret, and a line nobody reads. */
static void cache_check_reach(const struct config_section *s, const char *address,
                              struct config_errors *errors)
{
    bool secret = config_get(s, "secret_file")[0] != '\0';
    bool tls = config_get(s, "tls_cert_file")[0] != '\0';
    if (config_get_u64(s, "plain") != 0 || (secret && tls))
        return;
    config_errors_add(
        errors, config_check_line(s, "listen"),
        "listen: %s can be reached from other machines, %s: set %s%s%s, or plain = true "
        "when only trusted ones reach it",
        address,
        secret ? "and what is said there can be read"
               : "and whoever does could read and write all objects",
        secret ? "" : "secret_file", secret || tls ? "" : " and ", tls ? "" : "tls_cert_file");
}

static void cache_check_address(const struct config_section *s, const char *address,
                                struct config_errors *errors)
{
    struct listen_address a;
    int rc = listen_address_parse(address, &a);
    if (rc == -ENAMETOOLONG)
        config_errors_add(
            errors, config_check_line(s, "listen"),
            "listen: %s: a unix socket's path has at most 107 bytes: choose a shorter one",
            address);
    else if (rc != 0)
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: '%s' is no address: unix:/run/app/cache.sock, 127.0.0.1:6390, "
                          "[::1]:6390",
                          address);
    else if (!a.loopback)
        cache_check_reach(s, address, errors);
}

/* Behind the brace: a word and a brace, as {n} is one. 0: that is none. */
static size_t cache_hole(const char *at)
{
    size_t len = at[0] == '{' ? strcspn(at + 1, "{}\" ") : 0;
    return len > 0 && at[1 + len] == '}' ? len + 2 : 0;
}

/* What looks like {n} and is not would stand in the address as it is. False: the error is written. */
static bool cache_check_holes(const struct config_section *s, struct config_errors *errors)
{
    for (const char *at = config_get(s, "listen"); *at != '\0';) {
        bool plain = strncmp(at, "{{n}}", 5) == 0;
        size_t hole = plain ? 5 : cache_hole(at);
        if (hole > 0 && !plain && strncmp(at, "{n}", 3) != 0) {
            config_errors_add(
                errors, config_check_line(s, "listen"),
                "listen: %.*s stands for nothing: only {n} does, for the node's number", (int)hole,
                at);
            return false;
        }
        at += hole > 0 ? hole : 1;
    }
    return true;
}

/* TLS is of TCP addresses: where there is none, somebody believes in it in vain. */
static void cache_check_tls(const struct config_section *s, bool tcp, struct config_errors *errors)
{
    static const char *const keys[] = {"tls_cert_file", "tls_key_file", "tls_ca_file"};
    for (size_t i = 0; !tcp && i < sizeof keys / sizeof keys[0]; i++) {
        if (config_check_broken(s, keys[i]) || config_get(s, keys[i])[0] == '\0')
            continue;
        config_errors_add(errors, config_check_line(s, keys[i]),
                          "%s: all addresses of listen are unix sockets, where nobody speaks TLS: "
                          "take it out, or add an address such as 127.0.0.1:6390 to listen",
                          keys[i]);
        return;
    }
}

/* As node 1 will have them, and each of them with the node's number where there are several. */
static void cache_check_listen(const struct config *c, const struct config_section *s,
                               struct config_errors *errors)
{
    struct buffer text = BUFFER_EMPTY, words = BUFFER_EMPTY;
    if (config_check_broken(s, "listen") || !config_check_given(c, s, "listen") ||
        !cache_check_holes(s, errors))
        return;
    words_expand_number(config_get(s, "listen"), 1, &text);
    int count = words_split(buffer_slice(&text), CACHE_ADDRESSES_MAX, &words);
    unsigned line = config_check_line(s, "listen");
    if (!buffer_ok(&text) || count == -ENOMEM)
        errors->failed = true;
    else if (count == 0)
        config_errors_add(errors, line, "listen: names no address: unix:/run/app/cache.sock");
    else if (count < 0)
        config_errors_add(errors, line,
                          count == -E2BIG ? "listen: more than %d addresses"
                                          : "listen: a quote does not end, or a "
                                            "backslash stands last",
                          CACHE_ADDRESSES_MAX);
    const char *address = NULL;
    bool tcp = count <= 0;
    for (int i = 0; i < count; i++) {
        address = words_next(&words, 0, address);
        tcp = tcp || strncmp(address, "unix:", 5) != 0;
        cache_check_address(s, address, errors);
    }
    cache_check_tls(s, tcp, errors);
    buffer_fini(&text);
    buffer_fini(&words);
}

/* ---- whose address it is ---- */

/* Somebody's address: a section's key, as node 1 will have it. */
struct cache_place {
    const struct config_section *section;
    const char *key;
    struct listen_address address;
};

struct cache_places {
    struct cache_place list[CACHE_PLACES_MAX];
    size_t count;
};

/* Those of one value that are addresses at all, and fit. */
static void cache_places_add(struct cache_places *p, const struct config_section *s,
                             const char *key, const char *value)
{
    struct buffer text = BUFFER_EMPTY, words = BUFFER_EMPTY;
    words_expand_number(value, 1, &text);
    int count = words_split(buffer_slice(&text), CACHE_ADDRESSES_MAX, &words);
    const char *word = NULL;
    for (int i = 0; i < count && p->count < CACHE_PLACES_MAX; i++) {
        struct cache_place *place = &p->list[p->count];
        word = words_next(&words, 0, word);
        *place = (struct cache_place){.section = s, .key = key};
        p->count += listen_address_parse(word, &place->address) == 0;
    }
    buffer_fini(&text);
    buffer_fini(&words);
}

/* Of the platoon section: its own socket, and where it answers probes. */
static void cache_places_of_platoon(struct cache_places *p, const struct config *c)
{
    const struct config_section *platoon = config_platoon(c);
    struct buffer socket = BUFFER_EMPTY;
    if (platoon == NULL)
        return;
    if (!config_check_broken(platoon, "runtime_dir")) {
        buffer_printf(&socket, "\"unix:%s/" CONTROL_SOCKET_NAME "\"",
                      config_get(platoon, "runtime_dir"));
        if (buffer_text(&socket) != NULL)
            cache_places_add(p, platoon, "runtime_dir", socket.data);
    }
    if (!config_check_broken(platoon, "health"))
        cache_places_add(p, platoon, "health", config_get(platoon, "health"));
    buffer_fini(&socket);
}

/* Two nodes that want one address: the second would never come up, or take the first one's socket away. */
static void cache_check_places(const struct config *c, const struct config_section *s,
                               struct config_errors *errors)
{
    static struct cache_places places; /* too large for a stack; one thread */
    const struct config_section *other;
    places.count = 0;
    cache_places_of_platoon(&places, c);
    for (size_t i = 0; (other = config_section_at(c, CONFIG_CACHE, i)) != NULL; i++) {
        if (!config_check_broken(other, "listen"))
            cache_places_add(&places, other, "listen", config_get(other, "listen"));
        if (other == s)
            break;
    }
    for (size_t i = 1; i < places.count; i++)
        for (size_t j = 0; j < i && places.list[i].section == s; j++) {
            const struct cache_place *before = &places.list[j];
            if (!listen_address_meets(&before->address, &places.list[i].address))
                continue;
            const char *title = config_title(before->section);
            config_errors_add(errors, config_check_line(s, "listen"),
                              "listen: an address is taken already, by %s of %s%s%s (line %u): "
                              "each needs its own",
                              before->key, config_kind_name(config_section_kind(before->section)),
                              title[0] != '\0' ? " " : "", title,
                              config_check_line(before->section, before->key));
            return;
        }
}

/* ---- the ring ---- */

/* Each address of a value needs the node's number in it. False: one has none, or the value is no list. */
static bool cache_is_numbered(const char *value)
{
    struct buffer words = BUFFER_EMPTY, text = BUFFER_EMPTY;
    int count = words_split(slice_of(value), CACHE_ADDRESSES_MAX, &words);
    bool numbered = count > 0;
    const char *word = NULL;
    for (int i = 0; i < count; i++) {
        word = words_next(&words, 0, word);
        buffer_clear(&text);
        numbered = numbered && words_expand_number(word, 1, &text);
    }
    buffer_fini(&text);
    buffer_fini(&words);
    return numbered;
}

/* Where several nodes have one address, the second never comes up, or others ask the wrong one. */
static void cache_check_number(const struct config_section *s, const char *key,
                               struct config_errors *errors)
{
    if (!config_check_broken(s, key) && config_get(s, key)[0] != '\0' &&
        !cache_is_numbered(config_get(s, key)))
        config_errors_add(
            errors, config_check_line(s, key),
            "%s: each of several nodes needs its own address: have {n} in it, which "
            "is the node's number, as in unix:/run/app/cache{n}.sock, 127.0.0.1:639{n}",
            key);
}

static void cache_check_nodes(const struct config *c, const struct config_section *s,
                              struct config_errors *errors)
{
    if (config_check_broken(s, "nodes") || config_get_u64(s, "nodes") < 2 ||
        config_check_broken(s, "redis"))
        return;
    if (config_get(s, "redis")[0] == '\0') {
        config_errors_add(errors, config_check_line(s, "nodes"),
                          "nodes: several need a Redis that says which of them has an object: name "
                          "its section (redis), or set nodes to 1");
        return;
    }
    if (config_check_given(c, s, "listen"))
        cache_check_number(s, "listen", errors);
    cache_check_number(s, "advertise", errors);
}

/* What a node gives up for another one goes through the store. */
static void cache_check_redis(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "redis") || config_check_broken(s, "store") ||
        config_get(s, "redis")[0] == '\0' || config_get(s, "store")[0] != '\0')
        return;
    config_errors_add(errors, config_check_line(s, "redis"),
                      "redis: an object goes from one node to another through the store, and there "
                      "is none: name a section of type file or s3 (store)");
}

/* The second copies are in Redis. */
static void cache_check_copies(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "copies") || config_check_broken(s, "redis") ||
        config_get_u64(s, "copies") < 2 || config_get(s, "redis")[0] != '\0')
        return;
    config_errors_add(errors, config_check_line(s, "copies"),
                      "copies: the second copy of what is written is in Redis, and there is none: "
                      "name a redis section (redis), or take it out");
}

/* Objects of two caches would have the same names there. */
static void cache_check_store_is_own(const struct config *c, const struct config_section *s,
                                     struct config_errors *errors)
{
    const struct config_section *other;
    if (config_check_broken(s, "store") || config_get(s, "store")[0] == '\0')
        return;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_CACHE, i)) != NULL && other != s; i++)
        if (!config_check_broken(other, "store") &&
            strcmp(config_get(other, "store"), config_get(s, "store")) == 0) {
            config_errors_add(errors, config_check_line(s, "store"),
                              "store: %s is cache %s's, and each would overwrite what the other "
                              "stores: give it a store of its own",
                              config_get(s, "store"), config_title(other));
            return;
        }
}

static void cache_check_store(const struct config *c, const struct config_section *s,
                              struct config_errors *errors)
{
    const char *type = config_check_named(c, s, "store", CONFIG_STORE, "type");
    if (type[0] != '\0' && strcmp(type, "file") != 0 && strcmp(type, "s3") != 0)
        config_errors_add(errors, config_check_line(s, "store"),
                          "store: %s is of type %s, which keeps a drain's records and no objects: "
                          "name a store of type file or s3",
                          config_get(s, "store"), type);
}

/* ---- sizes ---- */

/* One object must not push all others out: of the default so much as memory has room for. */
void config_tell_cache_object_max(const struct config *c, const struct config_section *s,
                                  struct buffer *out)
{
    uint64_t max = config_get_u64(s, "object_max"), half = config_get_u64(s, "memory") / 2;
    (void)c;
    buffer_printf(out, "%" PRIu64, max < half ? max : half);
}

static void cache_check_object_max(const struct config *c, const struct config_section *s,
                                   struct config_errors *errors)
{
    if (config_check_broken(s, "object_max") || config_check_broken(s, "memory") ||
        !config_check_given(c, s, "object_max") ||
        config_get_u64(s, "object_max") <= config_get_u64(s, "memory") / 2)
        return;
    config_errors_add(errors, config_check_line(s, "object_max"),
                      "object_max: more than half of memory, which one such object would have to "
                      "itself: raise memory, or lower it to %" PRIu64,
                      config_get_u64(s, "memory") / 2);
}

void config_check_cache(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    cache_check_listen(c, s, errors);
    cache_check_places(c, s, errors);
    cache_check_nodes(c, s, errors);
    cache_check_redis(s, errors);
    config_check_ring(c, s, errors);
    cache_check_copies(s, errors);
    cache_check_object_max(c, s, errors);
    cache_check_store(c, s, errors);
    cache_check_store_is_own(c, s, errors);
    config_check_together(s, "tls_cert_file", "tls_key_file", errors);
    config_check_together(s, "tls_key_file", "tls_cert_file", errors);
    config_check_together(s, "tls_ca_file", "tls_cert_file", errors);
    char path[CONTRACT_NAME_MAX];
    snprintf(path, sizeof path, "cache/%s", config_title(s));
    config_check_path(c, s, path, errors);
}
