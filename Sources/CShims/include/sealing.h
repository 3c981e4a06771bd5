// AES-256-GCM over OpenSSL for worker threads, with a cipher and a context that are used again and again. No policy:
// which key and which additional data belong to a value is decided by those who call FastPath/Crypto/Sealing.swift.
#ifndef SLUICE_SEALING_H
#define SLUICE_SEALING_H
#include <stddef.h>
#include <stdint.h>

#define SLUICE_SEAL_KEY_BYTES 32u
#define SLUICE_SEAL_NONCE_BYTES 12u
#define SLUICE_SEAL_TAG_BYTES 16u

// One at a time uses it. The key of its last call stays in it, and is overwritten when it goes.
struct sluice_seal;
// NULL when OpenSSL has no such cipher or there is no memory.
struct sluice_seal *sluice_seal_create(void);
void sluice_seal_destroy(struct sluice_seal *seal);
// `sealed` takes `bytes` of ciphertext and the tag behind it. 0, or -1 when OpenSSL refuses. A nonce is used once with
// a key.
int sluice_seal_close(struct sluice_seal *seal, const uint8_t *key, const uint8_t *nonce, const uint8_t *context,
                      size_t context_bytes, const uint8_t *plain, size_t bytes, uint8_t *sealed);
// `bytes` counts the tag; `plain` takes the rest. 0, or -1 when anything of it is not as it was sealed: `plain` is
// overwritten then.
int sluice_seal_open(struct sluice_seal *seal, const uint8_t *key, const uint8_t *nonce, const uint8_t *context,
                     size_t context_bytes, const uint8_t *sealed, size_t bytes, uint8_t *plain);
#endif
