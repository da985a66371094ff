/*
 * redis_script.h: the Lua scripts of all systems, from the SCRIPTS of proto/systems.h.
 *
 * Used by the workers that call them. What every call is: KEYS and ARGV stand in the first lines of each script's file;
 * a script is loaded at every connection, called by its digest, and does the same when it is called twice
 * (ARCHITECTURE, House rules).
 */
#ifndef PROTO_REDIS_REDIS_SCRIPT_H
#define PROTO_REDIS_REDIS_SCRIPT_H

#include "proto/systems.h"

/* The texts, the shared parts in front, made from the files by scripts/lib/embed. */
#define X(NAME, name, file, parts) extern const char redis_script_##name[];
SYSTEMS(SCRIPTS, X)
#undef X

#endif
