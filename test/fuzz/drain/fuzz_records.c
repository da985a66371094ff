/*
 * fuzz_records.c: RECORDS messages (workers/drain/transfer.h). Every row that comes of one holds JSON
 * that another library reads.
 */
#include "workers/drain/transfer.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static struct transfer_keys keys;
    char why[64];
    if (keys.bucket == NULL) {
        keys.bucket_text = "{a|none}";
        keys.key_text = "{b}/{member}";
        if (template_compile(keys.bucket_text, &keys.bucket, why, sizeof why) != 0 ||
            template_compile(keys.key_text, &keys.key, why, sizeof why) != 0)
            abort();
    }
    struct transfer_rows rows = {0};
    struct buffer refused = BUFFER_EMPTY;
    uint32_t refused_count = 0;
    uint64_t count = size > 0 ? data[0] : 0; /* records announced; the rest is the blob */
    struct slice blob = slice_make(data + (size > 0), size - (size > 0));
    if (transfer_records_read(&rows, &keys, blob, count, &refused, &refused_count) == 0 &&
        rows.count + refused_count != count)
        abort();
    for (size_t i = 0; i < rows.count; i++) {
        json_t *value = json_loadb(rows.bytes.data + rows.list[i].data, rows.list[i].data_len,
                                   JSON_ALLOW_NUL, NULL);
        if (value == NULL)
            abort();
        json_decref(value);
    }
    transfer_rows_fini(&rows);
    buffer_fini(&refused);
    return 0;
}
