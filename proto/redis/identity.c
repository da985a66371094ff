/* identity.c: see identity.h. */
#include "proto/redis/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int redis_identity(char identity[REDIS_IDENTITY_SIZE], const char *instance, const char *boot,
                   const char *name, uint64_t generation)
{
    char text[REDIS_IDENTITY_SIZE];
    int len = snprintf(text, sizeof text, "%s:%s:%s:%" PRIu64, instance, boot, name, generation);
    if (len < 0 || (size_t)len >= sizeof text)
        return -ENAMETOOLONG;
    memcpy(identity, text, (size_t)len + 1);
    return 0;
}
