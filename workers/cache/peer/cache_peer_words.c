/*
 * cache_peer_words.c: see cache_peer_words.h.
 *
 * One table: what the connection says, and what is said here. A connection that took all these words as options would
 * have an option for each place where it says something.
 */
#include "workers/cache/peer/cache_peer_words.h"

#include <stdio.h>
#include <string.h>

#define PEER_TLS_ALL "all nodes of a ring have tls_cert_file, or none has"
#define PEER_SECRET  "give all nodes of the ring the same secret_file"

/* The first that fits at a place counts. */
static const struct {
    const char *said, *instead;
} peer_words[] = {
    {"is it a Redis server?", "is it a cache node?"},
    {"does this port want TLS (rediss://, sentinels://)?", "does it want TLS? " PEER_TLS_ALL},
    {"use its TLS port, or redis://", PEER_TLS_ALL},
    {"check tls_ca_file and tls_server_name",
     "check tls_ca_file, and the names in that node's tls_cert_file"},
    {"check user and password_file", PEER_SECRET},
    {"set password_file", PEER_SECRET},
    {"remove password_file, or set one there", PEER_SECRET},
    {"password_file", "secret_file"},
    {"raise its maxclients", "raise its clients_max"},
    {"of more than reply_max", "that is too large"},
    {"ask for less, or raise it", "ask for fewer objects at a time"},
    {"the server closed the connection before", "it closed the connection before"},
    {"the server closed the connection", "it closed the connection: see its log"},
    {"is the server", "is it"},
    {"does this server know", "does it know"},
    {"the server's", "its"},
    {"the server", "it"},
};

#define PEER_WORDS_COUNT (sizeof peer_words / sizeof *peer_words)

/* What is said instead, and how much of the line it stands for; NULL: it stays. */
static const char *peer_word(const char *at, size_t *skip)
{
    for (size_t i = 0; i < PEER_WORDS_COUNT; i++) {
        *skip = strlen(peer_words[i].said);
        if (strncmp(at, peer_words[i].said, *skip) == 0)
            return peer_words[i].instead;
    }
    return NULL;
}

/* Behind "redis at SERVER: ". */
static const char *peer_cause(const char *line, const char *server)
{
    static const char who[] = "redis at ";
    const size_t skip = sizeof who - 1, len = strlen(server);
    if (strncmp(line, who, skip) != 0 || strncmp(line + skip, server, len) != 0 ||
        strncmp(line + skip + len, ": ", 2) != 0)
        return line;
    return line + skip + len + 2;
}

void cache_peer_words(char *to, size_t size, const char *line, const char *server)
{
    size_t used = 0, skip;
    to[0] = '\0';
    for (const char *at = peer_cause(line, server); *at != '\0' && used + 1 < size;) {
        const char *instead = peer_word(at, &skip);
        if (instead == NULL) {
            to[used++] = *at++;
            to[used] = '\0';
            continue;
        }
        int len = snprintf(to + used, size - used, "%s", instead);
        used = (size_t)len < size - used ? used + (size_t)len : size - 1;
        at += skip;
    }
}
