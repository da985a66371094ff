/* hold_fixture.c: see hold_fixture.h. */
#include "test/unit/cache/hold_fixture.h"

#include <check.h>
#include <stdlib.h>

void hold_set_up(void)
{
    node_set_up();
    node_store(HOLD_TIMEOUT_MS);
}

void hold_store_anew(uint64_t timeout_ms)
{
    node_store_end();
    node_store(timeout_ms);
}

void hold_send_cold(int fd, const char *text)
{
    node_expect(fd, text, "");
}

void hold_send_keys(int fd, const char *command, int count)
{
    struct buffer sent = BUFFER_EMPTY;
    buffer_append_text(&sent, command);
    for (int i = 0; i < count; i++)
        buffer_printf(&sent, " k%d", i);
    buffer_append_text(&sent, "\r\n");
    hold_send_cold(fd, buffer_text(&sent));
    buffer_fini(&sent);
}

int hold_waits;

const char *hold_came_until(int fd, const char *end)
{
    static struct buffer all;
    buffer_clear(&all);
    for (hold_waits = 0; hold_waits < 5000; hold_waits++) {
        buffer_append_text(&all, node_read(fd));
        if (strstr(buffer_text(&all), end) != NULL)
            break;
        node_wait();
    }
    return buffer_text(&all);
}

void hold_waits_once(const char *sent, const char *end)
{
    int fd = node_connect();
    node_send(fd, sent, strlen(sent));
    const char *came = hold_came_until(fd, end);
    ck_assert_ptr_nonnull(strstr(came, end));
    ck_assert_msg(hold_waits < HOLD_ONCE, "%d: %s", hold_waits, came);
    close(fd);
}

void hold_fill(int fd)
{
    char line[64], *value = calloc(1, 60001);
    memset(value, 'x', 60000);
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line, "*3\r\n$3\r\nSET\r\n$2\r\nf%d\r\n$60000\r\n", i);
        node_send(fd, line, strlen(line));
        node_send(fd, value, 60000);
        node_expect(fd, "\r\n", "+OK\r\n");
    }
    free(value);
}
