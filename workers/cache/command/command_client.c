/*
 * command_client.c: CLIENT: which clients there are, what they are called, and their end.
 *
 * Runs in a cache node.
 */
#include "workers/cache/command/command_client.h"

#include "workers/cache/cache_node.h"
#include "workers/cache/command/command_list.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- names ---- */

static bool client_is_plain(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '!' || text.ptr[i] > '~')
            return false;
    return true;
}

bool command_client_may_be(struct cache_client *c, struct slice name)
{
    bool plain = client_is_plain(name);
    if (!plain)
        resp_error(&c->reply,
                   "ERR Client names cannot contain spaces, newlines or special characters.");
    return plain;
}

/* Empty: none. False: memory is short, and the error is written. */
static bool client_replace(struct cache_client *c, char **text, struct slice by)
{
    char *copy = by.len > 0 ? slice_dup(by) : NULL;
    if (by.len > 0 && copy == NULL)
        return command_fault(c, CACHE_FAULT_MEMORY);
    free(*text);
    *text = copy;
    return true;
}

bool command_client_name(struct cache_client *c, struct slice name)
{
    return client_replace(c, &c->name, name);
}

void command_client_setname(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    if (command_client_may_be(c, words[2]) && command_client_name(c, words[2]))
        resp_status(&c->reply, "OK");
}

void command_client_getname(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    if (c->name != NULL)
        resp_text(&c->reply, c->name);
    else
        resp_nil(&c->reply);
}

/* Redis 7.2's, which its clients send unasked. */
void command_client_setinfo(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    bool name = command_is(words[2], "lib-name");
    if (!name && !command_is(words[2], "lib-ver"))
        resp_error(&c->reply, "ERR Unrecognized option '%.*s'",
                   (int)strnlen(words[2].ptr, words[2].len), words[2].ptr);
    else if (!client_is_plain(words[3]))
        resp_error(&c->reply, "ERR %s cannot contain spaces, newlines or special characters.",
                   name ? "lib-name" : "lib-ver");
    else if (client_replace(c, name ? &c->lib_name : &c->lib_ver, words[3]))
        resp_status(&c->reply, "OK");
}

void command_client_id(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)words;
    (void)count;
    resp_i64(&c->reply, (int64_t)c->id);
}

/* ---- which there are ---- */

/* Redis' line; what a node does not have is 0. */
static void client_describe(struct cache_client *c, struct buffer *out)
{
    char address[CACHE_CLIENT_ADDRESS_SIZE], local[CACHE_CLIENT_ADDRESS_SIZE], flags[8] = "";
    uint64_t now = uv_now(c->node->loop);
    size_t total = sizeof *c + c->in.cap + c->unsent.cap + c->reply.out.cap;
    cache_client_address(c, false, address);
    cache_client_address(c, true, local);
    snprintf(flags, sizeof flags, "%s%s%s%s%s%s", c->multi ? "x" : "", c->closing ? "c" : "",
             c->readonly ? "r" : "", c->path != NULL ? "U" : "", c->no_evict ? "e" : "",
             c->multi || c->closing || c->readonly || c->path != NULL || c->no_evict ? "" : "N");
    buffer_printf(
        out,
        "id=%" PRIu64 " addr=%s laddr=%s fd=%d name=%s age=%" PRIu64 " idle=%" PRIu64
        " flags=%s db=0 sub=0 psub=0 ssub=0 multi=%d qbuf=%zu qbuf-free=%zu argv-mem=0 "
        "multi-mem=0 rbs=%zu rbp=%zu obl=%zu oll=%d omem=%zu tot-mem=%zu events=%s cmd=%s "
        "user=default redir=-1 resp=%d lib-name=%s lib-ver=%s\n",
        c->id, address, local, c->fd, c->name != NULL ? c->name : "", (now - c->born_ms) / 1000,
        (now - c->used_ms) / 1000, flags, c->multi ? 0 : -1, c->in.len, c->in.cap - c->in.len,
        c->reply.out.cap, c->reply.out.len, c->reply.out.len, c->unsent.len > 0, c->unsent.cap,
        total, c->writing ? "rw" : "r", c->last != NULL ? c->last->name : "NULL", c->reply.version,
        c->lib_name != NULL ? c->lib_name : "", c->lib_ver != NULL ? c->lib_ver : "");
}

static void client_answer(struct cache_client *c, struct buffer *text)
{
    if (buffer_ok(text))
        resp_verbatim(&c->reply, "txt", buffer_slice(text));
    else
        command_fault(c, CACHE_FAULT_MEMORY);
    buffer_fini(text);
}

void command_client_info(struct cache_client *c, const struct slice *words, size_t count)
{
    struct buffer text = BUFFER_EMPTY;
    (void)words;
    (void)count;
    client_describe(c, &text);
    client_answer(c, &text);
}

/* All clients are normal ones: 1; another of Redis' types: 0; none: -1, and the error is written. */
static int client_read_type(struct cache_client *c, struct slice word)
{
    static const char *const others[] = {"slave", "replica", "master", "pubsub"};
    if (command_is(word, "normal"))
        return 1;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (command_is(word, others[i]))
            return 0;
    resp_error(&c->reply, "ERR Unknown client type '%.*s'", (int)strnlen(word.ptr, word.len),
               word.ptr);
    return -1;
}

static struct cache_client *client_find(const struct cache_node *n, uint64_t id)
{
    struct cache_client *c = n->clients;
    while (c != NULL && c->id != id)
        c = c->next;
    return c;
}

