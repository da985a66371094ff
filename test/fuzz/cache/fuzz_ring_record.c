/*
 * fuzz_ring_record.c: lists of second copies, as RING_COPY, RING_DROP and RING_FETCHED have them (cache_ring_record.h):
 * what can be read is written again as it was; and what a node that has just begun makes of one that its log may have
 * lost (cache_db.h): nothing is there twice.
 *
 * The input is the list.
 */
#include "proto/cache/cache_ring_record.h"
#include "test/fuzz/cache/fuzz_node.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void same(struct slice was, const struct buffer *is)
{
    if (!buffer_ok(is) || is->len != was.len || memcmp(is->data, was.ptr, was.len) != 0)
        abort();
}

/* One of the list, which took these bytes. */
static void write_again(struct slice was, const struct cache_ring_copy *copy, struct buffer *out)
{
    struct cache_ring_object object;
    buffer_clear(out);
    cache_ring_put_same(out, copy);
    same(was, out);
    buffer_clear(out);
    if (copy->record.len == 0) {
        cache_ring_put_drop(out, copy->key, copy->version);
        same(was, out);
    } else if (cache_ring_read_record(copy->record, &object)) {
        cache_ring_put_copy(out, copy->key, copy->version, &object);
        same(was, out);
    }
}

/* Twice: the second time it is there. */
static void restore(struct cache_db *db, const struct cache_ring_copy *copy)
{
    struct cache_ring_object object;
    bool newer;
    if (!cache_ring_read_record(copy->record, &object))
        return;
    struct cache_db_copy told = {.key = copy->key,
                                 .value = object.value,
                                 .version = copy->version,
                                 .expiry_ms = object.expiry_ms,
                                 .form = (enum cache_form)object.form,
                                 .deleted = object.deleted};
    for (unsigned i = 0; i < 2; i++) {
        size_t before = cache_db_count(db);
        if (cache_db_restore(db, &told, &newer) == CACHE_OK &&
            cache_db_count(db) > before + (i == 0 && newer))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct slice list = slice_make((const char *)data, size);
    struct buffer out = BUFFER_EMPTY;
    struct cache_ring_copy copy;
    struct cache_node n;
    node_begin(&n, node_loop(), true);
    for (struct slice at = list; cache_ring_take_copy(&list, &copy); at = list) {
        write_again(slice_make(at.ptr, at.len - list.len), &copy, &out);
        restore(n.db, &copy);
    }
    buffer_fini(&out);
    node_end(&n);
    return 0;
}
