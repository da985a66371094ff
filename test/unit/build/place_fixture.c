/* place_fixture.c: see place_fixture.h. */
#include "test/unit/build/place_fixture.h"

#include "master/config/config_load.h"
#include "master/systems_config.h"
#include "master/systems_tree.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE_TREE_DEPTH 8

void place_make(struct place *p)
{
    snprintf(p->dir, sizeof p->dir, "/tmp/placeXXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(p->dir));
}

static int place_unlink(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void place_remove(struct place *p)
{
    ck_assert_int_eq(nftw(p->dir, place_unlink, PLACE_TREE_DEPTH, FTW_DEPTH | FTW_PHYS), 0);
}

const char *place_path(const struct place *p, const char *name)
{
    static char paths[4][256];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", p->dir, name);
    return path;
}

void place_write(const struct place *p, const char *name, const char *text, unsigned mode)
{
    FILE *file = fopen(place_path(p, name), "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_ge(fputs(text, file), 0);
    ck_assert_int_eq(fchmod(fileno(file), mode), 0);
    ck_assert_int_eq(fclose(file), 0);
}

const char *place_read(const struct place *p, const char *name)
{
    static char text[256];
    FILE *file = fopen(place_path(p, name), "re");
    ck_assert_msg(file != NULL, "%s/%s is missing", p->dir, name);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

struct config *place_config(const struct place *p, const char *text)
{
    struct buffer errors = BUFFER_EMPTY;
    systems_config_register();
    systems_tree_register();
    place_write(p, "platoon.conf", text, 0600);
    struct config *c = config_load(place_path(p, "platoon.conf"), &errors);
    ck_assert_msg(c != NULL, "%s", buffer_text(&errors));
    buffer_fini(&errors);
    return c;
}
