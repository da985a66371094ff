/*
 * config_settings.h: what CONFIG tells a worker: the part of the configuration that concerns it
 * (PROTOCOL.md, Master and worker).
 *
 * Runs in the master. Pure functions over a loaded configuration: no file, no socket, no process is touched.
 * Which sections concern a worker follows from the lists (proto/systems.h): platoon's; the one that gives birth
 * to it, as "<word>.<key>"; and those that this one names in keys of type SECTION, as "<that key>.<key>". A
 * section's title is its "name".
 */
#ifndef MASTER_BUILD_CONFIG_SETTINGS_H
#define MASTER_BUILD_CONFIG_SETTINGS_H

#include "common/slice.h"
#include "master/config/config.h"
#include "proto/worker_types.h"

/* What every worker is told besides the configuration. */
struct config_identity {
    const char *instance;
    uint64_t boot;
    const char *cgroup; /* where groups with a limit of memory are made; "": nowhere */
};

/* Settings the configuration does not hold: command.argv.0 and the like. Each replaces one of the same name. */
struct config_extras {
    struct config_extra *list;
    size_t count;
    bool failed; /* memory was short */
};

#define CONFIG_EXTRAS_EMPTY ((struct config_extras){.list = NULL})

/* Copies both. */
void config_extras_add(struct config_extras *e, const char *name, const char *value);

/* The same of a list in which settings come several at a time: `what` of its item `number`, from 0 (CONTRACT_ITEM). */
void config_extras_add_item(struct config_extras *e, const char *list, size_t number,
                            const char *what, const char *value);
void config_extras_fini(struct config_extras *e);

/*
 * The value that workers are told of a key instead of the one in the file (TELLS in
 * proto/systems.h): appended to `out`.
 */
struct config_tell {
    enum config_kind kind;
    const char *key;
    void (*tell)(const struct config *c, const struct config_section *s, struct buffer *out);
};

/* Once, before the first of what follows. The list lives as long as the process. */
void config_settings_register(const struct config_tell *tells, size_t count);

/*
 * Appends the settings of a worker: one msgpack map of text to text, ready for link_config_pack. `section` is the one
 * that gives birth to the worker; NULL: all that it is told are platoon's keys and the extras. Copies everything.
 * Returns 0; -ENOENT when the section refers to one that does not exist (config_load refuses that); -ENOMEM. On failure
 * `out` is as before, except that it may be `failed`.
 */
int config_settings_pack(struct buffer *out, const struct config *c,
                         const struct config_section *section,
                         const struct config_identity *identity,
                         const struct config_extras *extras);

/*
 * The same for a worker that is there once: of each section of the kind it is told every key, as
 * "<word>/<title>.<key>".
 */
int config_settings_pack_all(struct buffer *out, const struct config *c, enum config_kind kind,
                             const struct config_identity *identity,
                             const struct config_extras *extras);

/* Adds all keys of all sections of a kind likewise, for what names them without a key of its own. */
void config_extras_add_all(struct config_extras *e, const struct config *c, enum config_kind kind);

/* Adds all keys of one section as "<word>.<key>", and its title as "<word>.name": of one that no key names. */
void config_extras_add_section(struct config_extras *e, const struct config *c, const char *word,
                               const struct config_section *section);

/*
 * True when two such maps tell the same, in whatever order. Anything that is no such map is the same only byte by byte.
 */
bool config_settings_same(struct slice a, struct slice b);

/*
 * The same for a worker that an older build started with `then`: what `now` tells besides, because only newer builds
 * do, is no change: it is told at its next start. An upgrade that restarts whom it takes over was rejected.
 */
bool config_settings_still(struct slice then, struct slice now);

#endif
