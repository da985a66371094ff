/* test_http_static.c: files of a folder, and all the ways out of it. */
#include "common/http/http_static.h"

#include "test/unit/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

static char folder[64], outside[80];

static void put(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void lead(const char *to, const char *name)
{
    char path[160];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(symlink(to, path), 0);
}

static void set_up(void)
{
    char path[160];
    snprintf(folder, sizeof folder, "/tmp/test_http_static.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(outside, sizeof outside, "%s.secret", folder);
    FILE *out = fopen(outside, "w");
    ck_assert_ptr_nonnull(out);
    fputs("secret", out);
    fclose(out);
    snprintf(path, sizeof path, "%s/sub", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/.git", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/pipe", folder);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    put("index.html", "<p>");
    put("a.CSS", "a{}");
    put("sub/index.html", "<p>sub");
    put("sub/data", "1");
    put(".hidden", "no");
    put(".git/config", "no");
    lead(outside, "out");
    lead("../..", "up");
    lead("sub/data", "within");
    lead("loop", "loop");
}

static void tear_down(void)
{
    char command[160];
    snprintf(command, sizeof command, "rm -rf %s %s", folder, outside);
    ck_assert_int_eq(system(command), 0);
}

static void expect(const char *path, const char *type, const char *text)
{
    struct http_static file;
    char got[64] = "";
    int rc = http_static_open(folder, path, &file);
    ck_assert_msg(rc == 0, "%s: %d", path, rc);
    ck_assert_str_eq(file.type, type);
    ck_assert_uint_eq(file.size, strlen(text));
    ck_assert_int_eq(read(file.fd, got, sizeof got - 1), strlen(text));
    ck_assert_str_eq(got, text);
    close(file.fd);
}

START_TEST(files)
{
    expect("/", "text/html; charset=utf-8", "<p>");
    expect("/index.html", "text/html; charset=utf-8", "<p>");
    expect("/a.CSS", "text/css; charset=utf-8", "a{}");
    expect("/sub/", "text/html; charset=utf-8", "<p>sub");
    expect("/sub/data", "application/octet-stream", "1");
    expect("/within", "application/octet-stream", "1");
}
END_TEST

START_TEST(ways_out)
{
    static const char *const bad[] = {
        "",        "a.CSS",          "/none",         "/sub",     "/.hidden", "/.git/config",
        "/..",     "/../",           "/sub/../a.CSS", "/./a.CSS", "//a.CSS",  "/sub//data",
        "/out",    "/up/etc/passwd", "/loop",         "/pipe",    "/a.CSS/",  "/a.CSS/x",
        "/sub/..", "//etc/passwd"};
    struct http_static file = {.fd = -1};
    char longer[2000];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_msg(http_static_open(folder, bad[i], &file) == -ENOENT, "%s is opened", bad[i]);
    memset(longer, 'a', sizeof longer - 1);
    longer[0] = '/';
    longer[sizeof longer - 1] = '\0';
    ck_assert_int_eq(http_static_open(folder, longer, &file), -ENOENT);
    ck_assert_int_eq(http_static_open("/nowhere/at/all", "/", &file), -ENOENT);
    ck_assert_int_eq(file.fd, -1);
}
END_TEST

SUITE_MAIN_WITH("http-static", set_up, tear_down, files, ways_out)
