/*
 * identity.h: who asks: the name under which an incarnation of a worker stands in Redis.
 *
 * Used by every worker that leaves something of its own in Redis. Pure. After its death others find what it left by
 * this name (orphans), and no other incarnation ever has it again.
 */
#ifndef PROTO_REDIS_IDENTITY_H
#define PROTO_REDIS_IDENTITY_H

#include <stdint.h>

/* Longest identity, NUL included: instance, boot, name, generation. */
#define REDIS_IDENTITY_SIZE 160

/* "instance:boot:name:generation". Returns 0; or -ENAMETOOLONG, the text untouched, when it does not fit. */
int redis_identity(char identity[REDIS_IDENTITY_SIZE], const char *instance, const char *boot,
                   const char *name, uint64_t generation);

#endif
