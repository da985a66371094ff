/*
 * systems_config.h: the systems' own checks and values of the configuration, for who reads one.
 *
 * Runs in the master and in the tool. The one place, with systems_tree.h, where the master's core meets the systems: by
 * the lists of proto/systems.h, and never by a name. Each function stands in its system's room, master/<system>/.
 */
#ifndef MASTER_SYSTEMS_CONFIG_H
#define MASTER_SYSTEMS_CONFIG_H

#include "master/build/config_settings.h"
#include "master/config/config_check.h"

/*
 * Looks at a section that is not doubled; what is wrong goes to `errors`. A key that is broken already was told
 * of (config_check_broken).
 */
#define X(KIND, name)                                                                              \
    void config_check_##name(const struct config *c, const struct config_section *s,               \
                             struct config_errors *errors);
SYSTEMS(CHECKS, X)
#undef X

/* Appends what workers are told of the key instead of what stands in the file. */
#define X(KIND, key, name)                                                                         \
    void config_tell_##name(const struct config *c, const struct config_section *s,                \
                            struct buffer *out);
SYSTEMS(TELLS, X)
#undef X

/* Once, before the first configuration is loaded. */
void systems_config_register(void);

#endif
