// The bodies of digest.h. OpenSSL's low-level SHA calls are deprecated in favour of EVP, which allocates for each use
// and cannot start from a midstate; they are the reason for the pragma.
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
#include "digest.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(SHA512_CTX) <= sizeof(struct sluice_hmac_state), "state too small");
_Static_assert(sizeof(SHA256_CTX) <= sizeof(struct sluice_hmac_state), "state too small");
_Static_assert(sizeof(SHA_CTX) <= sizeof(struct sluice_hmac_state), "state too small");

#define BLOCK_256 64u
#define BLOCK_512 128u

static void state_load_sha1(SHA_CTX *context, const uint64_t *words) {
    uint32_t h[5];
    memcpy(h, words, sizeof h);
    SHA1_Init(context);
    context->h0 = h[0], context->h1 = h[1], context->h2 = h[2], context->h3 = h[3], context->h4 = h[4];
    context->Nl = BLOCK_256 * 8;
}
static void state_load_sha256(SHA256_CTX *context, const uint64_t *words) {
    SHA256_Init(context);
    memcpy(context->h, words, sizeof context->h);
    context->Nl = BLOCK_256 * 8;
}
static void state_load_sha512(SHA512_CTX *context, const uint64_t *words) {
    SHA512_Init(context);
    memcpy(context->h, words, sizeof context->h);
    context->Nl = BLOCK_512 * 8;
}

// The chaining value after one block.
static void midstate_make(uint64_t words[8], uint32_t algorithm, const uint8_t *block) {
    if (algorithm == SLUICE_HMAC_SHA1) {
        SHA_CTX context;
        SHA1_Init(&context);
        SHA1_Update(&context, block, BLOCK_256);
        uint32_t h[5] = {context.h0, context.h1, context.h2, context.h3, context.h4};
        memcpy(words, h, sizeof h);
        OPENSSL_cleanse(&context, sizeof context);
    } else if (algorithm == SLUICE_HMAC_SHA256) {
        SHA256_CTX context;
        SHA256_Init(&context);
        SHA256_Update(&context, block, BLOCK_256);
        memcpy(words, context.h, sizeof context.h);
        OPENSSL_cleanse(&context, sizeof context);
    } else {
        SHA512_CTX context;
        SHA512_Init(&context);
        SHA512_Update(&context, block, BLOCK_512);
        memcpy(words, context.h, sizeof context.h);
        OPENSSL_cleanse(&context, sizeof context);
    }
}

int sluice_hmac_key_make(struct sluice_hmac_key *key, uint32_t algorithm, const uint8_t *secret, size_t bytes) {
    if (algorithm > SLUICE_HMAC_SHA512) return -1;
    const size_t block_bytes = algorithm == SLUICE_HMAC_SHA512 ? BLOCK_512 : BLOCK_256;
    uint8_t padded[BLOCK_512] = {0}, block[BLOCK_512];
    memset(key, 0, sizeof *key);
    key->algorithm = algorithm;
    key->digest_bytes = algorithm == SLUICE_HMAC_SHA1 ? 20 : algorithm == SLUICE_HMAC_SHA256 ? 32 : 64;
    if (bytes > block_bytes) {  // RFC 2104 §2: a longer key is hashed first
        if (algorithm == SLUICE_HMAC_SHA1) SHA1(secret, bytes, padded);
        else if (algorithm == SLUICE_HMAC_SHA256) SHA256(secret, bytes, padded);
        else SHA512(secret, bytes, padded);
    } else if (bytes > 0) {
        memcpy(padded, secret, bytes);
    }
    for (size_t i = 0; i < block_bytes; i++) block[i] = padded[i] ^ 0x36;
    midstate_make(key->inner, algorithm, block);
    for (size_t i = 0; i < block_bytes; i++) block[i] = padded[i] ^ 0x5c;
    midstate_make(key->outer, algorithm, block);
    OPENSSL_cleanse(padded, sizeof padded);
    OPENSSL_cleanse(block, sizeof block);
    return 0;
}

void sluice_hmac_begin(struct sluice_hmac_state *state, const struct sluice_hmac_key *key) {
    switch (key->algorithm) {
    case SLUICE_HMAC_SHA1: state_load_sha1((SHA_CTX *)state, key->inner); break;
    case SLUICE_HMAC_SHA256: state_load_sha256((SHA256_CTX *)state, key->inner); break;
    default: state_load_sha512((SHA512_CTX *)state, key->inner); break;
    }
}

