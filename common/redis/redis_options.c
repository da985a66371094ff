/*
 * redis_options.c: where and how to connect: from a url, copied, named, freed. See redis_conn.h.
 *
 * Runs in Redis workers.
 */
#include "common/redis/redis_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void redis_addresses_free(struct redis_address *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i].host);
}

/* A copy of several addresses; NULL when memory is short. */
static struct redis_address *redis_addresses_copy(const struct redis_address *list, size_t count)
{
    struct redis_address *copy = calloc(count, sizeof *copy);
    for (size_t i = 0; copy != NULL && i < count; i++) {
        copy[i] = (struct redis_address){strdup(list[i].host), list[i].port};
        if (copy[i].host == NULL) {
            redis_addresses_free(copy, i);
            free(copy);
            return NULL;
        }
    }
    return copy;
}

/* Takes what was read; the rest stays the url's. */
static int redis_options_take(struct redis_options *o, struct redis_url *u)
{
    struct redis_address *several = NULL;
    if (u->count > 1 && (several = redis_addresses_copy(u->addresses, u->count)) == NULL)
        return -ENOMEM;
    redis_addresses_free(o->addresses, o->address_count);
    free(o->addresses);
    free(o->host);
    free(o->unix_path);
    o->addresses = several;
    o->address_count = several != NULL ? u->count : 0;
    o->host = u->count > 0 ? u->addresses[0].host : NULL;
    o->port = u->addresses[0].port;
    o->unix_path = u->unix_path;
    o->tls = u->tls;
    free(o->sentinel_name);
    o->sentinel_name = u->sentinel_name;
    o->primary |= u->sentinel;
    u->sentinel_name = NULL;
    u->addresses[0].host = NULL;
    u->unix_path = NULL;
    if (u->user != NULL) {
        free(o->user);
        o->user = u->user;
        u->user = NULL;
    }
    if (u->database >= 0)
        o->database = u->database;
    return 0;
}

int redis_options_parse_url(struct redis_options *o, const char *url, char *why, size_t why_size)
{
    struct redis_url u;
    int rc = redis_url_parse(&u, url, why, why_size);
    if (rc == 0 && (rc = redis_options_take(o, &u)) != 0)
        snprintf(why, why_size, "out of memory");
    redis_url_fini(&u);
    return rc;
}

void redis_options_fini(struct redis_options *o)
{
    redis_addresses_free(o->addresses, o->address_count);
    free(o->addresses);
    free(o->host);
    free(o->unix_path);
    free(o->user);
    free(o->password_file);
    free(o->sentinel_name);
    free(o->sentinel_password_file);
    free(o->tls_ca_file);
    free(o->tls_cert_file);
    free(o->tls_key_file);
    free(o->tls_server_name);
    *o = (struct redis_options){0};
}

void redis_options_name(const struct redis_options *o, char name[REDIS_NAME_SIZE])
{
    if (o->unix_path != NULL) {
        snprintf(name, REDIS_NAME_SIZE, "unix:%s", o->unix_path);
        return;
    }
    const char *host = o->host != NULL ? o->host : "?";
    if (strchr(host, ':') != NULL)
        snprintf(name, REDIS_NAME_SIZE, "[%s]:%d%s", host, o->port, o->tls ? " (TLS)" : "");
    else
        snprintf(name, REDIS_NAME_SIZE, "%s:%d%s", host, o->port, o->tls ? " (TLS)" : "");
}

static char *redis_options_dup(const char *text, bool *failed)
{
    if (text == NULL || text[0] == '\0')
        return NULL;
    char *copy = strdup(text);
    *failed |= copy == NULL;
    return copy;
}

int redis_options_copy(struct redis_options *to, const struct redis_options *from)
{
    bool failed = false;
    *to = *from;
    to->addresses = NULL;
    if (from->address_count > 0)
        to->addresses = redis_addresses_copy(from->addresses, from->address_count);
    failed = from->address_count > 0 && to->addresses == NULL;
    to->address_count = to->addresses != NULL ? from->address_count : 0;
    to->host = redis_options_dup(from->host, &failed);
    to->unix_path = redis_options_dup(from->unix_path, &failed);
    to->user = redis_options_dup(from->user, &failed);
    to->password_file = redis_options_dup(from->password_file, &failed);
    to->sentinel_name = redis_options_dup(from->sentinel_name, &failed);
    to->sentinel_password_file = redis_options_dup(from->sentinel_password_file, &failed);
    to->tls_ca_file = redis_options_dup(from->tls_ca_file, &failed);
    to->tls_cert_file = redis_options_dup(from->tls_cert_file, &failed);
    to->tls_key_file = redis_options_dup(from->tls_key_file, &failed);
    to->tls_server_name = redis_options_dup(from->tls_server_name, &failed);
    return failed ? -ENOMEM : 0;
}
