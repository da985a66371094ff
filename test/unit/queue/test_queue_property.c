/*
 * test_queue_property.c: random histories beside a model: nothing is lost, nothing that was acked comes again, first
 * hand-outs are in order, caps hold, the one with the smallest share goes first.
 *
 * A message is its body, a number. The model knows of each what has become of it, and by which receipt it was handed
 * out last. The ledger itself is looked at after each step (queue_check).
 */
#include "test/unit/queue/queue_fixture.h"

#include <stdlib.h>

#define MESSAGES 400
#define FACETS   4
#define STEPS    260

enum fate { ABROAD, LIVE, ACKED, ONCE, DROPPED };

static struct model {
    uint64_t seed;
    int count;
    int cap;
    struct {
        enum fate fate;
        char receipt[64]; /* newest; "": not handed out yet */
        bool settled;     /* by it: it counts no more */
        bool delayed;
        int facet;
        long long attempt;
    } messages[MESSAGES];
    int last_first
        [FACETS]; /* the newest message of the facet that was handed out for the first time */
} m;

static unsigned below(unsigned n)
{
    m.seed = m.seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(m.seed >> 33) % n;
}

static const char *facet_name(int facet)
{
    static const char *const names[FACETS] = {"a", "length", "c", "d:inflight"};
    return names[facet];
}

static void deliver(void)
{
    char body[16];
    int i = m.count++;
    snprintf(body, sizeof body, "%d", i);
    m.messages[i].fate = LIVE;
    m.messages[i].facet = (int)below(FACETS);
    const char *facet = facet_name(m.messages[i].facet);
    unsigned way = below(10);
    if (way < 2 && m.messages[i].facet % 2 == 0) {
        original_deliver("t", facet, body);
    } else if (way == 2) {
        m.messages[i].delayed = true;
        queue_call(QUEUE_SCRIPT_QUEUE_DELIVER, "t", facet, body, below(2) ? "1" : "3", NULL);
        ck_assert_uint_eq(queue.reply->elements, 2);
    } else {
        queue_deliver("t", facet, body);
    }
}

static void handed_out(const struct queue_pulled *p, bool once)
{
    int i = atoi(p->body);
    ck_assert_int_lt(i, m.count);
    ck_assert_msg(m.messages[i].fate == LIVE, "%d was handed out, and is %d", i,
                  (int)m.messages[i].fate);
    ck_assert_str_eq(p->facet, facet_name(m.messages[i].facet));
    ck_assert_int_eq(p->attempt, m.messages[i].attempt + 1);
    m.messages[i].attempt = p->attempt;
    if (p->attempt == 1 && !m.messages[i].delayed) {
        ck_assert_int_gt(i + 1, m.last_first[m.messages[i].facet]);
        m.last_first[m.messages[i].facet] = i + 1;
    }
    strcpy(m.messages[i].receipt, p->receipt);
    m.messages[i].settled = false;
    if (once)
        m.messages[i].fate = ONCE;
}

static void pull(int count, int lease)
{
    size_t n = queue_pull("q", count, lease);
    for (size_t i = 0; i < n; i++)
        handed_out(&pulled[i], lease < 0);
    for (size_t i = 0; i < n && m.cap > 0 && lease > 0; i++) {
        bool marked = strchr("ld", pulled[i].facet[0]) != NULL;
        queue_redis("HGET @Nplatoon:q:flight %s%s", marked ? "=" : "", pulled[i].facet);
        ck_assert_int_le(atoi(queue.reply->str), m.cap);
    }
}

/* One that was handed out; -1: none of those that were looked at. */
static int somebody(void)
{
    for (int tries = 0; tries < 20 && m.count > 0; tries++) {
        int i = (int)below((unsigned)m.count);
        if (m.messages[i].receipt[0] != '\0')
            return i;
    }
    return -1;
}

