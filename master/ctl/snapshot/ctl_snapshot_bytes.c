/*
 * ctl_snapshot_bytes.c: the verbs that carry a version's bytes: get and put, in pieces. See ctl_snapshot.h.
 *
 * get asks on by the commit that its first piece has named, so that what comes is of one version though a newer one
 * is put meanwhile.
 */
#include "common/base64.h"
#include "common/clock.h"
#include "common/utf8.h"
#include "master/ctl/ctl_ask.h"
#include "master/ctl/ctl_value.h"
#include "master/ctl/ctl_verbs.h"
#include "master/ctl/snapshot/ctl_snapshot.h"
#include "proto/snapshot/snapshot_limits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* ---- get ---- */

bool ctl_snapshot_bytes(const json_t *value, struct buffer *out)
{
    const json_t *coded = json_object_get(value, "base64");
    if (json_is_string(value))
        buffer_append(out, json_string_value(value), json_string_length(value));
    else if (!json_is_string(coded) ||
             !base64_append_bytes(out,
                                  slice_make(json_string_value(coded), json_string_length(coded))))
        return false;
    return buffer_ok(out);
}

/* All pieces; *head is the first one's answer. */
static int get_all(struct ctl *c, const char *store, const char *resource, const char *version,
                   struct buffer *bytes, json_t **head)
{
    int status = CONTROL_OK;
    uint64_t size = 1;
    char offset[24], commit[64] = "";
    while (status == CONTROL_OK && (*head == NULL || bytes->len < size)) {
        json_t *piece = NULL;
        size_t before = bytes->len;
        snprintf(offset, sizeof offset, "%zu", bytes->len);
        const struct slice words[] = {
            slice_of(resource), slice_of(commit[0] != '\0' ? commit : version), slice_of(offset)};
        c->deadline = clock_mono_ms() + c->timeout_ms;
        status = ctl_snapshot_ask(c, store, "snapshot-get", 3, words, &piece);
        if (status == CONTROL_OK && !ctl_snapshot_bytes(json_object_get(piece, "bytes"), bytes))
            status = ctl_fail(CONTROL_ERROR, "not enough memory for the bytes");
        size = ctl_value_u64(piece, "size");
        snprintf(commit, sizeof commit, "%s", ctl_value_text(piece, "commit"));
        if (status == CONTROL_OK && bytes->len == before && bytes->len < size)
            status = ctl_fail(CONTROL_ERROR, "the answer breaks off after %zu bytes", bytes->len);
        if (*head == NULL)
            *head = json_incref(piece);
        json_decref(piece);
    }
    return status;
}

void ctl_snapshot_add_bytes(json_t *to, struct slice bytes)
{
    struct buffer coded = BUFFER_EMPTY;
    if (utf8_valid(bytes)) {
        json_object_set_new(to, "text", json_stringn(bytes.ptr, bytes.len));
        return;
    }
    base64_append(&coded, bytes);
    const char *text = buffer_text(&coded);
    json_object_set_new(to, "base64", text != NULL ? json_string(text) : NULL);
    buffer_fini(&coded);
}

static void get_print_json(struct ctl *c, const char *resource, const json_t *head,
                           struct slice bytes)
{
    json_t *whole = json_pack(
        "{s:s,s:O,s:O,s:O,s:O,s:O}", "resource", resource, "seq", json_object_get(head, "seq"),
        "commit", json_object_get(head, "commit"), "blob", json_object_get(head, "blob"), "size",
        json_object_get(head, "size"), "time", json_object_get(head, "time"));
    ctl_snapshot_add_bytes(whole, bytes);
    ctl_print_json(c, whole);
    json_decref(whole);
}

int ctl_snapshot_get_run(struct ctl *c)
{
    char resource[CONTRACT_NAME_MAX], store[CONTRACT_NAME_MAX];
    const char *word = c->args.argv[0], *at = strchr(word, '@');
    struct buffer bytes = BUFFER_EMPTY;
    json_t *head = NULL;
    if (!slice_copy(slice_make(word, at != NULL ? (size_t)(at - word) : strlen(word)), resource,
                    sizeof resource))
        return ctl_fail(CONTROL_NO_NAME, "no resource has so long a name");
    int status = ctl_snapshot_of(c, resource, store);
    if (status == CONTROL_OK)
        status = get_all(c, store, resource, at != NULL ? at + 1 : "", &bytes, &head);
    if (status == CONTROL_OK && c->args.json)
        get_print_json(c, resource, head, buffer_slice(&bytes));
    else if (status == CONTROL_OK)
        buffer_append_slice(&c->out, buffer_slice(&bytes));
    buffer_fini(&bytes);
    json_decref(head);
    return status;
}

