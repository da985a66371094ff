/* sanjer_python_hello.c: what an interpreter is told, and whether the folder is still that. See sanjer_python.h. */
#include "common/secret_file.h"
#include "common/text.h"
#include "workers/jobs/job_functions.h"
#include "workers/jobs/sanjer.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* ---- the folder ---- */

static uint64_t signature_mix(uint64_t sum, const void *data, size_t len)
{
    const unsigned char *bytes = data;
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ bytes[i]) * 1099511628211u;
    return sum ^ h;
}

static bool is_python(const char *name)
{
    size_t len = strlen(name);
    return len > 3 && strcmp(name + len - 3, ".py") == 0;
}

/* In no order, hence a sum that has none. */
static uint64_t signature_of(const char *folder, bool deeper)
{
    char path[PATH_MAX];
    struct stat st;
    uint64_t sum = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "__pycache__") == 0 ||
            (entry->d_type == DT_REG && !is_python(entry->d_name)) ||
            snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path ||
            stat(path, &st) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && deeper)
            sum ^= signature_of(path, false);
        if (!S_ISREG(st.st_mode) || !is_python(path))
            continue;
        const uint64_t what[] = {signature_mix(0, path, strlen(path)),
                                 (uint64_t)st.st_mtim.tv_sec,
                                 (uint64_t)st.st_mtim.tv_nsec,
                                 (uint64_t)st.st_size,
                                 (uint64_t)st.st_ino,
                                 st.st_mode};
        sum = signature_mix(sum, what, sizeof what);
    }
    if (dir != NULL)
        closedir(dir);
    return sum;
}

uint64_t sanjer_python_signature(const char *folder)
{
    return signature_of(folder, true);
}

/* ---- the words ---- */

/* The words of a text between separators. */
static json_t *words_of(const char *text, const char *separators)
{
    json_t *words = json_array();
    for (const char *at = text; *at != '\0';) {
        size_t len = strcspn(at, separators);
        if (len > 0)
            json_array_append_new(words, json_stringn(at, len));
        at += len + (at[len] != '\0');
    }
    return words;
}

/* Those of a server that moves, for rq's own client: it asks them where. */
static json_t *hello_sentinels(const struct redis_options *o)
{
    json_t *list = json_array();
    for (size_t i = 0; i < o->address_count; i++)
        json_array_append_new(list, json_pack("[s,i]", o->addresses[i].host, o->addresses[i].port));
    if (o->address_count == 0)
        json_array_append_new(list, json_pack("[s,i]", o->host, o->port));
    return list;
}

/* A password from its file; of none, "". False: the file cannot be read. */
static bool hello_password(const char *file, char *password, size_t size)
{
    char why[512];
    password[0] = '\0';
    return file == NULL || secret_file_read(file, password, size, why, sizeof why) == 0;
}

/* What is needed to reach it; nothing when a password cannot be read. */
static json_t *hello_redis(struct sanjer *s)
{
    struct redis_options o = {0};
    char password[4096], theirs[4096];
    redis_settings_read(s->w, &o);
    bool moves = o.sentinel_name != NULL;
    json_t *redis = NULL;
    if (hello_password(o.password_file, password, sizeof password) &&
        hello_password(o.sentinel_password_file, theirs, sizeof theirs))
        redis = json_pack("{s:i,s:s*,s:s,s:b,s:s*,s:s*,s:s*}", "db", o.database, "user", o.user,
                          "password", password, "tls", o.tls, "ca", o.tls_ca_file, "cert",
                          o.tls_cert_file, "key", o.tls_key_file);
    if (redis != NULL && moves)
        json_object_update_new(redis, json_pack("{s:s,s:o,s:s}", "sentinel_name", o.sentinel_name,
                                                "sentinels", hello_sentinels(&o),
                                                "sentinel_password", theirs));
    else if (redis != NULL)
        json_object_update_new(redis, json_pack("{s:s*,s:s*,s:i}", "host", o.host, "path",
                                                o.unix_path, "port", o.port));
    explicit_bzero(password, sizeof password);
    explicit_bzero(theirs, sizeof theirs);
    redis_options_fini(&o);
    return redis != NULL ? redis : json_object();
}

json_t *sanjer_python_hello(struct sanjer *s, json_t *skip)
{
    const char *path = worker_setting(s->w, "jobs.python.path"),
               *preload = worker_setting(s->w, "jobs.python.preload");
    bool has_functions = job_functions_names(s->w)[0] != '\0';
    return json_pack("{s:s,s:o,s:o,s:O,s:i,s:I,s:o,s:b,s:I}", "folder", s->folder, "path",
                     words_of(path != NULL ? path : "", ":"), "preload",
                     words_of(preload != NULL ? preload : "", " ,"), "skip", skip, "sanjer",
                     (int)getpid(), "memory_max", (json_int_t)s->memory_max, "redis",
                     hello_redis(s), "functions", has_functions, "line_max",
                     (json_int_t)(SANJER_LINE_MAX + s->dataset_max));
}
