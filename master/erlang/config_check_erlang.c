/*
 * config_check_erlang.c: what is wrong with erlang sections. See config_check.h.
 *
 * Runs in the master and in the tool.
 */
#include "master/config/config_check_key.h"
#include "master/systems_config.h"
#include "proto/contract.h"
#include "proto/erlang/erlang_address.h"

#include <stdio.h>

/* What is said between nodes whoever is between them can read: beyond this machine that takes a line of its own. */
static void erlang_check_listen(const struct config_section *s, struct config_errors *errors)
{
    struct sockaddr_in address;
    const char *text = config_get(s, "listen");
    if (config_check_broken(s, "listen"))
        return;
    if (!erlang_address_parse(text, &address))
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: '%s' is no address of IPv4 (of another kind libei has none): "
                          "127.0.0.1, 127.0.0.1:9105",
                          text);
    else if (!erlang_address_is_loopback(&address) && config_get_u64(s, "plain") == 0)
        config_errors_add(errors, config_check_line(s, "listen"),
                          "listen: %s can be reached from other machines, and nothing that is said "
                          "there is encrypted: listen on 127.0.0.1, or set plain = true when only "
                          "trusted ones reach it",
                          text);
}

static void erlang_check_node(const struct config *c, const struct config_section *s,
                              struct config_errors *errors)
{
    if (config_check_broken(s, "node") || !config_check_given(c, s, "node") ||
        erlang_node_is_name(config_get(s, "node")))
        return;
    config_errors_add(errors, config_check_line(s, "node"),
                      "node: '%s' is no name of a node: NAME@HOST, of letters, digits, _ and -, in "
                      "HOST dots too, at most %d characters",
                      config_get(s, "node"), ERLANG_NODE_MAX);
}

/* Two of one name, or at one port: the second would never come up. */
static void erlang_check_other(const struct config *c, const struct config_section *s,
                               const char *key, struct config_errors *errors)
{
    const struct config_section *other;
    if (config_check_broken(s, key))
        return;
    for (size_t i = 0; (other = config_section_at(c, CONFIG_ERLANG, i)) != NULL && other != s; i++)
        if (!config_check_broken(other, key) &&
            strcmp(config_get(other, key), config_get(s, key)) == 0) {
            config_errors_add(errors, config_check_line(s, key),
                              "%s: %s is erlang %s's already (line %u): each needs its own", key,
                              config_get(s, key), config_title(other),
                              config_check_line(other, key));
            return;
        }
}

static void erlang_check_use(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "cache") || config_check_broken(s, "redis") ||
        config_get(s, "cache")[0] != '\0' || config_get(s, "redis")[0] != '\0')
        return;
    config_errors_add(errors, config_check_line(s, "cache"),
                      "cache, redis: neither is given, so it would serve nothing: name a cache "
                      "section, a redis section, or both");
}

void config_check_erlang(const struct config *c, const struct config_section *s,
                         struct config_errors *errors)
{
    char path[CONTRACT_NAME_MAX];
    erlang_check_node(c, s, errors);
    erlang_check_listen(s, errors);
    erlang_check_other(c, s, "node", errors);
    if (!config_check_broken(s, "listen") && strchr(config_get(s, "listen"), ':') != NULL)
        erlang_check_other(c, s, "listen", errors);
    erlang_check_use(s, errors);
    snprintf(path, sizeof path, "erlang/%s", config_title(s));
    config_check_path(c, s, path, errors);
}
