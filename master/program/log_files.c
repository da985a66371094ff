/* log_files.c: see log_files.h. */
#include "master/program/log_files.h"

#include "common/words.h"
#include "master/config/config_check_key.h"
#include "master/program/config_check_program.h"

#include <inttypes.h>
#include <stdlib.h>

/* Every log file there will be, and whose it is. */
struct log_files {
    struct tree_builder *b;
    struct name_index owners; /* path to section */
    char **paths;
    size_t count;
};

/* "/a/./b" and "/a//b" are "/a/b". What only the file system knows (links) is not asked here. */
static void log_files_plain(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        bool skip = from[0] == '/' && (from[1] == '/' || (from[1] == '.' && from[2] == '/'));
        if (skip)
            from += from[1] == '.';
        else
            *to++ = *from;
    }
    *to = '\0';
}

static void log_files_double(const struct log_files *l, const struct config_section *s,
                             const struct config_section *owner, const char *path)
{
    const char *title = config_title(owner);
    config_say(l->b->c, s, "log_file", l->b->error,
               "log_file: %s is written by %s%s%s already, on line %u: each needs one of its own",
               path, config_kind_name(config_section_kind(owner)), title[0] != '\0' ? " " : "",
               title, owner->line);
    l->b->failed = true;
}

/* Takes over `path`, which is malloc'ed. False: nothing more of this section needs to be looked at. */
static bool log_files_add(struct log_files *l, const struct config_section *s, char *path)
{
    char **grown = path != NULL ? realloc(l->paths, (l->count + 1) * sizeof(*grown)) : NULL;
    if (grown == NULL) {
        free(path);
        builder_fail(l->b, config_title(s), "memory is short");
        return false;
    }
    l->paths = grown;
    l->paths[l->count++] = path;
    log_files_plain(path);
    const struct config_section *owner = name_index_find(&l->owners, 0, slice_of(path));
    if (owner != NULL)
        log_files_double(l, s, owner, path);
    else if (!name_index_add(&l->owners, 0, path, s))
        builder_fail(l->b, config_title(s), "memory is short");
    return owner == NULL && !l->b->failed;
}

static void log_files_program(struct log_files *l, const struct config_section *s)
{
    const char *file = config_get(s, "log_file");
    uint64_t count = config_get_u64(s, "processes");
    bool go_on = file[0] != '\0';
    for (uint64_t number = 1; go_on && (number == 1 || number <= count); number++) {
        struct buffer path = BUFFER_EMPTY;
        bool each = words_expand_number(file, number, &path);
        const char *text = buffer_text(&path);
        go_on = log_files_add(l, s, text != NULL ? strdup(text) : NULL) && each;
        buffer_fini(&path);
    }
}

void log_files_check(struct tree_builder *b)
{
    struct log_files l = {.b = b};
    const struct config_section *s = config_platoon(b->c);
    if (strcmp(config_get(s, "log_to"), "file") == 0 && config_get(s, "log_path")[0] != '\0')
        log_files_add(&l, s, strdup(config_get(s, "log_path")));
    for (size_t i = 0; (s = config_section_at(b->c, CONFIG_PROGRAM, i)) != NULL; i++)
        log_files_program(&l, s);
    for (size_t i = 0; i < l.count; i++)
        free(l.paths[i]);
    free(l.paths);
    name_index_fini(&l.owners);
}
