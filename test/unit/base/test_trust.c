/* test_trust.c: who else may change what stands at a path, wherever above it. As root: there must be a second user. */
#include "common/trust.h"

#include "test/unit/build/place_fixture.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SOMEBODY 12345

static struct place place;
static struct trust_path t;

static void start(void)
{
    place_make(&place);
    t.dir = -1;
}

static void finish(void)
{
    trust_close(&t);
    place_remove(&place);
}

static void make_dir(const char *name, uid_t uid, mode_t mode)
{
    const char *path = place_path(&place, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert(uid == 0 || chown(path, uid, uid) == 0);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static void make_link(const char *name, const char *target, uid_t uid)
{
    char to[PATH_MAX];
    snprintf(to, sizeof to, "%s", target[0] == '/' ? target : place_path(&place, target));
    ck_assert_int_eq(symlink(to, place_path(&place, name)), 0);
    ck_assert(uid == 0 || lchown(place_path(&place, name), uid, uid) == 0);
}

static int walk(const char *name, enum trust_rule rule)
{
    trust_close(&t);
    return trust_walk(place_path(&place, name), rule, &t);
}

static void expect_blamed(const char *name, uid_t owner)
{
    ck_assert_str_eq(t.at, place_path(&place, name));
    ck_assert_uint_eq(t.owner, owner);
    ck_assert_int_eq(t.dir, -1);
}

/* The file that an open in t.dir makes. */
static void expect_made(const char *name)
{
    int fd = openat(t.dir, t.name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(access(place_path(&place, name), F_OK), 0);
}

START_TEST(what_is_ours_alone_is_walked)
{
    make_dir("a", 0, 0755);
    make_dir("a/b", 0, 0700);
    make_link("link", "a", 0);
    ck_assert_int_eq(walk("a/b/file", TRUST_NO_OTHERS), 0);
    expect_made("a/b/file");
    ck_assert_int_eq(walk("link/b/../b/.//two", TRUST_NO_OTHERS), 0);
    expect_made("a/b/two");
    ck_assert_int_eq(walk("a/none/file", TRUST_NO_OTHERS), -ENOENT);
    ck_assert_int_eq(walk("a/b/file/more", TRUST_NO_OTHERS), -ENOTDIR);
    ck_assert_int_eq(trust_walk("/", TRUST_NO_OTHERS, &t), 0);
    ck_assert_str_eq(t.name, ".");
    ck_assert_int_eq(trust_walk("relative", TRUST_NO_OTHERS, &t), -EINVAL);
}
END_TEST

/* Of a service: one that has no members, as www-data has none. */
static gid_t primary_group(void)
{
    const struct passwd *user;
    gid_t gid = 0;
    setpwent();
    while (gid == 0 && (user = getpwent()) != NULL) {
        const struct group *g = getgrgid(user->pw_gid);
        if (user->pw_uid != 0 && g != NULL && g->gr_gid <= 99 && *g->gr_mem == NULL)
            gid = g->gr_gid;
    }
    endpwent();
    return gid != 0 ? gid : SOMEBODY;
}

START_TEST(any_directory_above_counts)
{
    if (geteuid() != 0)
        return;
    gid_t primary = primary_group();
    const struct {
        uid_t uid;
        gid_t gid;
        mode_t mode;
        bool good;
    } cases[] = {
        {SOMEBODY, 0, 0755, false}, {0, 0, 0777, false},         {0, SOMEBODY, 0770, false},
        {0, 0, 01777, true},        {SOMEBODY, 0, 01755, false}, {0, 0, 0775, true},
        {0, SOMEBODY, 0750, true},  {0, primary, 0775, false},   {0, primary, 0755, true}};
    make_dir("top", 0, 0755);
    make_dir("top/in", 0, 0755);
    make_dir("top/in/run", 0, 0700);
    char *in = strdup(place_path(&place, "top/in"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_int_eq(chown(in, cases[i].uid, cases[i].gid), 0);
        ck_assert_int_eq(chmod(in, cases[i].mode), 0);
        int rc = walk("top/in/run/x", TRUST_NO_OTHERS);
        ck_assert_msg(rc == (cases[i].good ? 0 : -EPERM), "case %zu: %d", i, rc);
        if (!cases[i].good)
            expect_blamed("top/in", cases[i].uid);
        ck_assert_int_eq(walk("top/in/run/x", TRUST_NO_LINKS), 0);
    }
    free(in);
}
END_TEST

/* acl(5): version 2, then tag, permissions and id of each entry. `user` may write. */
static bool give_list(const char *path, uint32_t user)
{
    static const uint32_t none = UINT32_MAX;
    const struct {
        uint16_t tag, perm;
        uint32_t id;
    } entries[] = {
        {0x01, 7, none}, {0x02, 7, user}, {0x04, 5, none}, {0x10, 7, none}, {0x20, 5, none}};
    char list[4 + sizeof entries] = {2};
    memcpy(list + 4, entries, sizeof entries);
    return setxattr(path, "system.posix_acl_access", list, sizeof list, 0) == 0;
}

START_TEST(who_stands_in_the_access_list_is_somebody_else)
{
    make_dir("dir", 0, 0755);
    if (geteuid() != 0 || !give_list(place_path(&place, "dir"), SOMEBODY))
        return; /* a file system that has none */
    ck_assert_int_eq(walk("dir/x", TRUST_NO_OTHERS), -EPERM);
    expect_blamed("dir", 0);
    ck_assert_int_eq(walk("dir/x", TRUST_NO_LINKS), 0);
    ck_assert(t.open);
    ck_assert_int_eq(chmod(place_path(&place, "dir"), 0755), 0); /* the mask: they may read */
    ck_assert_int_eq(walk("dir/x", TRUST_NO_OTHERS), 0);
    ck_assert(!t.open);
}
END_TEST

START_TEST(in_a_directory_for_all_each_has_its_own)
{
    if (geteuid() != 0)
        return;
    make_dir("tmp", 0, 01777);
    make_dir("tmp/ours", 0, 0755);
    make_dir("tmp/theirs", SOMEBODY, 0755);
    ck_assert_int_eq(walk("tmp/ours/x", TRUST_NO_OTHERS), 0);
    ck_assert_int_eq(walk("tmp/theirs/x", TRUST_NO_OTHERS), -EPERM);
    expect_blamed("tmp/theirs", SOMEBODY);
    make_link("tmp/to", "tmp/ours", SOMEBODY);
    ck_assert_int_eq(walk("tmp/to/x", TRUST_NO_LINKS), -EMLINK);
    expect_blamed("tmp/to", SOMEBODY);
    make_link("tmp/own", "tmp/ours", 0);
    ck_assert_int_eq(walk("tmp/own/x", TRUST_NO_LINKS), 0);
}
END_TEST

START_TEST(links_that_others_can_have_made_lead_nowhere)
{
    if (geteuid() != 0)
        return;
    make_dir("precious", 0, 0755);
    make_dir("home", SOMEBODY, 0755);
    make_link("home/logs", "precious", SOMEBODY);
    make_link("home/log", "precious/file", 0);
    make_link("way", "home/log", 0);
    for (int rule = TRUST_NO_LINKS; rule <= TRUST_NO_FOLLOW; rule++) {
        ck_assert_int_eq(walk("home/logs/file", (enum trust_rule)rule), -EMLINK);
        expect_blamed("home/logs", SOMEBODY);
        ck_assert_int_eq(walk("home/log", (enum trust_rule)rule), -EMLINK);
        ck_assert_uint_eq(t.dir_owner, SOMEBODY);
    }
    ck_assert_int_eq(walk("way", TRUST_NO_LINKS), -EMLINK);
    ck_assert_int_eq(walk("way", TRUST_NO_FOLLOW), 0);
    ck_assert_str_eq(t.name, "way");
    ck_assert_int_eq(walk("home/file", TRUST_NO_LINKS), 0);
    expect_made("home/file");
}
END_TEST

START_TEST(circles_and_the_kernels_own_links)
{
    make_link("one", "two", 0);
    make_link("two", "one", 0);
    ck_assert_int_eq(walk("one", TRUST_NO_LINKS), -ELOOP);
    ck_assert_int_eq(trust_walk("/dev/stdout", TRUST_NO_LINKS, &t), 0);
    ck_assert(t.magic);
    ck_assert_str_eq(t.name, "1");
}
END_TEST

START_TEST(says_who)
{
    if (geteuid() != 0)
        return;
    struct buffer out = BUFFER_EMPTY;
    make_dir("theirs", SOMEBODY, 0755);
    make_link("theirs/link", "/etc", SOMEBODY);
    int rc = walk("theirs/x", TRUST_NO_OTHERS);
    trust_say(&t, rc, &out);
    ck_assert_ptr_nonnull(strstr(buffer_text(&out), "/theirs belongs to uid 12345, who could"));
    buffer_clear(&out);
    rc = walk("theirs/link/x", TRUST_NO_LINKS);
    trust_say(&t, rc, &out);
    ck_assert_ptr_nonnull(
        strstr(buffer_text(&out), "/link is a symbolic link of uid 12345, in a directory of uid "));
    buffer_clear(&out);
    trust_say_user(0, &out);
    ck_assert_str_eq(buffer_text(&out), "uid 0 (root)");
    buffer_fini(&out);
}
END_TEST

/* One file has one name, there or not, however it is written. */
START_TEST(a_name_without_links)
{
    static const char *const names[] = {"dir/file", "link/file", "dir/../link/./file", "to-file"};
    char real[PATH_MAX], wanted[PATH_MAX];
    make_dir("dir", 0, 0755);
    make_link("link", "dir", 0);
    make_link("to-file", "link/file", 0);
    ck_assert_ptr_nonnull(realpath(place_path(&place, "dir"), wanted));
    strcat(wanted, "/file");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ck_assert_int_eq(walk(names[i], TRUST_NO_LINKS), 0);
        ck_assert_int_eq(trust_real(&t, real), 0);
        ck_assert_str_eq(real, wanted);
    }
    trust_close(&t);
    ck_assert_int_eq(trust_walk("/file", TRUST_NO_LINKS, &t), 0);
    ck_assert_int_eq(trust_real(&t, real), 0);
    ck_assert_str_eq(real, "/file");
}
END_TEST

SUITE_MAIN_WITH("trust", start, finish, what_is_ours_alone_is_walked, any_directory_above_counts,
                who_stands_in_the_access_list_is_somebody_else,
                in_a_directory_for_all_each_has_its_own,
                links_that_others_can_have_made_lead_nowhere, circles_and_the_kernels_own_links,
                says_who, a_name_without_links)