void sluice_hmac_add(struct sluice_hmac_state *state, const struct sluice_hmac_key *key, const uint8_t *piece,
                     size_t bytes) {
    switch (key->algorithm) {
    case SLUICE_HMAC_SHA1: SHA1_Update((SHA_CTX *)state, piece, bytes); break;
    case SLUICE_HMAC_SHA256: SHA256_Update((SHA256_CTX *)state, piece, bytes); break;
    default: SHA512_Update((SHA512_CTX *)state, piece, bytes); break;
    }
}

void sluice_hmac_end(struct sluice_hmac_state *state, const struct sluice_hmac_key *key, uint8_t *tag) {
    uint8_t inner[SHA512_DIGEST_LENGTH];
    switch (key->algorithm) {
    case SLUICE_HMAC_SHA1:
        SHA1_Final(inner, (SHA_CTX *)state);
        state_load_sha1((SHA_CTX *)state, key->outer);
        SHA1_Update((SHA_CTX *)state, inner, SHA_DIGEST_LENGTH);
        SHA1_Final(tag, (SHA_CTX *)state);
        break;
    case SLUICE_HMAC_SHA256:
        SHA256_Final(inner, (SHA256_CTX *)state);
        state_load_sha256((SHA256_CTX *)state, key->outer);
        SHA256_Update((SHA256_CTX *)state, inner, SHA256_DIGEST_LENGTH);
        SHA256_Final(tag, (SHA256_CTX *)state);
        break;
    default:
        SHA512_Final(inner, (SHA512_CTX *)state);
        state_load_sha512((SHA512_CTX *)state, key->outer);
        SHA512_Update((SHA512_CTX *)state, inner, SHA512_DIGEST_LENGTH);
        SHA512_Final(tag, (SHA512_CTX *)state);
        break;
    }
}

int sluice_digest_equal(const uint8_t *left, const uint8_t *right, size_t bytes) {
    return CRYPTO_memcmp(left, right, bytes) == 0;
}

void sluice_memory_cleanse(void *memory, size_t bytes) { OPENSSL_cleanse(memory, bytes); }

#if defined(SLUICE_MULTI_BUFFER) && SLUICE_MULTI_BUFFER
#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>

struct sluice_batch {
    // The widest registers; and, where the processor has SHA extensions, the code that runs two SHA-256 through them at
    // once: per message as fast as sixteen lanes of AVX-512, and with two messages already.
    IMB_MGR *wide;
    IMB_MGR *paired;
    IMB_JOB jobs[];
};

// Lanes for each algorithm, in its order, one byte each. Bit 31 says that it has been found out.
static uint32_t lanes_find(void) {
    IMB_MGR *manager = alloc_mb_mgr(0);
    if (manager == NULL) return 0;
    IMB_ARCH arch = IMB_ARCH_NONE;
    init_mb_mgr_auto(manager, &arch);
    const uint64_t features = manager->features;
    const int is_good = imb_get_errno(manager) == 0;
    free_mb_mgr(manager);
    if (!is_good) return 0;
    const int has_sha = (features & IMB_FEATURE_SHANI) != 0;
    if (arch == IMB_ARCH_AVX512) return (has_sha ? 2 : 16) | 16 << 8 | 8 << 16;
    if (arch == IMB_ARCH_AVX2) {
        // With these flags the library's AVX2 code uses the SHA extensions too.
        const int is_paired = (features & IMB_CPUFLAGS_AVX2_T2) == IMB_CPUFLAGS_AVX2_T2;
        return (has_sha ? 2 : 8) | (is_paired ? 2 : 8) << 8 | 4 << 16;
    }
    return has_sha ? 2 | 2 << 8 : 0;
}

uint32_t sluice_batch_lanes(uint32_t algorithm) {
    static uint32_t known;  // two threads that race write the same value
    uint32_t lanes = __atomic_load_n(&known, __ATOMIC_RELAXED);
    if (lanes == 0) {
        lanes = lanes_find() | 1u << 31;
        __atomic_store_n(&known, lanes, __ATOMIC_RELAXED);
    }
    return algorithm > SLUICE_HMAC_SHA512 ? 0 : lanes >> (8 * algorithm) & 0x7f;
}

