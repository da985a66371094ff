/* transfer_key_answer.c: pure policy of the key service. See transfer_key_service.h. */
#include "workers/drain/transfer_key_service.h"

#include "common/http/http_client.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_PAUSE_MS           50
#define KEY_PAUSE_ASKED_MAX_MS 60000

void transfer_key_fini(struct transfer_key *key)
{
    free(key->bucket);
    free(key->key);
    free(key->refusal);
    *key = (struct transfer_key){0};
}

static char *key_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? slice_dup(slice_of(json_string_value(value))) : NULL;
}

static enum key_verdict key_answer_parse(struct slice body, struct transfer_key *found, char *why,
                                         size_t why_size)
{
    json_error_t error;
    json_t *object = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);
    struct transfer_key key = {.bucket = key_member(object, "bucket"),
                               .key = key_member(object, "key")};
    bool is_json = object != NULL;
    json_decref(object);
    bool empty =
        (key.bucket != NULL && key.bucket[0] == '\0') || (key.key != NULL && key.key[0] == '\0');
    if (key.bucket != NULL && key.key != NULL && !empty) {
        *found = key;
        return KEY_FOUND;
    }
    transfer_key_fini(&key);
    if (empty) /* all such records would be one row */
        snprintf(why, why_size, "the answer's bucket or key is empty");
    else if (is_json)
        snprintf(why, why_size, "the answer is no object with the strings bucket and key");
    else
        snprintf(why, why_size, "the answer is not JSON: %s", error.text);
    return KEY_WRONG;
}

enum key_verdict key_answer_read(int status, struct slice body, const char *error,
                                 struct transfer_key *found, char *why, size_t why_size)
{
    if (status == 0) {
        snprintf(why, why_size, "%s", error);
        return KEY_FAILED;
    }
    if (status == 200)
        return key_answer_parse(body, found, why, why_size);
    snprintf(why, why_size, "the answer is HTTP status %d", status);
    /* Bad request, too large, url too long, unprocessable: said of the fields. Anything else is said of the service. */
    bool of_record = status == 400 || status == 413 || status == 414 || status == 422;
    return of_record ? KEY_WRONG : KEY_FAILED;
}

void key_question_write(struct buffer *out, const struct template_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_char(out, '&');
        http_encode(out, fields[i].name);
        buffer_append_char(out, '=');
        http_encode(out, fields[i].value);
    }
}

bool key_tries_give_up(struct key_tries *tries, enum key_verdict verdict, uint64_t good,
                       uint64_t retries)
{
    bool others_well = verdict == KEY_WRONG ? good > 0 : good > tries->seen;
    tries->failed++;
    tries->blamed += others_well;
    tries->seen = good;
    return tries->blamed > retries;
}

uint64_t key_tries_pause(unsigned failed, uint64_t asked_ms, uint64_t max_ms)
{
    uint64_t pause = KEY_PAUSE_MS;
    for (unsigned i = 1; i < failed && pause < max_ms; i++)
        pause *= 2;
    if (pause > max_ms)
        pause = max_ms;
    if (asked_ms > KEY_PAUSE_ASKED_MAX_MS)
        asked_ms = KEY_PAUSE_ASKED_MAX_MS;
    return pause > asked_ms ? pause : asked_ms;
}
