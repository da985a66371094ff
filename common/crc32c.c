/* crc32c.c: see crc32c.h. */
#include "common/crc32c.h"

#include <endian.h>
#include <uv.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u /* reflected */
#define CRC32C_LANES      8           /* bytes a step */

static uint32_t table[CRC32C_LANES][256];

static void crc32c_make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ ((crc & 1) != 0 ? CRC32C_POLYNOMIAL : 0);
        table[0][i] = crc;
    }
    for (size_t lane = 1; lane < CRC32C_LANES; lane++)
        for (uint32_t i = 0; i < 256; i++)
            table[lane][i] = (table[lane - 1][i] >> 8) ^ table[0][table[lane - 1][i] & 0xff];
}

static uint64_t crc32c_word(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return le64toh(word);
}

static uint32_t crc32c_step(uint64_t word)
{
    uint32_t crc = 0;
    for (size_t lane = 0; lane < CRC32C_LANES; lane++)
        crc ^= table[CRC32C_LANES - 1 - lane][word >> (8 * lane) & 0xff];
    return crc;
}

uint32_t crc32c_by_table(uint32_t crc, struct slice bytes)
{
    static uv_once_t once = UV_ONCE_INIT;
    uv_once(&once, crc32c_make_table);
    const char *at = bytes.ptr;
    size_t left = bytes.len;
    crc = ~crc;
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t))
        crc = crc32c_step(crc32c_word(at) ^ crc);
    for (; left > 0; left--, at++)
        crc = (crc >> 8) ^ table[0][(crc ^ (unsigned char)*at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

static bool crc32c_is_in_hardware(void)
{
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_by_hardware(uint32_t start,
                                                                     struct slice bytes)
{
    const char *at = bytes.ptr;
    size_t left = bytes.len;
    uint64_t crc = ~start;
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t))
        crc = __builtin_ia32_crc32di(crc, crc32c_word(at));
    for (; left > 0; left--, at++)
        crc = __builtin_ia32_crc32qi((uint32_t)crc, (unsigned char)*at);
    return ~(uint32_t)crc;
}

#elif defined(__aarch64__) && defined(__linux__)

#include <sys/auxv.h>

#define CRC32C_HWCAP (1ul << 7) /* HWCAP_CRC32 */

static bool crc32c_is_in_hardware(void)
{
    return (getauxval(AT_HWCAP) & CRC32C_HWCAP) != 0;
}

static uint32_t crc32c_by_hardware(uint32_t start, struct slice bytes)
{
    const char *at = bytes.ptr;
    size_t left = bytes.len;
    uint32_t crc = ~start;
    for (; left >= sizeof(uint64_t); left -= sizeof(uint64_t), at += sizeof(uint64_t))
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(crc) : "r"(crc32c_word(at)));
    for (; left > 0; left--, at++)
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1"
                : "+r"(crc)
                : "r"((unsigned char)*at));
    return ~crc;
}

#else

static bool crc32c_is_in_hardware(void)
{
    return false;
}

static uint32_t crc32c_by_hardware(uint32_t start, struct slice bytes)
{
    return crc32c_by_table(start, bytes);
}

#endif

uint32_t crc32c(uint32_t crc, struct slice bytes)
{
    return crc32c_is_in_hardware() ? crc32c_by_hardware(crc, bytes) : crc32c_by_table(crc, bytes);
}