static void settle(unsigned how)
{
    int i = somebody();
    if (i < 0)
        return;
    char receipt[64];
    bool old = below(8) == 0 && m.messages[i].attempt > 1;
    strcpy(receipt, m.messages[i].receipt);
    if (old)
        snprintf(strchr(receipt, '.'), 20, ".%lld", m.messages[i].attempt - 1);
    bool may = !old && !m.messages[i].settled && m.messages[i].fate == LIVE;
    long long counted = how == 0   ? q_int(ACK, "q", receipt)
                        : how == 1 ? q_int(AGAIN, "q", below(2) ? "0" : "2", "why", receipt)
                        : how == 2 ? q_int(BACK, "q", below(2) ? "1" : "0", "died", receipt)
                                   : q_int(BURY, "q", "bad", receipt);
    /* Whether its lease has run out the model does not know, and of `again` and `back` that makes a difference. */
    ck_assert(how == 1 || how == 2 ? counted <= may : counted == may);
    if (counted == 1) {
        m.messages[i].settled = true;
        if (how == 0)
            m.messages[i].fate = ACKED;
    }
}

static void renew(void)
{
    int i = somebody();
    if (i < 0)
        return;
    const char *lease = below(2) ? "60000" : "1", *receipt = m.messages[i].receipt;
    if (below(2))
        queue_call(QUEUE_SCRIPT_QUEUE_RENEW, "q", lease, receipt, NULL);
    else
        queue_call(QUEUE_SCRIPT_QUEUE_ADOPT, "q", "other", lease, receipt, NULL);
    ck_assert_int_eq(queue.reply->type, REDIS_REPLY_ARRAY);
}

static void drop_or_retry(void)
{
    struct queue_list letters;
    struct queue_letter letter;
    char id[32], body[16];
    ck_assert(queue_read_letters(q_packed(DEAD_LIST, "q", "1"), &letters));
    if (!queue_next_letter(&letters, false, &letter))
        return;
    ck_assert(slice_copy(letter.id, id, sizeof id));
    ck_assert(queue_read_letters(q_packed(DEAD_SHOW, "q", id), &letters));
    ck_assert(queue_next_letter(&letters, true, &letter) &&
              slice_copy(letter.body, body, sizeof body));
    int i = atoi(body);
    if (below(2)) {
        ck_assert_int_eq(q_int(DEAD_DROP, "q", "0", id), 1);
        ck_assert_int_eq(m.messages[i].fate, LIVE);
        m.messages[i].fate = DROPPED;
    } else {
        ck_assert_int_eq(q_int(DEAD_RETRY, "q", "0", id), 1);
        m.messages[i].settled = true;
    }
}

static void turn_a_knob(void)
{
    char number[16];
    switch (below(4)) {
    case 0:
        m.cap = (int)below(4);
        snprintf(number, sizeof number, "%d", m.cap);
        q_int(CAP, "q", number);
        break;
    case 1:
        snprintf(number, sizeof number, "%u", below(4));
        q_int(WEIGHT, "q", facet_name((int)below(FACETS)), number);
        break;
    case 2:
        q_int(PAUSE, "q", below(2) ? "1" : "0", facet_name((int)below(FACETS)));
        break;
    default:
        q_int(PAUSE, "q", below(3) == 0 ? "1" : "0");
    }
}

static void step(void)
{
    unsigned what = below(100);
    if (what < 38 && m.count < MESSAGES)
        deliver();
    else if (what < 58)
        pull(1 + (int)below(12), below(3) == 0 ? 1 : 60000);
    else if (what < 60)
        pull(1 + (int)below(3), -1);
    else if (what < 76)
        settle(0);
    else if (what < 86)
        settle(1);
    else if (what < 89)
        settle(2);
    else if (what < 91)
        settle(3);
    else if (what < 94)
        renew();
    else if (what < 96)
        drop_or_retry();
    else
        turn_a_knob();
    queue_check("q");
}

static bool all_is_quiet(void)
{
    struct queue_status s = queue_status_of("q");
    return s.waiting + s.in_flight + s.delayed + s.dead == 0;
}

