/*
 * fuzz_web.c: what anybody may say to the web worker: a reader's query and where it was (web_query.h), the header
 * Authorization and the file of tokens (web_tokens.h), and the texts that splices are made of (web_splices.h).
 */
#include "workers/snapshot/web/web_query.h"
#include "workers/snapshot/web/web_splices.h"
#include "workers/snapshot/web/web_tokens.h"

#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (!web_splices_open())
        abort();
    return 0;
}

/* What is read as an id is written as it was, leading zeros aside. */
static void read_query(const char *text)
{
    char again[WEB_ID_SIZE];
    struct slice list = slice_of(text), name;
    enum web_content content;
    struct web_id id, same;
    size_t taken = 0;
    web_content_read(text, &content);
    if (web_id_read(text, &id)) {
        web_id_write(id.seq, id.commit, again);
        if (!web_id_read(again, &same) || same.seq != id.seq || strcmp(same.commit, id.commit) != 0)
            abort();
    }
    while (web_names_next(&list, &name))
        taken += name.len;
    if (taken > strlen(text) || list.len != 0)
        abort();
}

static void read_tokens(struct slice bytes, const char *text)
{
    static struct web_tokens t;
    const char *name;
    if (web_tokens_read(bytes, &t) != 0)
        return;
    enum web_right right = web_tokens_find(&t, text, &name);
    if ((right >= WEB_READ) != (name[0] != '\0'))
        abort();
}

/* The first byte says where the one ends and the other begins. */
static void splice(struct slice bytes)
{
    struct buffer out = BUFFER_EMPTY;
    size_t cut = bytes.len > 0 ? (unsigned char)bytes.ptr[0] % bytes.len : 0;
    struct slice after = slice_make(bytes.ptr + cut, bytes.len - cut);
    enum web_spliced how = web_splices(slice_make(bytes.ptr, cut), after, &out);
    if (how == WEB_SPLICED ? out.len > after.len : out.len != 0)
        abort();
    buffer_fini(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice bytes = slice_make(data, size);
    struct buffer copy = BUFFER_EMPTY;
    buffer_append_slice(&copy, bytes);
    const char *text = buffer_text(&copy);
    if (text != NULL) {
        read_query(text);
        read_tokens(bytes, text);
        splice(bytes);
    }
    buffer_fini(&copy);
    return 0;
}
