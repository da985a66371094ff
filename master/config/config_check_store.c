/*
 * config_check_store.c: what is wrong with store sections. See config_check.h.
 *
 * Runs in the master and in the tool. Two families of types: of records (sqlite, postgres, count), which drains name,
 * and of objects (file, s3), which caches name.
 */
#include "common/text.h"
#include "master/config/config_check_key.h"
#include "master/systems_config.h"

#include <ctype.h>

/* Which types read a key; of the older ones also what they always let pass. A key that is not here is for all. */
enum store_type {
    STORE_SQLITE = 1,
    STORE_POSTGRES = 2,
    STORE_COUNT = 4,
    STORE_FILE = 8,
    STORE_S3 = 16,
    STORE_RECORDS = STORE_SQLITE | STORE_POSTGRES | STORE_COUNT,
};

static const struct {
    const char *name;
    enum store_type type;
    const char *needs; /* the key that it cannot do without */
} store_types[] = {
    {"sqlite", STORE_SQLITE, "path"}, {"postgres", STORE_POSTGRES, "url"},
    {"count", STORE_COUNT, "path"},   {"file", STORE_FILE, "path"},
    {"s3", STORE_S3, "url"},
};

static const struct {
    const char *key;
    unsigned types;
    const char *says;
} store_keys[] = {
    {"path", STORE_SQLITE | STORE_COUNT | STORE_FILE,
     "is for type = sqlite and file; a postgres or s3 store has a url"},
    {"url", STORE_POSTGRES | STORE_S3, "is for type = postgres and s3"},
    {"cache", STORE_RECORDS, "is for type = sqlite"},
    {"table", STORE_RECORDS, "is for type = postgres"},
    {"region", STORE_S3, "is for type = s3"},
    {"credentials_file", STORE_S3, "is for type = s3"},
    {"style", STORE_S3, "is for type = s3"},
    {"conditional", STORE_S3, "is for type = s3"},
};

static bool store_has(const struct config_section *s, const char *key)
{
    return config_check_broken(s, key) || config_get(s, key)[0] != '\0';
}

/* What the type needs is there, and nothing that only another type reads. */
static void store_check_keys(const struct config *c, const struct config_section *s,
                             enum store_type type, const char *needs, struct config_errors *errors)
{
    bool sqlite = type == STORE_SQLITE;
    if (!store_has(s, needs))
        config_errors_add(errors, s->line, "%s: must be given in store %s%s%s", needs,
                          config_title(s), sqlite ? "" : ", of type ",
                          sqlite ? "" : config_get(s, "type"));
    if (type == STORE_S3 && !store_has(s, "credentials_file"))
        config_errors_add(errors, s->line,
                          "credentials_file: must be given in store %s, of type s3: a file of mode "
                          "0600 with aws_access_key_id and aws_secret_access_key in [default]",
                          config_title(s));
    for (size_t i = 0; i < sizeof store_keys / sizeof *store_keys; i++)
        if ((store_keys[i].types & type) == 0 && config_check_given(c, s, store_keys[i].key))
            config_errors_add(errors, config_check_line(s, store_keys[i].key), "%s: %s",
                              store_keys[i].key, store_keys[i].says);
}

/* ---- postgres ---- */

static void store_check_postgres(const struct config_section *s, struct config_errors *errors)
{
    const char *url = config_get(s, "url"), *rest = strstr(url, "://");
    unsigned line = config_check_line(s, "url");
    if ((!config_check_starts(url, "postgresql://") && !config_check_starts(url, "postgres://")) ||
        rest == NULL) {
        config_errors_add(errors, line, "url: must be postgresql://…");
        return;
    }
    rest += strlen("://");
    const char *at = memchr(rest, '@', strcspn(rest, "/?"));
    bool password = at != NULL && memchr(rest, ':', (size_t)(at - rest)) != NULL;
    const char *query = strchr(rest, '?');
    if (password || (query != NULL && strstr(query, "password=") != NULL))
        config_errors_add(errors, line,
                          "url: holds a password: put it into a file and name that with "
                          "?passfile=, or into ~/.pgpass");
}

/* Names that PostgreSQL takes without quotes, of at most 63 bytes, one or two. */
static void store_check_table(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "table"))
        return;
    size_t parts = 1, len = 0;
    bool good = true;
    for (const char *c = config_get(s, "table"); good && *c != '\0'; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || *c == '_';
        bool digit = *c >= '0' && *c <= '9';
        if (*c == '.' && len > 0 && parts == 1) {
            parts++;
            len = 0;
        } else {
            good = (letter || (digit && len > 0)) && ++len <= 63;
        }
    }
    if (!good || len == 0)
        config_errors_add(
            errors, config_check_line(s, "table"),
            "table: must be a name of a-z, 0-9 and _, or two with a dot between them");
}