/* Nothing is held back any more, and everything is acked. */
static void drain(void)
{
    q_int(CAP, "q", "0");
    q_int(PAUSE, "q", "0");
    m.cap = 0;
    for (int f = 0; f < FACETS; f++)
        q_int(WEIGHT, "q", facet_name(f), "1");
    for (int i = 0; i < m.count; i++)
        if (m.messages[i].receipt[0] != '\0' && m.messages[i].fate == LIVE &&
            !m.messages[i].settled)
            m.messages[i].fate = q_int(ACK, "q", m.messages[i].receipt) == 1 ? ACKED : LIVE;
    while (!all_is_quiet()) {
        q_int(DEAD_RETRY, "q", "1000");
        size_t n = queue_pull("q", 50, 60000);
        for (size_t i = 0; i < n; i++)
            handed_out(&pulled[i], false);
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_eq(q_int(ACK, "q", pulled[i].receipt), 1);
            m.messages[atoi(pulled[i].body)].fate = ACKED;
        }
        queue_check("q");
    }
}

static void history(uint64_t seed)
{
    memset(&m, 0, sizeof m);
    m.seed = seed;
    queue_redis("FLUSHALL");
    queue_register_with("q", "", 3, 0, 1000);
    for (int i = 0; i < STEPS; i++)
        step();
    drain();
    for (int i = 0; i < m.count; i++)
        ck_assert_msg(m.messages[i].fate >= ACKED, "%d is lost (seed %d)", i, (int)seed);
    ck_assert_str_eq(queue_redis("HLEN @Nplatoon:q:held"), "0");
    ck_assert_str_eq(queue_redis("SCARD @Nq:active_facets"), "0");
}

START_TEST(nothing_is_lost_and_no_acked_one_comes_again)
{
    for (uint64_t seed = 1; seed <= 12; seed++)
        history(seed);
}
END_TEST

/* ---- fairness: facets that always have something, and work of any length ---- */

#define TENANTS 5

static int in_flight[TENANTS], weight[TENANTS];
static struct {
    int tenant;
    char receipt[64];
} work[64];
static size_t working;

static int smallest_share(void)
{
    int least = 1000;
    for (int i = 0; i < TENANTS; i++)
        least = in_flight[i] / weight[i] < least ? in_flight[i] / weight[i] : least;
    return least;
}

START_TEST(the_smallest_share_goes_first)
{
    queue_register("q", "");
    m.seed = 7;
    for (int i = 0; i < TENANTS; i++) {
        weight[i] = 1 + i % 3;
        char facet[2] = {(char)('a' + i), '\0'}, number[4];
        snprintf(number, sizeof number, "%d", weight[i]);
        q_int(WEIGHT, "q", facet, number);
        for (int j = 0; j < 300; j++)
            queue_deliver("t", facet, "x");
    }
    for (int i = 0; i < 400; i++) {
        if (working < 24) {
            ck_assert_uint_eq(queue_pull("q", 1, 60000), 1);
            int tenant = pulled[0].facet[0] - 'a';
            ck_assert_int_eq(in_flight[tenant] / weight[tenant], smallest_share());
            in_flight[tenant]++;
            work[working].tenant = tenant;
            strcpy(work[working++].receipt, pulled[0].receipt);
        }
        /* The first tenant's work takes long. */
        size_t k = below((unsigned)working);
        if (working >= 24 && (work[k].tenant > 0 || below(40) == 0)) {
            ck_assert_int_eq(q_int(ACK, "q", work[k].receipt), 1);
            in_flight[work[k].tenant]--;
            work[k] = work[--working];
        }
    }
    queue_check("q");
}
END_TEST

SUITE_MAIN_WITH("queue_property", queue_set_up_fcall, queue_tear_down,
                nothing_is_lost_and_no_acked_one_comes_again, the_smallest_share_goes_first)
