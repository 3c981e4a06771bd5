// Hashes of the log: XXH3 for checksums and table slots (not an identity), SipHash-2-4-128 as the keyed tag that is
// one. xxhash.h itself is included by xxh.c only: pulled into the module it breaks clang's module of <immintrin.h>.
#ifndef SLUICE_XXH_H
#define SLUICE_XXH_H
#include <stddef.h>
#include <stdint.h>
#include "os.h"

typedef struct { uint64_t low, high; } sluice_hash128;
typedef struct { uint64_t seed, key0, key1; } sluice_print_keys;
typedef struct { sluice_hash128 fingerprint, tag; } sluice_event_print;

SLUICE_HOT uint64_t sluice_xxh3_64(const void *bytes, size_t count, uint64_t seed);
SLUICE_HOT sluice_hash128 sluice_xxh3_128(const void *bytes, size_t count, uint64_t seed);
// Three words hashed as 24 little-endian bytes with seed 0.
SLUICE_HOT uint64_t sluice_xxh3_words(uint64_t first, uint64_t second, uint64_t third);
SLUICE_HOT sluice_hash128 sluice_siphash128(uint64_t key0, uint64_t key1, const void *bytes, size_t count);
// docs/log-format.md "Fingerprint and tag". tenant_count and source_count are at most 255.
SLUICE_HOT sluice_event_print sluice_event_print_of(
    sluice_print_keys keys, const uint8_t *tenant, size_t tenant_count, const uint8_t *source, size_t source_count,
    const uint8_t *key, size_t key_count);
#endif
