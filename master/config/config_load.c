/* config_load.c: from a file to a checked configuration: reads it, has it parsed, has it checked. See config.h. */
#include "master/config/config_load.h"

#include "master/config/config_check.h"
#include "master/config/config_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The byte order mark that some editors put in front says nothing of UTF-8, and would be part of the first word. */
static void config_blank_mark(char *text, size_t len)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (len >= sizeof mark - 1 && memcmp(text, mark, sizeof mark - 1) == 0)
        memset(text, ' ', sizeof mark - 1);
}

/* Nobody may write into a fifo: it would be waited for without end, by a reload in a master that runs. */
static FILE *config_open_file(const char *path, struct buffer *errors)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool plain = fd >= 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
    FILE *file = plain ? fdopen(fd, "r") : NULL;
    if (fd >= 0 && !plain)
        buffer_printf(errors, "%s:1: is no file: it must be a readable text file\n", path);
    else if (file == NULL)
        buffer_printf(errors, "%s:1: %s: check the path and its permissions\n", path,
                      strerror(errno));
    if (file == NULL && fd >= 0)
        close(fd);
    return file;
}

/* Reads at most CONFIG_FILE_MAX bytes. False with the reason in `errors`. */
static bool config_read_file(const char *path, struct buffer *text, struct buffer *errors)
{
    FILE *file = config_open_file(path, errors);
    if (file == NULL)
        return false;
    size_t n = 0;
    char *room = buffer_reserve(text, CONFIG_FILE_MAX + 1);
    if (room != NULL)
        n = fread(room, 1, CONFIG_FILE_MAX + 1, file);
    int failed = ferror(file) ? errno : 0;
    fclose(file);
    if (room == NULL || failed != 0 || n > CONFIG_FILE_MAX) {
        const char *cause = room == NULL  ? "memory is short"
                            : failed != 0 ? strerror(failed)
                                          : "larger than 1 MB";
        buffer_printf(errors, "%s:1: %s: it must be a readable text file\n", path, cause);
        return false;
    }
    const char *nul = memchr(room, '\0', n);
    if (nul != NULL) {
        bool wide = memcmp(room, "\xff\xfe", 2) == 0 || memcmp(room, "\xfe\xff", 2) == 0;
        unsigned line = 1;
        for (const char *c = room; c < nul; c++)
            line += *c == '\n';
        buffer_printf(errors, "%s:%u: %s\n", path, line,
                      wide ? "is UTF-16, as its byte order mark says: save it as UTF-8"
                           : "holds a NUL byte: it must be a readable text file");
        return false;
    }
    config_blank_mark(room, n);
    text->len = n;
    room[n] = '\0'; /* the scanner looks one character ahead */
    return true;
}

/* The directory of the file, without symbolic links in it, so that relative paths mean the same wherever we run. */
static char *config_base_of(const char *path)
{
    char real[PATH_MAX];
    if (realpath(path, real) == NULL)
        return NULL;
    char *slash = strrchr(real, '/');
    *(slash == real ? slash + 1 : slash) = '\0';
    return strdup(real);
}

static struct config *config_new(const char *path)
{
    struct config *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->path = strdup(path);
    c->base = config_base_of(path);
    c->parents = calloc(1, sizeof *c->parents);
    if (c->path == NULL || c->base == NULL || c->parents == NULL) {
        config_free(c);
        return NULL;
    }
    return c;
}

/* With whatever could be understood; *good: all of it. NULL: it cannot be read, or memory is short. */
static struct config *config_load_all(const char *path, struct buffer *errors, bool *good)
{
    struct buffer text = BUFFER_EMPTY;
    struct config *c = config_read_file(path, &text, errors) ? config_new(path) : NULL;
    struct config_errors *list = c != NULL ? calloc(1, sizeof *list) : NULL;
    bool parsed = false;
    *good = false;
    if (list != NULL) {
        parsed = config_parse(c, buffer_slice(&text), list) == 0;
        if (parsed)
            config_check(c, list);
        else
            list->failed = true;
        *good = !config_errors_any(list);
        config_errors_print(list, path, errors);
        config_errors_fini(list);
    } else if (c != NULL) {
        buffer_printf(errors, "%s:1: memory is short\n", path);
    }
    free(list);
    buffer_fini(&text);
    if (parsed && config_platoon(c) != NULL)
        return c;
    config_free(c);
    return NULL;
}

struct config *config_load(const char *path, struct buffer *errors)
{
    bool good;
    struct config *c = config_load_all(path, errors, &good);
    if (good)
        return c;
    config_free(c);
    return NULL;
}

struct config *config_load_rough(const char *path, struct buffer *errors)
{
    bool good;
    return config_load_all(path, errors, &good);
}
