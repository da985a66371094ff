/*
 * backing_name.h: what an object is called in the store, by its key.
 *
 * Runs in a backing worker. Pure, and one to one: keys are any bytes, names are what a person can read in a listing and
 * every file system and S3 server takes. Unreserved characters and ":" stand for themselves, in S3 "/" too; all else is
 * %XX, also a "." or "/" at the start or behind a "/", because "..", hidden names and empty components are no names of
 * objects. What would be empty or too long is "%-" and the SHA-256 of the key in hex: no encoded key begins so.
 */
#ifndef WORKERS_CACHE_BACKING_NAME_H
#define WORKERS_CACHE_BACKING_NAME_H

#include "common/slice.h"

enum backing_kind { BACKING_FILE, BACKING_S3 };

#define BACKING_NAME_FILE_MAX 200
#define BACKING_NAME_S3_MAX   800
#define BACKING_NAME_SIZE     (BACKING_NAME_S3_MAX + 1)

/*
 * Writes the name and a NUL. In a file store it stands in a directory of the first two hex digits of the key's SHA-256:
 * "a3/user:1". False when OpenSSL has no memory.
 */
bool backing_name(enum backing_kind kind, struct slice key, char name[BACKING_NAME_SIZE]);

#endif