/* False: the error is written. */
static bool client_list_ids(struct cache_client *c, const struct slice *words, size_t count,
                            struct buffer *text)
{
    for (size_t i = 0; i < count; i++) {
        int64_t id;
        if (!command_read_i64(words[i], &id)) {
            resp_error(&c->reply, "ERR Invalid client ID");
            return false;
        }
        struct cache_client *found = client_find(c->node, (uint64_t)id);
        if (found != NULL)
            client_describe(found, text);
    }
    return true;
}

/* Redis' list is in the order of arrival, and so is this one, whose first has come last. */
static void client_list_all(const struct cache_node *n, struct buffer *text)
{
    struct cache_client *last = n->clients;
    while (last != NULL && last->next != NULL)
        last = last->next;
    for (struct cache_client *c = last; c != NULL; c = c->prev)
        client_describe(c, text);
}

void command_client_list(struct cache_client *c, const struct slice *words, size_t count)
{
    struct buffer text = BUFFER_EMPTY;
    bool all = count == 2, good = true;
    if (count == 4 && command_is(words[2], "type")) {
        int type = client_read_type(c, words[3]);
        good = type >= 0;
        all = type == 1;
    } else if (count > 3 && command_is(words[2], "id")) {
        good = client_list_ids(c, words + 3, count - 3, &text);
    } else if (count != 2) {
        resp_error(&c->reply, "ERR syntax error");
        good = false;
    }
    if (all)
        client_list_all(c->node, &text);
    if (good)
        client_answer(c, &text);
    else
        buffer_fini(&text);
}

/* ---- their end ---- */

struct client_filter {
    uint64_t id; /* 0: any */
    const struct slice *address, *local;
    bool none;    /* another type than theirs */
    bool skip_me; /* not the one that asks */
};

static bool client_read_id(struct cache_client *c, struct slice word, struct client_filter *f)
{
    int64_t id;
    if (!command_read_i64(word, &id) || id < 1) {
        resp_error(&c->reply, "ERR client-id should be greater than 0");
        return false;
    }
    f->id = (uint64_t)id;
    return true;
}

static bool client_read_skip(struct cache_client *c, struct slice word, struct client_filter *f)
{
    f->skip_me = command_is(word, "yes");
    if (f->skip_me || command_is(word, "no"))
        return true;
    resp_error(&c->reply, "ERR syntax error");
    return false;
}

static bool client_read_user(struct cache_client *c, struct slice word)
{
    if (slice_is(word, "default"))
        return true;
    resp_error(&c->reply, "ERR No such user '%.*s'", (int)strnlen(word.ptr, word.len), word.ptr);
    return false;
}

/* One filter and its value. False: the error is written. */
static bool client_read_filter(struct cache_client *c, const struct slice *words, size_t count,
                               struct client_filter *f)
{
    if (count < 2) {
        resp_error(&c->reply, "ERR syntax error");
        return false;
    }
    if (command_is(words[0], "id"))
        return client_read_id(c, words[1], f);
    if (command_is(words[0], "type")) {
        int type = client_read_type(c, words[1]);
        f->none = type == 0;
        return type >= 0;
    }
    if (command_is(words[0], "user"))
        return client_read_user(c, words[1]);
    if (command_is(words[0], "skipme"))
        return client_read_skip(c, words[1], f);
    if (command_is(words[0], "addr"))
        f->address = &words[1];
    else if (command_is(words[0], "laddr"))
        f->local = &words[1];
    else
        resp_error(&c->reply, "ERR syntax error");
    return command_is(words[0], "addr") || command_is(words[0], "laddr");
}

static bool client_is_at(const struct cache_client *c, bool local, const struct slice *address)
{
    char text[CACHE_CLIENT_ADDRESS_SIZE];
    if (address == NULL)
        return true;
    cache_client_address(c, local, text);
    return slice_is(*address, text);
}

static int64_t client_kill(struct cache_client *c, const struct client_filter *f)
{
    int64_t killed = 0;
    for (struct cache_client *k = c->node->clients; k != NULL; k = k->next) {
        if (f->none || k->gone || (f->id != 0 && k->id != f->id) || (f->skip_me && k == c) ||
            !client_is_at(k, false, f->address) || !client_is_at(k, true, f->local))
            continue;
        cache_turn_end(k, k != c);
        killed++;
    }
    return killed;
}

void command_client_kill(struct cache_client *c, const struct slice *words, size_t count)
{
    struct client_filter f = {.skip_me = count > 3};
    if (count == 3) {
        f.address = &words[2];
        if (client_kill(c, &f) > 0)
            resp_status(&c->reply, "OK");
        else
            resp_error(&c->reply, "ERR No such client");
        return;
    }
    for (size_t i = 2; i < count; i += 2)
        if (!client_read_filter(c, words + i, count - i, &f))
            return;
    resp_i64(&c->reply, client_kill(c, &f));
}

/* ---- what it is answered ---- */

/* No client is evicted here, so that it is only remembered. */
void command_client_no_evict(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    if (!command_is(words[2], "on") && !command_is(words[2], "off")) {
        resp_error(&c->reply, "ERR syntax error");
        return;
    }
    c->no_evict = command_is(words[2], "on");
    resp_status(&c->reply, "OK");
}

void command_client_reply(struct cache_client *c, const struct slice *words, size_t count)
{
    (void)count;
    if (command_is(words[2], "on")) {
        c->reply_off = c->reply_skip = false;
        resp_status(&c->reply, "OK");
    } else if (command_is(words[2], "off")) {
        c->reply_off = true;
    } else if (command_is(words[2], "skip")) {
        c->reply_skip_next = !c->reply_off;
    } else {
        resp_error(&c->reply, "ERR syntax error");
    }
}
