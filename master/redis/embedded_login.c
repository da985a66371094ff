/*
 * embedded_login.c: the password of the embedded server, from the password file into a configuration file of the
 * server's. See embedded_redis.h.
 *
 * Runs in the master, before the server is started and at each reload.
 */
#include "common/login_file.h"
#include "common/whole_file.h"
#include "master/redis/embedded_redis.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#define EMBEDDED_PASSWORD_BYTES 32

/* An empty one is what a power failure leaves of one that was never written through; nobody knows a password of it. */
static int login_make(const char *path)
{
    unsigned char random[EMBEDDED_PASSWORD_BYTES];
    char text[2 * EMBEDDED_PASSWORD_BYTES + 1];
    struct stat st;
    if (lstat(path, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_size > 0))
        return 0;
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return -EIO;
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    text[sizeof text - 1] = '\n';
    int rc = whole_file_write(path, slice_make(text, sizeof text));
    explicit_bzero(random, sizeof random);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* A word of redis.conf in quotes: any byte may stand in it. */
static void login_word(struct buffer *out, const char *before, struct slice word)
{
    buffer_printf(out, "\"%s", before);
    for (size_t i = 0; i < word.len; i++)
        buffer_printf(out, "\\x%02x", (unsigned char)word.ptr[i]);
    buffer_append_char(out, '"');
}

static void login_text(struct buffer *out, const struct login_file *login)
{
    if (login->user.len == 0) {
        buffer_append_text(out, "requirepass ");
        login_word(out, "", login->password);
    } else {
        buffer_append_text(out, "user default off\nuser ");
        login_word(out, "", login->user);
        buffer_append_text(out, " on ");
        login_word(out, ">", login->password);
        buffer_append_text(out, " ~* &* +@all");
    }
    buffer_append_char(out, '\n');
}

int embedded_login_write(const char *password_file, bool make, const char *to, char *why,
                         size_t why_size)
{
    struct login_file login;
    struct buffer text = BUFFER_EMPTY;
    why[0] = '\0';
    int rc = make ? login_make(password_file) : 0;
    if (rc != 0)
        return rc;
    rc = login_file_read(&login, password_file, why, why_size);
    if (rc != 0)
        return make ? rc : 0; /* preflight_embedded says it better, and nothing is started */
    login_text(&text, &login);
    login_file_wipe(&login);
    rc = buffer_ok(&text) ? whole_file_write(to, buffer_slice(&text)) : -ENOMEM;
    if (text.data != NULL)
        explicit_bzero(text.data, text.len);
    buffer_fini(&text);
    return rc;
}
