/* test_identity.c: how a worker's incarnation names itself in Redis (proto/redis/identity.h). */
#include "proto/redis/identity.h"
#include "test/unit/suite.h"

#include <errno.h>
#include <string.h>

START_TEST(names_the_incarnation)
{
    char identity[REDIS_IDENTITY_SIZE];
    ck_assert_int_eq(redis_identity(identity, "aa", "7", "redis/visits/get-hash.1", UINT64_MAX), 0);
    ck_assert_str_eq(identity, "aa:7:redis/visits/get-hash.1:18446744073709551615");
}
END_TEST

START_TEST(what_does_not_fit_is_refused)
{
    char identity[REDIS_IDENTITY_SIZE] = "kept";
    char name[REDIS_IDENTITY_SIZE + 1];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    ck_assert_int_eq(redis_identity(identity, "aa", "1", name, 1), -ENAMETOOLONG);
    ck_assert_str_eq(identity, "kept");
    name[REDIS_IDENTITY_SIZE - strlen("aa:1::1")] = '\0';
    ck_assert_int_eq(redis_identity(identity, "aa", "1", name, 1), -ENAMETOOLONG);
    name[REDIS_IDENTITY_SIZE - strlen("aa:1::1") - 1] = '\0';
    ck_assert_int_eq(redis_identity(identity, "aa", "1", name, 1), 0);
    ck_assert_uint_eq(strlen(identity), REDIS_IDENTITY_SIZE - 1);
}
END_TEST

SUITE_MAIN("identity", names_the_incarnation, what_does_not_fit_is_refused)
