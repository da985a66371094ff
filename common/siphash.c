/* siphash.c: SipHash-2-4, a word at a time. See siphash.h. */
#include "common/siphash.h"

#include <endian.h>

struct siphash {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t sip_left(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t sip_word(const void *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return le64toh(word);
}

static inline void sip_round(struct siphash *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = sip_left(s->v1, 13) ^ s->v0;
    s->v3 = sip_left(s->v3, 16) ^ s->v2;
    s->v0 = sip_left(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = sip_left(s->v1, 17) ^ s->v2;
    s->v3 = sip_left(s->v3, 21) ^ s->v0;
    s->v2 = sip_left(s->v2, 32);
}

static inline void sip_compress(struct siphash *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t sip_end(struct siphash *s)
{
    s->v2 ^= 0xff;
    for (unsigned i = 0; i < 4; i++)
        sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

/* The last word: what is left, and the length's low byte above it. */
static inline uint64_t sip_tail(const char *from, size_t left, size_t len)
{
    unsigned char bytes[8] = {0};
    memcpy(bytes, from, left);
    bytes[7] = (unsigned char)len;
    return sip_word(bytes);
}

uint64_t siphash(struct slice bytes, const uint8_t key[SIPHASH_KEY_SIZE])
{
    uint64_t k0 = sip_word(key), k1 = sip_word(key + 8);
    struct siphash s = {
        .v0 = k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = k1 ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = bytes.len & ~(size_t)7;
    for (size_t at = 0; at < whole; at += 8)
        sip_compress(&s, sip_word(bytes.ptr + at));
    sip_compress(&s, sip_tail(bytes.ptr + whole, bytes.len - whole, bytes.len));
    return sip_end(&s);
}
