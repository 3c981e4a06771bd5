// The bodies of sealing.h.
#include "sealing.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

// Fetched once: OpenSSL 3 looks a cipher up anew, with locks, for each use that only names it.
struct sluice_seal {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context;
};

struct sluice_seal *sluice_seal_create(void) {
    struct sluice_seal *seal = calloc(1, sizeof *seal);
    if (!seal) return NULL;
    seal->cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    seal->context = EVP_CIPHER_CTX_new();
    if (seal->cipher && seal->context) return seal;
    ERR_clear_error();
    sluice_seal_destroy(seal);
    return NULL;
}
void sluice_seal_destroy(struct sluice_seal *seal) {
    if (!seal) return;
    EVP_CIPHER_CTX_free(seal->context);
    EVP_CIPHER_free(seal->cipher);
    free(seal);
}

static int is_countable(size_t bytes) { return bytes <= INT_MAX; }

int sluice_seal_close(struct sluice_seal *seal, const uint8_t *key, const uint8_t *nonce, const uint8_t *context,
                      size_t context_bytes, const uint8_t *plain, size_t bytes, uint8_t *sealed) {
    int count = 0, rest = 0;
    if (!is_countable(context_bytes) || !is_countable(bytes)) return -1;
    const int is_done =
        EVP_EncryptInit_ex2(seal->context, seal->cipher, key, nonce, NULL) == 1 &&
        EVP_EncryptUpdate(seal->context, NULL, &count, context, (int)context_bytes) == 1 &&
        EVP_EncryptUpdate(seal->context, sealed, &count, plain, (int)bytes) == 1 && (size_t)count == bytes &&
        EVP_EncryptFinal_ex(seal->context, sealed + bytes, &rest) == 1 && rest == 0 &&
        EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_GET_TAG, SLUICE_SEAL_TAG_BYTES, sealed + bytes) == 1;
    ERR_clear_error();
    return is_done ? 0 : -1;
}

int sluice_seal_open(struct sluice_seal *seal, const uint8_t *key, const uint8_t *nonce, const uint8_t *context,
                     size_t context_bytes, const uint8_t *sealed, size_t bytes, uint8_t *plain) {
    int count = 0, rest = 0;
    if (bytes < SLUICE_SEAL_TAG_BYTES || !is_countable(context_bytes) || !is_countable(bytes)) return -1;
    const size_t length = bytes - SLUICE_SEAL_TAG_BYTES;
    const int is_done =
        EVP_DecryptInit_ex2(seal->context, seal->cipher, key, nonce, NULL) == 1 &&
        EVP_DecryptUpdate(seal->context, NULL, &count, context, (int)context_bytes) == 1 &&
        EVP_DecryptUpdate(seal->context, plain, &count, sealed, (int)length) == 1 && (size_t)count == length &&
        EVP_CIPHER_CTX_ctrl(seal->context, EVP_CTRL_AEAD_SET_TAG, SLUICE_SEAL_TAG_BYTES,
                            (void *)(uintptr_t)(sealed + length)) == 1 &&
        EVP_DecryptFinal_ex(seal->context, plain + length, &rest) == 1;
    ERR_clear_error();
    if (is_done) return 0;
    OPENSSL_cleanse(plain, length);
    return -1;
}
