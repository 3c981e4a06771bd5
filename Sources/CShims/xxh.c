// XXH3 from the system's xxhash.h, inlined here; SipHash-2-4 with 128 bits of output, from its paper and reference
// vectors.
#include "CShims.h"
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t sluice_xxh3_64(const void *bytes, size_t count, uint64_t seed) {
    return XXH3_64bits_withSeed(bytes, count, seed);
}

sluice_hash128 sluice_xxh3_128(const void *bytes, size_t count, uint64_t seed) {
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, count, seed);
    return (sluice_hash128){hash.low64, hash.high64};
}

static inline uint64_t little_endian(uint64_t value) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return __builtin_bswap64(value);
#else
    return value;
#endif
}

static inline uint64_t load_word(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return little_endian(word);
}

uint64_t sluice_xxh3_words(uint64_t first, uint64_t second, uint64_t third) {
    uint64_t words[3] = {little_endian(first), little_endian(second), little_endian(third)};
    return XXH3_64bits_withSeed(words, sizeof words, 0);
}

typedef struct { uint64_t v0, v1, v2, v3; } sip_state;

static inline uint64_t rotate(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

static inline void sip_round(sip_state *s) {
    s->v0 += s->v1; s->v1 = rotate(s->v1, 13); s->v1 ^= s->v0; s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3; s->v3 = rotate(s->v3, 16); s->v3 ^= s->v2;
    s->v0 += s->v3; s->v3 = rotate(s->v3, 21); s->v3 ^= s->v0;
    s->v2 += s->v1; s->v1 = rotate(s->v1, 17); s->v1 ^= s->v2; s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(sip_state *s, uint64_t word) {
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline sip_state sip_begin(uint64_t key0, uint64_t key1) {
    return (sip_state){
        0x736f6d6570736575u ^ key0, 0x646f72616e646f6du ^ key1 ^ 0xee, 0x6c7967656e657261u ^ key0,
        0x7465646279746573u ^ key1};
}

static inline void sip_words(sip_state *s, const uint8_t *bytes, size_t word_count) {
    for (size_t index = 0; index < word_count; index++) sip_word(s, load_word(bytes + 8 * index));
}

// `tail` are the last count % 8 bytes of a message of `total` bytes.
static inline sluice_hash128 sip_end(sip_state s, const uint8_t *tail, size_t total) {
    uint8_t last[8] = {0};
    memcpy(last, tail, total & 7);
    sip_word(&s, load_word(last) | (uint64_t)total << 56);
    sluice_hash128 hash;
    s.v2 ^= 0xee;
    for (int round = 0; round < 4; round++) sip_round(&s);
    hash.low = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    s.v1 ^= 0xdd;
    for (int round = 0; round < 4; round++) sip_round(&s);
    hash.high = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    return hash;
}

sluice_hash128 sluice_siphash128(uint64_t key0, uint64_t key1, const void *bytes, size_t count) {
    sip_state state = sip_begin(key0, key1);
    sip_words(&state, bytes, count / 8);
    return sip_end(state, (const uint8_t *)bytes + (count & ~(size_t)7), count);
}

// The prefix names whose key it is: counts first, so that no two (tenant, source, key) give the same bytes; padded to
// whole words, so that the key can be hashed where it lies.
sluice_event_print sluice_event_print_of(
    sluice_print_keys keys, const uint8_t *tenant, size_t tenant_count, const uint8_t *source, size_t source_count,
    const uint8_t *key, size_t key_count) {
    uint8_t prefix[16 + 255 + 255 + 8];
    if (tenant_count > 255 || source_count > 255) __builtin_trap();
    uint64_t counts[2] = {
        little_endian((uint64_t)tenant_count | (uint64_t)source_count << 32), little_endian((uint64_t)key_count)};
    size_t prefix_count = 16 + tenant_count + source_count;
    size_t padded = (prefix_count + 7) & ~(size_t)7;
    memset(prefix + padded - 8, 0, 8);
    memcpy(prefix, counts, 16);
    memcpy(prefix + 16, tenant, tenant_count);
    memcpy(prefix + 16 + tenant_count, source, source_count);

    sluice_event_print print;
    print.fingerprint = sluice_xxh3_128(key, key_count, XXH3_64bits_withSeed(prefix, padded, keys.seed));
    sip_state state = sip_begin(keys.key0, keys.key1);
    sip_words(&state, prefix, padded / 8);
    sip_words(&state, key, key_count / 8);
    print.tag = sip_end(state, key + (key_count & ~(size_t)7), padded + key_count);
    return print;
}