/* ---- put ---- */

int ctl_snapshot_read(const char *name, struct buffer *bytes)
{
    FILE *file = name == NULL || strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    const char *from = file == stdin ? "standard input" : name;
    if (file == NULL)
        return ctl_fail(CONTROL_ERROR, "%s: %s", name, strerror(errno));
    int status = CONTROL_OK;
    for (size_t got = 1; got > 0 && status == CONTROL_OK;) {
        char *to = buffer_reserve(bytes, SNAPSHOT_PIECE_MAX);
        if (to == NULL) {
            status = ctl_fail(CONTROL_ERROR, "not enough memory for the bytes");
            break;
        }
        got = fread(to, 1, SNAPSHOT_PIECE_MAX, file);
        bytes->len += got;
        if (bytes->len > SNAPSHOT_BYTES_MAX)
            status = ctl_fail(CONTROL_ERROR, "%s: is larger than a version may be (%u MB)", from,
                              SNAPSHOT_BYTES_MAX >> 20);
    }
    if (status == CONTROL_OK && ferror(file))
        status = ctl_fail(CONTROL_ERROR, "%s: %s", from, strerror(errno));
    if (file != stdin)
        fclose(file);
    return status;
}

void ctl_snapshot_id(char id[CTL_SNAPSHOT_ID_SIZE])
{
    uint64_t number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        number = clock_mono_ms() << 22 | (uint64_t)getpid();
    snprintf(id, CTL_SNAPSHOT_ID_SIZE, "%016" PRIx64, number);
}

/* An answer to each piece; the last one says what became of it. */
static int put_all(struct ctl *c, const char *store, const char *resource, const char *blob,
                   struct slice bytes, json_t **answer)
{
    char id[CTL_SNAPSHOT_ID_SIZE], offset[24], size[24], by[32];
    ctl_snapshot_id(id);
    snprintf(size, sizeof size, "%zu", bytes.len);
    snprintf(by, sizeof by, "uid %u", (unsigned)getuid());
    int status = CONTROL_OK;
    for (size_t at = 0; status == CONTROL_OK && (at == 0 || at < bytes.len);) {
        size_t len = bytes.len - at < SNAPSHOT_PIECE_MAX ? bytes.len - at : SNAPSHOT_PIECE_MAX;
        snprintf(offset, sizeof offset, "%zu", at);
        const struct slice words[] = {slice_of(resource),
                                      slice_of(id),
                                      slice_of(offset),
                                      slice_of(size),
                                      slice_of(blob),
                                      slice_of(by),
                                      slice_make(bytes.ptr + at, len)};
        json_decref(*answer);
        *answer = NULL;
        c->deadline = clock_mono_ms() + c->timeout_ms;
        status = ctl_snapshot_ask(c, store, "snapshot-put", 7, words, answer);
        at += len;
        if (bytes.len == 0)
            break;
    }
    return status;
}

static void put_print(struct ctl *c, const char *resource, const json_t *answer)
{
    bool changed = json_is_true(json_object_get(answer, "changed"));
    if (c->args.json)
        ctl_print_json(c, answer);
    else
        buffer_printf(&c->out, "%s: %s, seq %" PRIu64 ", commit %.12s\n", resource,
                      changed ? "accepted" : "unchanged", ctl_value_u64(answer, "seq"),
                      ctl_value_text(answer, "commit"));
}

int ctl_snapshot_put_run(struct ctl *c)
{
    static const char *const options[] = {"--if", NULL};
    const char *blob = NULL, *file = NULL;
    char store[CONTRACT_NAME_MAX];
    struct buffer bytes = BUFFER_EMPTY;
    json_t *answer = NULL;
    int status;
    const char *resource = ctl_snapshot_words(c, options, &blob, &file, &status);
    if (status == CONTROL_OK)
        status = ctl_snapshot_of(c, resource, store);
    if (status == CONTROL_OK)
        status = ctl_snapshot_read(file, &bytes);
    if (status == CONTROL_OK)
        status =
            put_all(c, store, resource, blob != NULL ? blob : "", buffer_slice(&bytes), &answer);
    if (status == CONTROL_OK)
        put_print(c, resource, answer);
    buffer_fini(&bytes);
    json_decref(answer);
    return status;
}
