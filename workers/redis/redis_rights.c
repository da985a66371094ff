/* redis_rights.c: tries the right to each command. See redis_rights.h. */
#include "workers/redis/redis_rights.h"

#include "common/clock.h"

#include <stdio.h>

/* How often they are tried: who takes rights away does not close the connections. An idle drain shall cost nothing. */
#define RIGHTS_EVERY_MS 300000u
/* While one is missing a person waits for it to be over; and when something goes wrong they may be why. */
#define RIGHTS_MISSING_MS 2000u

/* Words of one call. */
#define RIGHTS_WORDS_MAX 8

void redis_rights_init(struct redis_rights *r, struct redis_link *link,
                       const struct redis_right *list, size_t count, const char *prefix,
                       const char *spare, struct slice set)
{
    *r = (struct redis_rights){.link = link,
                               .list = list,
                               .count = count < REDIS_RIGHTS_MAX ? count : REDIS_RIGHTS_MAX,
                               .set = set};
    snprintf(r->spare, sizeof r->spare, "%s%s", prefix, spare);
    snprintf(r->keys, sizeof r->keys, "%s*", prefix);
}

/* ---- asking ---- */

static struct slice rights_word(const struct redis_rights *r, struct slice word)
{
    if (slice_is(word, "$"))
        return slice_of(r->spare);
    return slice_is(word, "@") ? r->set : word;
}

/* Adds the words of `text`, parted by single blanks. */
static void rights_words(const struct redis_rights *r, const char *text,
                         struct slice argv[RIGHTS_WORDS_MAX], size_t *argc)
{
    while (*text != '\0' && *argc < RIGHTS_WORDS_MAX) {
        size_t len = strcspn(text, " ");
        argv[(*argc)++] = rights_word(r, slice_make(text, len));
        text += len + (text[len] == ' ');
    }
}

/* The round is over with its last answer: only a whole one says that nothing is missing. */
static void rights_end(struct redis_rights *r)
{
    for (size_t i = 0; i < r->count; i++)
        r->given |= r->told[i] != REDIS_REFUSAL_NONE && r->found[i] == REDIS_REFUSAL_NONE;
    memcpy(r->told, r->found, sizeof r->told);
    r->missing = false;
    for (size_t i = 0; i < r->count; i++)
        r->missing |= r->told[i] != REDIS_REFUSAL_NONE;
}

/* Which of the list it is: answers come in the order of the commands. */
static size_t rights_answered(const struct redis_rights *r)
{
    size_t i = 0;
    for (size_t seen = 0; i < r->count; i++)
        if (r->list[i].words != NULL && seen++ == r->answered)
            break;
    return i;
}

static void rights_on_answer(struct redis_conn *c, const redisReply *reply, void *ctx)
{
    (void)c;
    struct redis_rights *r = ctx;
    if (reply == NULL) { /* lost: the next connection asks anew */
        r->asked = 0;
        return;
    }
    if (r->asked == 0)
        return;
    size_t i = rights_answered(r);
    r->answered++;
    r->found[i] = (unsigned char)(reply->type == REDIS_REPLY_ERROR
                                      ? redis_error_refusal(reply->str, reply->len)
                                      : REDIS_REFUSAL_NONE);
    if (r->answered == r->asked) {
        r->asked = 0;
        rights_end(r);
    }
}

void redis_rights_ask(struct redis_rights *r)
{
    if (r->asked > 0)
        return;
    r->asked_ms = clock_mono_ms();
    r->answered = 0;
    memset(r->found, 0, sizeof r->found);
    for (size_t i = 0; i < r->count; i++) {
        struct slice argv[RIGHTS_WORDS_MAX];
        size_t argc = 0;
        if (r->list[i].words == NULL)
            continue;
        rights_words(r, r->list[i].command, argv, &argc);
        rights_words(r, r->list[i].words, argv, &argc);
        if (redis_conn_command(r->link->conn, argc, argv, rights_on_answer, r) != 0)
            return; /* short of memory: those before it are told, the others with the next round */
        r->asked++;
    }
}

void redis_rights_tick(struct redis_rights *r, bool doubtful)
{
    uint64_t every = r->missing || doubtful ? RIGHTS_MISSING_MS : RIGHTS_EVERY_MS;
    if (r->link != NULL && redis_conn_ready(r->link->conn) &&
        clock_mono_ms() - r->asked_ms >= every)
        redis_rights_ask(r);
}

/* ---- telling ---- */

/* Names of the list that were refused so; "A, B and 3 more" when not all fit. */
static void rights_names(const struct redis_rights *r, enum redis_refusal refusal, char *text,
                         size_t size)
{
    size_t len = 0, more = 0;
    text[0] = '\0';
    for (size_t i = 0; i < r->count; i++) {
        if (r->told[i] != refusal)
            continue;
        size_t name = strlen(r->list[i].command);
        if (more > 0 || len + name + sizeof ", and 99 more" > size)
            more++;
        else
            len += (size_t)snprintf(text + len, size - len, "%s%s", len > 0 ? ", " : "",
                                    r->list[i].command);
    }
    if (more > 0)
        snprintf(text + len, size - len, " and %zu more", more);
}

static bool rights_of_set(const char *words)
{
    return words != NULL && words[0] == '@';
}

/* The keys that were refused: those of ours, the set, or both. */
static void rights_places(const struct redis_rights *r, char *text, size_t size)
{
    bool ours = false, set = false;
    for (size_t i = 0; i < r->count; i++) {
        bool refused = r->told[i] == REDIS_REFUSAL_PLACE;
        set |= refused && rights_of_set(r->list[i].words);
        ours |= refused && !rights_of_set(r->list[i].words);
    }
    int shown = r->set.len < 80 ? (int)r->set.len : 80;
    snprintf(text, size, "%s%s%.*s", ours ? r->keys : "", ours && set ? ", " : "", set ? shown : 0,
             r->set.ptr);
}

const char *redis_rights_text(const struct redis_rights *r, char *text, size_t size)
{
    char refused[290], absent[290], places[256];
    text[0] = '\0';
    if (!r->missing)
        return text;
    rights_names(r, REDIS_REFUSAL_COMMAND, refused, sizeof refused);
    rights_names(r, REDIS_REFUSAL_ABSENT, absent, sizeof absent);
    rights_places(r, places, sizeof places);
    bool rules = refused[0] != '\0' || places[0] != '\0';
    const char *and = refused[0] != '\0' && places[0] != '\0' ? " and " : "";
    snprintf(text, size, "%s%s%s%s%s%s%s%s", rules ? "Redis' access rules refuse " : "", refused,
             and, places[0] != '\0' ? "the keys " : "", places,
             rules ? ": give them with ACL SETUSER, see RIGHTS IN REDIS in platoon.conf(5)" : "",
             rules && absent[0] != '\0' ? "; " : "",
             absent[0] != '\0' ? "the server does not have " : "");
    size_t len = strlen(text);
    if (absent[0] != '\0')
        snprintf(text + len, size - len,
                 "%s: renamed or taken out (rename-command), or it is too old", absent);
    return text;
}