struct sluice_batch *sluice_batch_create(uint32_t jobs) {
    if (sluice_batch_lanes(SLUICE_HMAC_SHA256) == 0) return NULL;
    struct sluice_batch *batch = NULL;
    const size_t bytes = sizeof *batch + jobs * sizeof(IMB_JOB);
    if (posix_memalign((void **)&batch, 64, bytes) != 0) return NULL;
    memset(batch, 0, bytes);
    batch->wide = alloc_mb_mgr(0);
    if (batch->wide != NULL) init_mb_mgr_auto(batch->wide, NULL);
    if (sluice_batch_lanes(SLUICE_HMAC_SHA256) == 2) {
        batch->paired = alloc_mb_mgr(0);
        if (batch->paired != NULL) init_mb_mgr_sse(batch->paired);
    }
    const int is_short = batch->wide == NULL || (sluice_batch_lanes(SLUICE_HMAC_SHA256) == 2 && batch->paired == NULL);
    if (is_short || imb_get_errno(batch->wide) != 0 || (batch->paired != NULL && imb_get_errno(batch->paired) != 0)) {
        sluice_batch_destroy(batch);
        return NULL;
    }
    for (uint32_t i = 0; i < jobs; i++) {
        IMB_JOB *job = &batch->jobs[i];
        job->cipher_mode = IMB_CIPHER_NULL;
        job->cipher_direction = IMB_DIR_ENCRYPT;
        job->chain_order = IMB_ORDER_HASH_CIPHER;
    }
    return batch;
}

static void manager_free(IMB_MGR *manager) {
    if (manager == NULL) return;
    // Its lanes hold midstates of keys.
    imb_clear_mem(manager, imb_get_mb_mgr_size());
    free_mb_mgr(manager);
}

void sluice_batch_destroy(struct sluice_batch *batch) {
    if (batch == NULL) return;
    manager_free(batch->wide);
    manager_free(batch->paired);
    free(batch);
}

void sluice_batch_place(struct sluice_batch *batch, uint32_t index, const struct sluice_hmac_key *key,
                        const uint8_t *message, size_t bytes, uint8_t *tag) {
    IMB_JOB *job = &batch->jobs[index];
    job->hash_alg = key->algorithm == SLUICE_HMAC_SHA1     ? IMB_AUTH_HMAC_SHA_1
                    : key->algorithm == SLUICE_HMAC_SHA256 ? IMB_AUTH_HMAC_SHA_256
                                                           : IMB_AUTH_HMAC_SHA_512;
    job->src = message;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = bytes;
    job->auth_tag_output = tag;
    job->auth_tag_output_len_in_bytes = key->digest_bytes;
    job->u.HMAC._hashed_auth_key_xor_ipad = (const uint8_t *)key->inner;
    job->u.HMAC._hashed_auth_key_xor_opad = (const uint8_t *)key->outer;
    job->status = IMB_STATUS_BEING_PROCESSED;
}

void sluice_batch_run(struct sluice_batch *batch, uint32_t algorithm, uint32_t count) {
    const IMB_HASH_ALG hash = algorithm == SLUICE_HMAC_SHA1     ? IMB_AUTH_HMAC_SHA_1
                              : algorithm == SLUICE_HMAC_SHA256 ? IMB_AUTH_HMAC_SHA_256
                                                                : IMB_AUTH_HMAC_SHA_512;
    IMB_MGR *manager = algorithm == SLUICE_HMAC_SHA256 && batch->paired != NULL ? batch->paired : batch->wide;
    for (uint32_t first = 0; first < count; first += IMB_MAX_BURST_SIZE) {
        const uint32_t rest = count - first;
        const uint32_t burst = rest < IMB_MAX_BURST_SIZE ? rest : IMB_MAX_BURST_SIZE;
        IMB_SUBMIT_HASH_BURST(manager, &batch->jobs[first], burst, hash);
    }
}

int sluice_batch_completed(const struct sluice_batch *batch, uint32_t index) {
    return batch->jobs[index].status == IMB_STATUS_COMPLETED;
}
#else
uint32_t sluice_batch_lanes(uint32_t algorithm) {
    (void)algorithm;
    return 0;
}
struct sluice_batch *sluice_batch_create(uint32_t jobs) {
    (void)jobs;
    return NULL;
}
// Never called: no batch exists.
void sluice_batch_destroy(struct sluice_batch *batch) { (void)batch; }
void sluice_batch_place(struct sluice_batch *batch, uint32_t index, const struct sluice_hmac_key *key,
                        const uint8_t *message, size_t bytes, uint8_t *tag) {
    (void)batch, (void)index, (void)key, (void)message, (void)bytes, (void)tag;
}
void sluice_batch_run(struct sluice_batch *batch, uint32_t algorithm, uint32_t count) {
    (void)batch, (void)algorithm, (void)count;
}
int sluice_batch_completed(const struct sluice_batch *batch, uint32_t index) {
    (void)batch, (void)index;
    return 0;
}
#endif

void sluice_sha256(const uint8_t *message, size_t bytes, uint8_t *digest) { SHA256(message, bytes, digest); }
