/*
 * config_kind.h: the kinds of sections that a configuration file has, from the SECTIONS of proto/systems.h.
 *
 * Read by the master and the tool: by the parser, and by the tree, whose workers know what gave birth to them.
 */
#ifndef PROTO_CONFIG_KIND_H
#define PROTO_CONFIG_KIND_H

#include "proto/systems.h"

/* As min of a KEYS line of type STRING. */
#define CONFIG_MASKED 1

enum config_kind {
#define X(KIND, word, HEADS, example, what) CONFIG_##KIND,
    SYSTEMS(SECTIONS, X)
#undef X
        CONFIG_KIND_COUNT
};

#endif
