/*
 * control_call.c: what every verb asks of its call: the tree, names in it, words that may be shown. See
 * control_private.h.
 */
#include "master/control/control_private.h"

static struct master *control_of;

void control_call_setup(struct master *m)
{
    control_of = m;
}

struct master *control_master(void)
{
    return control_of;
}

struct node *verb_root(void)
{
    return control_master()->root;
}

void verb_answer_buffer(const struct verb_call *v, struct buffer *body)
{
    control_answer_buffer(v->client, v->request->id, CONTROL_OK, body);
}

const char *verb_word(struct slice word, char text[VERB_WORD_SIZE])
{
    size_t len = word.len < CONTRACT_NAME_MAX ? word.len : CONTRACT_NAME_MAX;
    for (size_t i = 0; i < len; i++)
        text[i] = word.ptr[i] >= ' ' && word.ptr[i] <= '~' ? word.ptr[i] : '?';
    strcpy(text + len, len < word.len ? "..." : "");
    return text;
}

/* ---- names ---- */

void verb_unknown_name(const struct verb_call *v, struct slice name)
{
    char word[VERB_WORD_SIZE];
    const char *nearest = tree_nearest(verb_root(), name);
    if (nearest != NULL)
        control_answer_text(
            v->client, v->request->id, CONTROL_NO_NAME,
            "no worker or branch named '%s': did you mean '%s'? See: platoonctl tree",
            verb_word(name, word), nearest);
    else
        control_answer_text(v->client, v->request->id, CONTROL_NO_NAME,
                            "no worker or branch named '%s'. See: platoonctl tree",
                            verb_word(name, word));
}

struct node *verb_node(const struct verb_call *v)
{
    if (v->args->count < 1) {
        char word[VERB_WORD_SIZE];
        control_answer_text(v->client, v->request->id, CONTROL_USAGE,
                            "%s needs the name of a worker or branch",
                            verb_word(v->request->verb, word));
        return NULL;
    }
    struct node *n = tree_find(verb_root(), v->args->list[0]);
    if (n == NULL)
        verb_unknown_name(v, v->args->list[0]);
    return n;
}

bool verb_is_pattern(struct slice name)
{
    return memchr(name.ptr, '*', name.len) != NULL || memchr(name.ptr, '?', name.len) != NULL;
}
