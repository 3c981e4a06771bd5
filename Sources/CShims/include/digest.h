// HMAC over SHA-256, SHA-1 and SHA-512 from precomputed midstates, one at a time (OpenSSL) or many at once
// (libipsec-mb), and the comparison that takes the same time wherever two digests differ. No policy: which engine
// computes what is decided in FastPath/Crypto/BatchVerifier.swift.
#ifndef SLUICE_DIGEST_H
#define SLUICE_DIGEST_H
#include "os.h"

enum sluice_hmac_algorithm { SLUICE_HMAC_SHA256 = 0, SLUICE_HMAC_SHA1 = 1, SLUICE_HMAC_SHA512 = 2 };

// The chaining values after the block of key xor ipad, and key xor opad: native words, as both engines want them. With
// them a MAC costs two blocks less. As secret as the key itself.
struct sluice_hmac_key {
    uint64_t inner[8];
    uint64_t outer[8];
    uint32_t algorithm;
    uint32_t digest_bytes;
};

// Room for OpenSSL's context of any of the three (asserted in digest.c).
struct sluice_hmac_state {
    uint64_t words[28];
};

// 0, or -1 for an unknown algorithm.
int sluice_hmac_key_make(struct sluice_hmac_key *key, uint32_t algorithm, const uint8_t *secret, size_t bytes);

// A MAC over pieces: begin, add each, end. `tag` takes `key->digest_bytes`.
SLUICE_HOT void sluice_hmac_begin(struct sluice_hmac_state *state, const struct sluice_hmac_key *key);
SLUICE_HOT void sluice_hmac_add(struct sluice_hmac_state *state, const struct sluice_hmac_key *key,
                                const uint8_t *piece, size_t bytes);
SLUICE_HOT void sluice_hmac_end(struct sluice_hmac_state *state, const struct sluice_hmac_key *key, uint8_t *tag);

// The plain hash, 32 bytes, without allocation.
SLUICE_HOT void sluice_sha256(const uint8_t *message, size_t bytes, uint8_t *digest);

// 1 exactly when the `bytes` bytes are equal; the time depends on `bytes` alone.
SLUICE_HOT int sluice_digest_equal(const uint8_t *left, const uint8_t *right, size_t bytes);
// Overwrites secrets so that the compiler cannot leave it out.
SLUICE_HOT void sluice_memory_cleanse(void *memory, size_t bytes);

// The multi-buffer engine. Lanes: how many messages of an algorithm this processor computes at once; 0 when it does not
// gain by it, or was built without.
uint32_t sluice_batch_lanes(uint32_t algorithm);
struct sluice_batch;
// NULL when the processor or the memory has none. Room for `jobs` messages a run.
struct sluice_batch *sluice_batch_create(uint32_t jobs);
void sluice_batch_destroy(struct sluice_batch *batch);
// The longest message a job takes, in bytes; the shortest is 1.
#define SLUICE_BATCH_BYTES_MAX 61440u
// Puts a message at place `index` (< jobs): `tag` takes the digest. All memory stays untouched until the run has
// returned.
SLUICE_HOT void sluice_batch_place(struct sluice_batch *batch, uint32_t index, const struct sluice_hmac_key *key,
                                   const uint8_t *message, size_t bytes, uint8_t *tag);
// Computes places 0 up to `count`, all of one algorithm.
SLUICE_HOT void sluice_batch_run(struct sluice_batch *batch, uint32_t algorithm, uint32_t count);
// 1 exactly when the last run has computed place `index`; otherwise its tag means nothing.
SLUICE_HOT int sluice_batch_completed(const struct sluice_batch *batch, uint32_t index);
#endif