/* ---- s3 ---- */

/* What stands behind the last colon, which an IPv6 address has inside of its brackets. */
static bool store_port_is_good(struct slice authority)
{
    uint64_t port;
    const char *colon = memrchr(authority.ptr, ':', authority.len);
    const char *end = authority.ptr + authority.len;
    if (colon == NULL || memchr(colon, ']', (size_t)(end - colon)) != NULL)
        return true;
    return text_parse_u64(slice_make(colon + 1, (size_t)(end - colon - 1)), &port) == 0 &&
           port > 0 && port <= UINT16_MAX;
}

/* In which a bucket's name cannot stand before the host's. */
static bool store_is_address(struct slice authority)
{
    return authority.ptr[0] == '[' || strspn(authority.ptr, "0123456789.:") >= authority.len;
}

static void store_check_s3_host(const struct config_section *s, struct slice authority,
                                struct config_errors *errors)
{
    bool host_style =
        !config_check_broken(s, "style") && strcmp(config_get(s, "style"), "host") == 0;
    if (!store_port_is_good(authority))
        config_errors_add(errors, config_check_line(s, "url"),
                          "url: the port in %.*s must be a number from 1 to 65535",
                          (int)authority.len, authority.ptr);
    else if (host_style && store_is_address(authority))
        config_errors_add(errors, config_check_line(s, "style"),
                          "style: host puts the bucket before the endpoint's name, and %.*s is an "
                          "address: name the endpoint in url, or write path",
                          (int)authority.len, authority.ptr);
}

/* As s3_client reads it: the rest of the path is names, which are encoded there. */
static void store_check_s3_url(const struct config_section *s, struct config_errors *errors)
{
    const char *url = config_get(s, "url"), *host = strstr(url, "://");
    unsigned line = config_check_line(s, "url");
    bool scheme = config_check_starts(url, "http://") || config_check_starts(url, "https://");
    host = scheme ? host + strlen("://") : url;
    size_t authority = strcspn(host, "/?#");
    const char *bucket = host + authority;
    if (!scheme || authority == 0 || bucket[0] != '/' || strchr("/?#", bucket[1]) != NULL)
        config_errors_add(errors, line, "url: must be http(s)://ENDPOINT/BUCKET[/PREFIX]");
    else if (memchr(host, '@', authority) != NULL)
        config_errors_add(errors, line,
                          "url: holds a user or password, which logs would show: put the keys into "
                          "credentials_file");
    else if (strpbrk(bucket, "?#") != NULL)
        config_errors_add(errors, line,
                          "url: a '?' or '#' can be neither in a bucket's name nor in its prefix: "
                          "leave out what stands there");
    else if (strpbrk(url, " \t\r\n") != NULL)
        config_errors_add(errors, line, "url: a blank cannot be in it: leave it out");
    else
        store_check_s3_host(s, slice_make(host, authority), errors);
}

static void store_check_region(const struct config_section *s, struct config_errors *errors)
{
    if (config_check_broken(s, "region"))
        return;
    const char *c = config_get(s, "region");
    bool good = *c != '\0';
    for (; good && *c != '\0'; c++)
        good = isalnum((unsigned char)*c) || *c == '-' || *c == '_';
    if (!good)
        config_errors_add(errors, config_check_line(s, "region"),
                          "region: must be a name of letters, digits and '-': eu-west-1; of a "
                          "server of your own us-east-1, where its manual names none");
}

/* ---- all ---- */

void config_check_store(const struct config *c, const struct config_section *s,
                        struct config_errors *errors)
{
    const char *type = config_check_broken(s, "type") ? "" : config_get(s, "type");
    for (size_t i = 0; i < sizeof store_types / sizeof *store_types; i++)
        if (strcmp(type, store_types[i].name) == 0)
            store_check_keys(c, s, store_types[i].type, store_types[i].needs, errors);
    bool url = !config_check_broken(s, "url") && config_get(s, "url")[0] != '\0';
    if (url && strcmp(type, "postgres") == 0)
        store_check_postgres(s, errors);
    if (url && strcmp(type, "s3") == 0)
        store_check_s3_url(s, errors);
    store_check_table(s, errors);
    store_check_region(s, errors);
}
