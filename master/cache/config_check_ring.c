/*
 * config_check_ring.c: where its nodes reach each other, and what its store must be able to do. See
 * config_check_ring.h.
 *
 * Runs in the master and in the tool. That each of several nodes has an address of its own is config_check_cache.c's.
 */
#include "master/cache/config_check_ring.h"

#include "common/peer_address.h"
#include "common/words.h"
#include "master/config/config_check_key.h"

#include <errno.h>

#define RING_ADDRESSES_MAX 16

/* It is every address of this machine, and another machine that is told so asks itself. */
static bool ring_is_any(const struct peer_address *a)
{
    return a->path[0] == '\0' && (strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "::") == 0);
}

static void ring_check_given(const struct config_section *s, const char *address, int count,
                             struct config_errors *errors)
{
    unsigned line = config_check_line(s, "advertise");
    struct peer_address a;
    if (count != 1 || peer_address_parse(slice_of(address), &a) != 0)
        config_errors_add(errors, line,
                          "advertise: '%s' is not one address at which other nodes reach this one: "
                          "front1.example:6390, 10.0.0.5:6390, unix:/run/app/cache.sock",
                          config_get(s, "advertise"));
    else if (ring_is_any(&a))
        config_errors_add(errors, line,
                          "advertise: %s is every address of this machine, and none that another "
                          "reaches: name one, as in 10.0.0.5:%d",
                          address, a.port);
}

/* What is wrong with listen itself was said. */
static void ring_check_default(const struct config_section *s, const char *address,
                               struct config_errors *errors)
{
    struct peer_address a;
    if (address != NULL && peer_address_parse(slice_of(address), &a) == 0 && ring_is_any(&a))
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: other nodes are told of %s, which is every address of this "
                          "machine, and none that they reach: set advertise to one, as in "
                          "10.0.0.5:%d",
                          address, a.port);
}

static void ring_check_advertise(const struct config_section *s, struct config_errors *errors)
{
    bool given = config_get(s, "advertise")[0] != '\0';
    struct buffer text = BUFFER_EMPTY, words = BUFFER_EMPTY;
    if (config_check_broken(s, "advertise") || config_check_broken(s, "listen"))
        return;
    words_expand_number(config_get(s, given ? "advertise" : "listen"), 1, &text);
    int count = words_split(buffer_slice(&text), RING_ADDRESSES_MAX, &words);
    if (!buffer_ok(&text) || count == -ENOMEM)
        errors->failed = true;
    else if (given)
        ring_check_given(s, count > 0 ? words_next(&words, 0, NULL) : "", count, errors);
    else
        ring_check_default(s, count > 0 ? peer_address_choose(&words) : NULL, errors);
    buffer_fini(&text);
    buffer_fini(&words);
}

/* Two owners, of which one does not know yet that it is none any more, must not overwrite each other there. */
static void ring_check_conditional(const struct config *c, const struct config_section *s,
                                   struct config_errors *errors)
{
    bool s3 = strcmp(config_check_named(c, s, "store", CONFIG_STORE, "type"), "s3") == 0;
    const struct config_section *store =
        s3 ? config_section_find(c, CONFIG_STORE, config_get(s, "store")) : NULL;
    if (store != NULL && !config_check_broken(store, "conditional") &&
        config_get_u64(store, "conditional") == 0)
        config_errors_add(errors, config_check_line(s, "store"),
                          "store: a ring needs a store that keeps conditions, and conditional is "
                          "false in store %s: take that out, or redis out of this cache",
                          config_get(s, "store"));
}

void config_check_ring(const struct config *c, const struct config_section *s,
                       struct config_errors *errors)
{
    if (config_check_broken(s, "redis") || config_get(s, "redis")[0] == '\0')
        return;
    ring_check_advertise(s, errors);
    ring_check_conditional(c, s, errors);
}
