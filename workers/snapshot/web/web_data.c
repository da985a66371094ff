/* web_data.c: see web_data.h. */
#include "workers/snapshot/web/web_data.h"

#include "common/base64.h"
#include "common/json/json_write.h"
#include "common/utf8.h"
#include "workers/snapshot/web/web_splices.h"

#include <stdlib.h>

bool web_store_start(struct web_store *s, const char *name, size_t count, size_t journal_most)
{
    *s = (struct web_store){.name = name, .count = count, .history = 1};
    s->list = calloc(count + 1, sizeof *s->list);
    s->heads = calloc(1, sizeof *s->heads);
    s->texts = calloc(1, sizeof *s->texts);
    web_journal_start(&s->journal, journal_most, &s->head);
    return s->list != NULL && s->heads != NULL && s->texts != NULL;
}

static void heads_clear(struct web_heads *h)
{
    for (size_t i = 0; i < WEB_FRAMINGS; i++)
        for (size_t k = 0; k < WEB_CONTENT_COUNT; k++) {
            web_text_unref(h->list[i][k]);
            h->list[i][k] = NULL;
        }
}

void web_heads_of(struct web_heads *h, uint64_t number)
{
    if (h->number == number)
        return;
    heads_clear(h);
    h->number = number;
}

static void data_clear(struct web_resource *r)
{
    web_text_unref(r->text);
    buffer_fini(&r->bytes);
    *r = (struct web_resource){.name = r->name};
}

void web_store_fini(struct web_store *s)
{
    for (size_t i = 0; s->list != NULL && i < s->count; i++)
        data_clear(&s->list[i]);
    free(s->list);
    s->list = NULL;
    if (s->heads != NULL)
        heads_clear(s->heads);
    free(s->heads);
    s->heads = NULL;
    web_journal_fini(&s->journal);
    free(s->texts);
    s->texts = NULL;
}

void web_store_forget(struct web_store *s)
{
    size_t most = s->journal.most;
    uint64_t end = web_journal_end(&s->journal);
    for (size_t i = 0; i < s->count; i++)
        data_clear(&s->list[i]);
    s->history++;
    s->known = false;
    s->head = (struct web_id){0};
    heads_clear(s->heads);
    web_journal_fini(&s->journal);
    web_journal_start(&s->journal, most, &s->head);
    s->journal.first = end + 1; /* whoever reads it has fallen out */
}

struct web_resource *web_store_find(const struct web_store *s, struct slice name)
{
    for (size_t i = 0; i < s->count; i++)
        if (slice_is(name, s->list[i].name))
            return &s->list[i];
    return NULL;
}

void web_store_know(struct web_store *s)
{
    if (!s->known)
        s->journal.before = s->head;
    s->known = true;
}

/* ---- a new version ---- */

static struct web_text *data_finish(const struct web_store *s, struct buffer *b)
{
    struct web_text *text = buffer_ok(b) ? web_text_new(s->texts, buffer_slice(b)) : NULL;
    buffer_fini(b);
    return text;
}

static struct web_text *data_encode(const struct web_store *s, struct slice bytes, bool binary)
{
    struct buffer b = BUFFER_EMPTY;
    buffer_append_text(&b, binary ? ",\"base64\":" : ",\"text\":");
    if (binary) {
        buffer_append_char(&b, '"');
        base64_append(&b, bytes);
        buffer_append_char(&b, '"');
    } else {
        json_write_string(&b, bytes);
    }
    return data_finish(s, &b);
}

/* False: memory is short. */
static bool data_compare(const struct web_store *s, const struct web_resource *r,
                         struct slice after, struct web_change *c)
{
    struct buffer b = BUFFER_EMPTY;
    if (!r->has) {
        c->whole = "first";
        return true;
    }
    buffer_append_text(&b, ",\"splices\":");
    switch (web_splices(buffer_slice(&r->bytes), after, &b)) {
    case WEB_SPLICED:
        c->splices = data_finish(s, &b);
        return c->splices != NULL;
    case WEB_SPLICES_LARGE:
        c->whole = "large";
        break;
    case WEB_SPLICES_BINARY:
        c->whole = "binary";
        break;
    case WEB_SPLICES_SHORT:
        buffer_fini(&b);
        return false;
    }
    buffer_fini(&b);
    return true;
}

bool web_store_take(struct web_store *s, struct web_resource *r, const struct web_version *v,
                    struct buffer *bytes)
{
    bool binary = !utf8_valid(buffer_slice(bytes));
    struct web_change c = {.resource = (size_t)(r - s->list),
                           .seq = v->seq,
                           .prev = r->has ? r->v.seq : 0,
                           .time_s = v->time_s};
    memcpy(c.commit, v->commit, sizeof c.commit);
    memcpy(c.blob, v->blob, sizeof c.blob);
    struct web_text *text = data_encode(s, buffer_slice(bytes), binary);
    if (text == NULL || !data_compare(s, r, buffer_slice(bytes), &c)) {
        web_text_unref(text);
        return false;
    }
    c.text = web_text_ref(text);
    if (s->known)
        web_journal_add(&s->journal, &c);
    else
        web_change_unref(&c);
    data_clear(r);
    r->has = true;
    r->v = *v;
    r->bytes = *bytes;
    r->text = text;
    r->binary = binary;
    *bytes = BUFFER_EMPTY;
    s->head.seq = v->seq;
    memcpy(s->head.commit, v->commit, WEB_ID_DIGITS);
    return true;
}
