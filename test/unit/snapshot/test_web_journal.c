/* test_web_journal.c: the last changes, by number and by id (workers/snapshot/web/web_journal.h). */
#include "workers/snapshot/web/web_journal.h"

#include "test/unit/suite.h"

#define MOST 4096

static struct web_journal j;
static struct web_texts texts;

static void commit_of(uint64_t seq, char commit[WEB_COMMIT_SIZE])
{
    snprintf(commit, WEB_COMMIT_SIZE, "%040x", (unsigned)(seq * 7919));
    memcpy(commit, commit + 28, WEB_ID_DIGITS);
}

static struct web_id id_of(uint64_t seq)
{
    char commit[WEB_COMMIT_SIZE];
    struct web_id id = {.seq = seq};
    commit_of(seq, commit);
    memcpy(id.commit, commit, WEB_ID_DIGITS);
    return id;
}

static void start(void)
{
    struct web_id before = id_of(10);
    web_journal_start(&j, MOST, &before);
}

static void add(uint64_t seq, size_t size)
{
    static char bytes[2 * MOST];
    struct web_change c = {.seq = seq, .text = web_text_new(&texts, slice_make(bytes, size))};
    commit_of(seq, c.commit);
    web_journal_add(&j, &c);
}

/* Where who has read all up to that seq goes on; 0: it cannot. */
static uint64_t goes_on(uint64_t seq)
{
    struct web_id id = id_of(seq);
    uint64_t number;
    if (!web_journal_behind(&j, &id, &number))
        return 0;
    const struct web_change *c = web_journal_at(&j, number);
    return c != NULL ? c->seq : UINT64_MAX;
}

START_TEST(in_order)
{
    start();
    ck_assert_ptr_null(web_journal_at(&j, 0));
    ck_assert_uint_eq(goes_on(10), UINT64_MAX);
    add(11, 10);
    add(13, 10); /* a hole is none of ours: another resource's */
    ck_assert_uint_eq(web_journal_at(&j, 1)->seq, 13);
    ck_assert_uint_eq(web_journal_end(&j), 2);
    ck_assert_uint_eq(goes_on(10), 11);
    ck_assert_uint_eq(goes_on(11), 13);
    ck_assert_uint_eq(goes_on(13), UINT64_MAX);
    ck_assert_uint_eq(goes_on(9), 0);
    ck_assert_uint_eq(goes_on(12), 0);
    ck_assert_uint_eq(goes_on(14), 0);
    struct web_id other = id_of(11);
    uint64_t number;
    other.commit[0] ^= 1;
    ck_assert(!web_journal_behind(&j, &other, &number)); /* of another history */
    web_journal_fini(&j);
}
END_TEST

START_TEST(the_oldest_go)
{
    start();
    for (uint64_t seq = 11; seq < 500; seq++) {
        add(seq, 200);
        ck_assert_uint_le(j.bytes, MOST);
        ck_assert_uint_eq(web_journal_at(&j, seq - 11)->seq, seq);
        ck_assert_uint_eq(goes_on(seq - 1), seq);
    }
    ck_assert_uint_gt(j.first, 400);
    ck_assert_ptr_null(web_journal_at(&j, 0));
    ck_assert_uint_eq(goes_on(11), 0);
    ck_assert_uint_eq(goes_on(j.first + 10), j.first + 11); /* the last that went */
    ck_assert_uint_eq(goes_on(j.first + 9), 0);
    web_journal_fini(&j);
}
END_TEST

START_TEST(what_is_larger_than_all_of_it)
{
    start();
    add(11, 100);
    uint64_t next = web_journal_end(&j);
    add(12, 2 * MOST);
    ck_assert_uint_lt(next, j.first); /* who stood there has fallen out */
    ck_assert_uint_eq(j.bytes, 0);
    ck_assert_uint_eq(goes_on(11), 0);
    ck_assert_uint_eq(goes_on(12), UINT64_MAX);
    add(13, 10);
    ck_assert_uint_eq(goes_on(12), 13);
    web_journal_fini(&j);
}
END_TEST

START_TEST(texts_are_counted)
{
    struct web_text *t = web_text_new(&texts, slice_of("text"));
    start();
    web_journal_add(&j, &(struct web_change){.seq = 11, .text = web_text_ref(t)});
    ck_assert_uint_eq(t->refs, 2);
    web_journal_fini(&j);
    ck_assert_uint_eq(t->refs, 1);
    ck_assert(slice_is(web_text_slice(t), "text"));
    web_text_unref(t);
    web_text_unref(NULL);
    ck_assert_ptr_null(web_text_ref(NULL));
}
END_TEST

START_TEST(what_only_readers_have_is_known)
{
    struct web_text *a = web_text_new(&texts, slice_of("text")),
                    *b = web_text_new(&texts, slice_of("more text"));
    ck_assert_ptr_eq(web_text_read(a), a);
    web_text_read(a);
    web_text_read(b);
    ck_assert_uint_eq(texts.left, 0);
    web_text_unref(b);
    web_text_unref(a);
    ck_assert_uint_eq(texts.left, 13);
    ck_assert_ptr_eq(texts.first, b);
    ck_assert_ptr_eq(texts.last, a);
    web_text_unread(a);
    ck_assert_uint_eq(texts.left, 13);
    web_text_unread(b);
    ck_assert_uint_eq(texts.left, 4);
    web_text_ref(a);
    ck_assert_uint_eq(texts.left, 0);
    web_text_unref(a);
    ck_assert_ptr_eq(texts.first, a);
    web_text_unread(a);
    web_text_unread(NULL);
    ck_assert_ptr_null(web_text_read(NULL));
    ck_assert_ptr_null(texts.first);
    ck_assert_ptr_null(texts.last);
    ck_assert_uint_eq(texts.left, 0);
}
END_TEST

SUITE_MAIN("web-journal", in_order, the_oldest_go, what_is_larger_than_all_of_it, texts_are_counted,
           what_only_readers_have_is_known)
