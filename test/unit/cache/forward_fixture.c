/* forward_fixture.c: see forward_fixture.h. */
#include "test/unit/cache/forward_fixture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FAR_IN    65536
#define FAR_ASKED 512
#define FAR_NUMBER                                                                                 \
    1000000000 /* of what the test sends itself: above it, and that of a fixed length */
#define FAR_LANE 7

/* Node n is far[n - 1]. */
static struct far_node {
    int listener, fd;
    char in[FAR_IN];
    size_t len;
    char numbers[FAR_ASKED][24]; /* of what it was sent and has not answered, in a ring */
    size_t asked, answered;
} far[FAR_NODES];

int far_client;
uint64_t far_lane, far_ms;

static struct cache_peers *peers;

/* ---- the nodes ---- */

static struct sockaddr_un far_address(unsigned at)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s.%u", fake_manager.dir, at);
    return address;
}

void far_comes(unsigned at)
{
    struct sockaddr_un address = far_address(at);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ck_assert_int_ge(fd, 0);
    unlink(address.sun_path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    far[at - 1].listener = fd;
}

void far_cut(unsigned at)
{
    struct far_node *f = &far[at - 1];
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->len = 0;
    f->answered = f->asked;
}

void far_goes(unsigned at)
{
    struct sockaddr_un address = far_address(at);
    close(far[at - 1].listener);
    far[at - 1].listener = -1;
    unlink(address.sun_path);
    far_cut(at);
}

/* What has come by now. */
static void far_read(struct far_node *f)
{
    if (f->fd < 0 && f->listener >= 0) {
        f->fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        f->len = 0;
    }
    ssize_t n = f->fd >= 0 ? recv(f->fd, f->in + f->len, FAR_IN - f->len, 0) : 0;
    f->len += n > 0 ? (size_t)n : 0;
    ck_assert_uint_lt(f->len, FAR_IN);
}

static char far_number[24]; /* of the command that was parsed; "": it has none */

/* Its words with blanks between, but for number, lane and time; 0: it is not whole. Else its bytes. */
static size_t far_parse(const struct far_node *f, char *line, size_t size)
{
    size_t at = 0, used = 0;
    char *end = NULL;
    far_number[0] = '\0';
    if (f->len == 0)
        return 0;
    ck_assert_int_eq(f->in[0], '*');
    if (memchr(f->in, '\n', f->len) == NULL)
        return 0;
    long count = strtol(f->in + 1, &end, 10);
    at = (size_t)(end + 2 - f->in);
    line[0] = '\0';
    bool wrapped = false;
    for (long i = 0; i < count; i++) {
        if (at >= f->len || memchr(f->in + at, '\n', f->len - at) == NULL)
            return 0;
        size_t len = strtoul(f->in + at + 1, &end, 10);
        at = (size_t)(end + 2 - f->in);
        if (at + len + 2 > f->len)
            return 0;
        wrapped = wrapped || (i == 0 && slice_is(slice_make(f->in + at, len), "PLATOON.FOR"));
        if (wrapped && i == 4)
            snprintf(far_number, sizeof far_number, "%.*s", (int)len, f->in + at);
        if (wrapped && i == 5)
            far_lane = strtoull(f->in + at, NULL, 10);
        if (wrapped && i == 6)
            far_ms = strtoull(f->in + at, NULL, 10);
        if (wrapped && i >= 4 && i <= 6) {
            at += len + 2;
            continue;
        }
        used += (size_t)snprintf(line + used, size - used, "%s%.*s", i > 0 ? " " : "", (int)len,
                                 f->in + at);
        ck_assert_uint_lt(used, size);
        at += len + 2;
    }
    return at;
}

/* The next command; what is said on each connection first is answered here. */
static bool far_take(unsigned at, char *line, size_t size)
{
    struct far_node *f = &far[at - 1];
    far_read(f);
    for (size_t used; (used = far_parse(f, line, size)) > 0;) {
        memmove(f->in, f->in + used, f->len - used);
        f->len -= used;
        if (strcmp(line, "PING") != 0) {
            memcpy(f->numbers[f->asked++ % FAR_ASKED], far_number, sizeof far_number);
            ck_assert_uint_le(f->asked - f->answered, FAR_ASKED);
            return true;
        }
        far_say_as_it_is(at, "+PONG\r\n");
    }
    return false;
}

bool far_takes(unsigned at)
{
    char line[4096];
    return far_take(at, line, sizeof line);
}

const char *far_heard(unsigned at)
{
    static char line[4096];
    bool there = false;
    for (int i = 0; i < 10000 && !there; i++) {
        there = far_take(at, line, sizeof line);
        if (!there)
            node_wait();
    }
    ck_assert_msg(there, "node %u has heard nothing", at);
    return line;
}

void far_hears_nothing(unsigned at)
{
    char line[4096];
    for (int i = 0; i < 5; i++) {
        node_turn(2);
        bool there = far_take(at, line, sizeof line);
        ck_assert_msg(!there, "node %u has heard %s", at, line);
    }
}

/* Where the answer ends that begins there; NULL: it is not whole. */
static const char *far_end(const char *at)
{
    const char *end = strstr(at, "\r\n");
    long n = end != NULL ? strtol(at + 1, NULL, 10) : 0;
    if (end == NULL)
        return NULL;
    end += 2;
    if (*at == '$' && n >= 0)
        return strlen(end) >= (size_t)n + 2 ? end + n + 2 : NULL;
    for (long i = 0; *at == '*' && i < n && end != NULL; i++)
        end = far_end(end);
    return end;
}

void far_say_as_it_is(unsigned at, const char *text)
{
    ck_assert_int_eq(send(far[at - 1].fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

void far_say_to(unsigned at, size_t which, const char *text)
{
    struct far_node *f = &far[at - 1];
    struct buffer out = BUFFER_EMPTY;
    size_t place = f->answered + which;
    ck_assert_uint_lt(place, f->asked);
    buffer_printf(&out, "*2\r\n:%s\r\n%s", f->numbers[place % FAR_ASKED], text);
    far_say_as_it_is(at, buffer_text(&out));
    buffer_fini(&out);
    for (; place > f->answered; place--)
        memcpy(f->numbers[place % FAR_ASKED], f->numbers[(place - 1) % FAR_ASKED],
               sizeof f->numbers[0]);
    f->answered++;
}

void far_say(unsigned at, const char *text)
{
    for (const char *end; *text != '\0'; text = end) {
        end = far_end(text);
        ck_assert_ptr_nonnull(end);
        char *one = strndup(text, (size_t)(end - text));
        far_say_to(at, 0, one);
        free(one);
    }
}

/* ---- the client ---- */

/* What another node says has a number, a lane and a time, which tests need not write. */
static size_t far_more(const char *command, size_t count)
{
    return strncasecmp(command, "PLATOON.FOR ", 12) == 0 && count > 4 ? 3 : 0;
}

void far_send_in(int fd, unsigned lane, uint64_t ms, const char *commands)
{
    static unsigned number;
    struct buffer out = BUFFER_EMPTY;
    char *copy = strdup(commands), *next = copy, rest[96];
    for (char *command; (command = strsep(&next, "|")) != NULL;) {
        size_t count = 1, at = 0;
        for (const char *c = command; *c != '\0'; c++)
            count += *c == ' ';
        size_t more = far_more(command, count);
        snprintf(rest, sizeof rest, "%u %u %" PRIu64, FAR_NUMBER + number++, lane, ms);
        buffer_printf(&out, "*%zu\r\n", count + more);
        for (char *word; (word = strsep(&command, " ")) != NULL; at++) {
            for (char *said = rest, *one;
                 at == 4 && more > 0 && (one = strsep(&said, " ")) != NULL;)
                buffer_printf(&out, "$%zu\r\n%s\r\n", strlen(one), one);
            buffer_printf(&out, "$%zu\r\n%s\r\n", strlen(word), word);
        }
    }
    ck_assert(buffer_ok(&out));
    node_send(fd, out.data, out.len);
    buffer_fini(&out);
    free(copy);
}

void far_send(int fd, const char *commands)
{
    far_send_in(fd, FAR_LANE, 0x7fffffff, commands);
}

static struct buffer far_text;

/* The numbers of what the test has sent, which it does not expect. */
static void far_forget_numbers(struct buffer *b)
{
    for (size_t at = 0; at + FAR_NUMBER_LEN <= b->len; at++) {
        char *text = b->data + at;
        if (memcmp(text, "*2\r\n:1", 6) != 0 || strspn(text + 5, "0123456789") != 10)
            continue;
        b->len -= FAR_NUMBER_LEN;
        memmove(text, text + FAR_NUMBER_LEN, b->len - at);
        at--;
    }
}

const char *far_came(int fd, const char *end)
{
    size_t len = strlen(end);
    buffer_clear(&far_text);
    for (int i = 0; i < 10000; i++) {
        buffer_append_text(&far_text, node_read(fd));
        far_forget_numbers(&far_text);
        if (far_text.len >= len && memcmp(far_text.data + far_text.len - len, end, len) == 0)
            break;
        node_wait();
    }
    return buffer_text(&far_text);
}

void far_expect(int fd, const char *text)
{
    ck_assert_str_eq(far_came(fd, text), text);
}

void far_come(int fd, size_t count, const char *const *answers)
{
    size_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += strlen(answers[i]);
    buffer_clear(&far_text);
    for (int i = 0; i < 10000 && far_text.len < all; i++) {
        buffer_append_text(&far_text, node_read(fd));
        far_forget_numbers(&far_text);
        if (far_text.len < all)
            node_wait();
    }
    const char *came = buffer_text(&far_text);
    ck_assert_msg(strlen(came) == all, "%s", came);
    for (size_t i = 0; i < count; i++)
        ck_says(came, answers[i]);
}

void far_expect_nothing(int fd)
{
    node_turn(3);
    ck_assert_str_eq(node_read(fd), "");
}

/* ---- life ---- */

static void far_open(uint64_t timeout_ms)
{
    struct cache_peers_options options = {.loop = node.loop,
                                          .name = "node.1",
                                          .connect_timeout_ms = 5000,
                                          .retry_max_ms = 20,
                                          .silence_ms = 60000,
                                          .queue_max = 1 << 20,
                                          .reply_max = 1 << 20};
    struct cache_peer_node nodes[FAR_NODES];
    struct sockaddr_un address[FAR_NODES];
    char text[FAR_NODES][160], why[512];
    fake_manager.timeout_ms = timeout_ms;
    fake_manager.answers = false;
    play_begin();
    fake_manager.answers = true;
    peers = cache_peers_new(&options, why, sizeof why);
    ck_assert_msg(peers != NULL, "%s", why);
    for (unsigned i = 0; i < FAR_NODES; i++) {
        address[i] = far_address(i + 1);
        snprintf(text[i], sizeof text[i], "unix:%s", address[i].sun_path);
        nodes[i] = (struct cache_peer_node){i + 1, slice_of("node"), slice_of(text[i])};
        far_comes(i + 1);
    }
    ck_assert_int_eq(cache_peers_set(peers, nodes, FAR_NODES), 0);
    node.forward = cache_forward_new(&node, peers, timeout_ms);
    ck_assert_ptr_nonnull(node.forward);
    far_client = node_connect();
}

static void far_shut(void)
{
    close(far_client);
    cache_client_end_all(&node);
    cache_forward_free(node.forward);
    node.forward = NULL;
    cache_peers_free(peers);
    for (unsigned i = 1; i <= FAR_NODES; i++)
        far_goes(i);
    play_shut();
}

void far_set_up(void)
{
    play_set_up();
    for (unsigned i = 0; i < FAR_NODES; i++)
        far[i].fd = far[i].listener = -1;
    far_open(60000);
}

void far_begin(uint64_t timeout_ms)
{
    far_shut();
    fake_manager.joined.mark++;
    fake_manager.joined.number = fake_manager.number;
    far_open(timeout_ms);
}

void far_tear_down(void)
{
    far_shut();
    play_tear_down();
    buffer_fini(&far_text);
}
