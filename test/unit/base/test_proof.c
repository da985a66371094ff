/* test_proof.c: what proves who a worker is (common/proof.h). */
#include "common/proof.h"
#include "test/unit/suite.h"

START_TEST(each_incarnation_has_its_own_with_each_key)
{
    unsigned char one[PROOF_KEY_SIZE], two[PROOF_KEY_SIZE];
    ck_assert(proof_new_key(one) && proof_new_key(two));
    uint64_t sum = proof_of(one, slice_of("a.1"), 1);
    ck_assert_uint_eq(proof_of(one, slice_of("a.1"), 1), sum);
    ck_assert_uint_ne(proof_of(one, slice_of("a.1"), 2), sum);
    ck_assert_uint_ne(proof_of(one, slice_of("a.2"), 1), sum);
    ck_assert_uint_ne(proof_of(two, slice_of("a.1"), 1), sum);
}
END_TEST

SUITE_MAIN("proof", each_incarnation_has_its_own_with_each_key)
