/* test_oom_kills.c: the kernel's count of those it has killed for want of memory. */
#include "common/oom_kills.h"
#include "test/unit/suite.h"

START_TEST(in_a_text)
{
    ck_assert_uint_eq(oom_kills_in("nr_free_pages 5\noom_kill 3\nnuma_hit 7\n"), 3);
    ck_assert_uint_eq(oom_kills_in("nr_free_pages 5\nxoom_kill 3\noom_killer 4\n"), 0);
    ck_assert_uint_eq(oom_kills_in(""), 0);
}
END_TEST

START_TEST(of_this_kernel)
{
    char text[256];
    unsigned long long said = 0;
    uint64_t before = oom_kills();
    FILE *f = fopen("/proc/vmstat", "re");
    ck_assert_ptr_nonnull(f);
    while (fgets(text, sizeof text, f) != NULL)
        sscanf(text, "oom_kill %llu", &said);
    fclose(f);
    ck_assert_uint_le(before, said);
    ck_assert_uint_le(said, oom_kills());
}
END_TEST

SUITE_MAIN("oom-kills", in_a_text, of_this_kernel)
