// The contexts of tls.h: what a side shows, whom it believes, and the keys of its tickets.
//
// Invariants: a context is changed by the thread that makes it, and by nobody once sessions use it; names and ticket
// keys belong to it and go with the last session that refers to it.
#include "tls.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "publickey.h"
#include "tls_session.h"

// MARK: ticket keys

// Four places: the newest, two that still open, and the one that the next rotation writes and nobody reads.
enum { KEY_COUNT = 4, KEYS_OPEN = 3, NAME_BYTES = 16, SECRET_BYTES = 32 };
typedef struct {
    uint8_t name[NAME_BYTES], cipher[SECRET_BYTES], mac[SECRET_BYTES];
} ticket_key;
struct sluice_tls_keys {
    atomic_uint owners;
    // How often keys were made, and thereby which place has the newest.
    atomic_uint made;
    ticket_key keys[KEY_COUNT];
};

struct sluice_tls_keys *sluice_tls_keys_new(void) {
    struct sluice_tls_keys *keys = OPENSSL_zalloc(sizeof *keys);
    if (keys == NULL) return NULL;
    atomic_init(&keys->owners, 1);
    if (sluice_tls_keys_rotate(keys)) return keys;
    OPENSSL_free(keys);
    return NULL;
}
void sluice_tls_keys_free(struct sluice_tls_keys *keys) {
    if (keys == NULL || atomic_fetch_sub(&keys->owners, 1) != 1) return;
    OPENSSL_clear_free(keys, sizeof *keys);
}
int sluice_tls_keys_rotate(struct sluice_tls_keys *keys) {
    const unsigned made = atomic_load_explicit(&keys->made, memory_order_relaxed);
    ticket_key *next = &keys->keys[(made + 1) % KEY_COUNT];
    ticket_key fresh;
    if (RAND_bytes((uint8_t *)&fresh, sizeof fresh) != 1) {
        ERR_clear_error();
        return 0;
    }
    *next = fresh;
    OPENSSL_cleanse(&fresh, sizeof fresh);
    atomic_store_explicit(&keys->made, made + 1, memory_order_release);
    return 1;
}
static int use_key(const ticket_key *key, EVP_CIPHER_CTX *cipher, const uint8_t *iv, EVP_MAC_CTX *mac, int seals) {
    char digest[] = "SHA256";
    uint8_t secret[SECRET_BYTES];
    memcpy(secret, key->mac, sizeof secret);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, secret, sizeof secret),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end(),
    };
    const int is_ready = EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv, seals) == 1 &&
                         EVP_MAC_CTX_set_params(mac, parameters) == 1;
    OPENSSL_cleanse(secret, sizeof secret);
    return is_ready;
}

// MARK: what a context keeps

typedef struct {
    char *name;
    SSL_CTX *target;  // NULL: the context itself
} named_context;
typedef struct {
    named_context *names;
    size_t count;
    struct sluice_tls_keys *keys;
} context_extras;

static int extras_index = -1;
static pthread_once_t extras_once = PTHREAD_ONCE_INIT;

static void free_names(context_extras *extras) {
    for (size_t i = 0; i < extras->count; i++) {
        OPENSSL_free(extras->names[i].name);
        SSL_CTX_free(extras->names[i].target);
    }
    OPENSSL_free(extras->names);
    extras->names = NULL;
    extras->count = 0;
}
static void free_extras(void *parent, void *data, CRYPTO_EX_DATA *all, int index, long argl, void *argp) {
    (void)parent, (void)all, (void)index, (void)argl, (void)argp;
    context_extras *extras = data;
    if (extras == NULL) return;
    free_names(extras);
    sluice_tls_keys_free(extras->keys);
    OPENSSL_free(extras);
}
static void make_index(void) { extras_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_extras); }
static context_extras *extras_of(const SSL_CTX *context) { return SSL_CTX_get_ex_data(context, extras_index); }

// What to seal or open a ticket with: 1, 2 when it opens and a new one is due, 0 when it does not open, -1 on failure.
static int choose_ticket_key(SSL *ssl, unsigned char name[NAME_BYTES], unsigned char *iv, EVP_CIPHER_CTX *cipher,
                             EVP_MAC_CTX *mac, int seals) {
    const context_extras *extras = extras_of(SSL_get_SSL_CTX(ssl));
    if (extras == NULL || extras->keys == NULL) return -1;
    const struct sluice_tls_keys *keys = extras->keys;
    const unsigned made = atomic_load_explicit(&keys->made, memory_order_acquire);
    if (seals) {
        const ticket_key *newest = &keys->keys[made % KEY_COUNT];
        if (RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
        memcpy(name, newest->name, NAME_BYTES);
        return use_key(newest, cipher, iv, mac, 1) ? 1 : -1;
    }
    for (unsigned age = 0; age < KEYS_OPEN && age < made; age++) {
        const ticket_key *key = &keys->keys[(made - age) % KEY_COUNT];
        if (CRYPTO_memcmp(name, key->name, NAME_BYTES) != 0) continue;
        if (!use_key(key, cipher, iv, mac, 0)) return -1;
        return age == 0 ? 1 : 2;
    }
    return 0;
}

// MARK: names

static int compare_names(const void *left, const void *right) {
    return strcmp(((const named_context *)left)->name, ((const named_context *)right)->name);
}
static const named_context *find_name(const context_extras *extras, const char *name) {
    named_context wanted = {.name = (char *)(uintptr_t)name};
    if (extras->count == 0) return NULL;
    return bsearch(&wanted, extras->names, extras->count, sizeof *extras->names, compare_names);
}
// A name that nobody has gets the first certificate: the client says what it thinks of it.
static int choose_certificate(SSL *ssl, int *alert, void *argument) {
    (void)alert;
    const context_extras *extras = argument;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    char name[256];
    const size_t bytes = asked == NULL ? 0 : strlen(asked);
    if (bytes == 0 || bytes >= sizeof name) return SSL_TLSEXT_ERR_NOACK;
    for (size_t i = 0; i <= bytes; i++) {
        name[i] = asked[i] >= 'A' && asked[i] <= 'Z' ? (char)(asked[i] | 0x20) : asked[i];
    }
    const named_context *found = find_name(extras, name);
    char *dot = strchr(name, '.');
    if (found == NULL && dot != NULL && dot > name) {
        // The first label's place is taken by a star: `a.example.com` is `*.example.com`.
        dot[-1] = '*';
        found = find_name(extras, dot - 1);
    }
    if (found != NULL && found->target != NULL) (void)SSL_set_SSL_CTX(ssl, found->target);
    return SSL_TLSEXT_ERR_OK;
}
int sluice_tls_context_names(SSL_CTX *context, const char *const *names, SSL_CTX *const *targets, size_t count) {
    context_extras *extras = extras_of(context);
    free_names(extras);
    if (count == 0) return SLUICE_TLS_FAULT_NONE;
    extras->names = OPENSSL_zalloc(count * sizeof *extras->names);
    if (extras->names == NULL) return SLUICE_TLS_FAULT_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        char *name = OPENSSL_strdup(names[i]);
        if (name == NULL) return SLUICE_TLS_FAULT_NO_MEMORY;
        // A context that held itself would never be freed.
        SSL_CTX *target = targets[i] == context ? NULL : targets[i];
        if (target != NULL) SSL_CTX_up_ref(target);
        extras->names[extras->count++] = (named_context){.name = name, .target = target};
    }
    qsort(extras->names, extras->count, sizeof *extras->names, compare_names);
    SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(context, extras);
    return SLUICE_TLS_FAULT_NONE;
}

// MARK: the context

static const uint8_t protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
static int choose_protocol(SSL *ssl, const uint8_t **chosen, uint8_t *chosen_bytes, const uint8_t *offered,
                           unsigned offered_bytes, void *argument) {
    (void)ssl, (void)argument;
    uint8_t *found = NULL;
    const int result =
        SSL_select_next_proto(&found, chosen_bytes, protocols, sizeof protocols, offered, offered_bytes);
    *chosen = found;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}
// A certificate authority's own certificate may be missing from the lists; the peer's may not.
static int verified(int is_good, X509_STORE_CTX *store) {
    if (is_good || X509_STORE_CTX_get_error(store) != X509_V_ERR_UNABLE_TO_GET_CRL) return is_good;
    if (X509_STORE_CTX_get_error_depth(store) == 0) return 0;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

int sluice_tls_context_open(int is_server, const char *ciphers, const char *suites, const char *groups,
                            SSL_CTX **context) {
    if (pthread_once(&extras_once, make_index) != 0 || extras_index < 0) return SLUICE_TLS_FAULT_NO_MEMORY;
    SSL_CTX *made = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    context_extras *extras = OPENSSL_zalloc(sizeof *extras);
    if (made == NULL || extras == NULL || SSL_CTX_set_ex_data(made, extras_index, extras) != 1) {
        OPENSSL_free(extras);
        SSL_CTX_free(made);
        ERR_clear_error();
        return SLUICE_TLS_FAULT_NO_MEMORY;
    }
    SSL_CTX_set_options(made, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(made, 2);
    int is_sound = SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(made, ciphers) == 1 && SSL_CTX_set_ciphersuites(made, suites) == 1 &&
                   SSL_CTX_set1_groups_list(made, groups) == 1;
    if (is_server) {
        SSL_CTX_set_alpn_select_cb(made, choose_protocol, NULL);
        SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_num_tickets(made, 1);
    } else {
        is_sound = is_sound && SSL_CTX_set_alpn_protos(made, protocols, sizeof protocols) == 0;
        SSL_CTX_set_verify(made, SSL_VERIFY_PEER, verified);
        SSL_CTX_set_session_cache_mode(made, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(made, sluice_tls_session_keep_ticket);
    }
    ERR_clear_error();
    if (!is_sound) {
        SSL_CTX_free(made);
        return SLUICE_TLS_FAULT_POLICY;
    }
    *context = made;
    return SLUICE_TLS_FAULT_NONE;
}
void sluice_tls_context_free(SSL_CTX *context) { SSL_CTX_free(context); }

int sluice_tls_context_tickets(SSL_CTX *context, struct sluice_tls_keys *keys) {
    context_extras *extras = extras_of(context);
    atomic_fetch_add(&keys->owners, 1);
    sluice_tls_keys_free(extras->keys);
    extras->keys = keys;
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, choose_ticket_key) == 1 ? SLUICE_TLS_FAULT_NONE
                                                                                : SLUICE_TLS_FAULT_POLICY;
}
int sluice_tls_context_label(SSL_CTX *context, const uint8_t label[32]) {
    return SSL_CTX_set_session_id_context(context, label, 32) == 1 ? SLUICE_TLS_FAULT_NONE : SLUICE_TLS_FAULT_POLICY;
}

// MARK: certificates and keys

// Behind the last certificate or list: whether it was the last, `empty` when there was none at all.
static int end_fault(int step, size_t count, int empty) {
    if (step == SLUICE_PEM_ENCRYPTED) return SLUICE_TLS_FAULT_ENCRYPTED;
    if (step == SLUICE_PEM_BROKEN) return SLUICE_TLS_FAULT_BROKEN;
    return count > 0 ? SLUICE_TLS_FAULT_NONE : empty;
}
static int identity_fault(SSL_CTX *context, X509 *leaf, BIO *rest, EVP_PKEY *key) {
    if (X509_check_private_key(leaf, key) != 1) return SLUICE_TLS_FAULT_KEY_MISMATCH;
    if (X509_cmp_current_time(X509_get0_notAfter(leaf)) <= 0) return SLUICE_TLS_FAULT_EXPIRED;
    if (X509_cmp_current_time(X509_get0_notBefore(leaf)) > 0) return SLUICE_TLS_FAULT_NOT_YET_VALID;
    if (SSL_CTX_use_certificate(context, leaf) != 1) return SLUICE_TLS_FAULT_WEAK;
    if (SSL_CTX_use_PrivateKey(context, key) != 1) return SLUICE_TLS_FAULT_KEY_MISMATCH;
    X509 *next;
    int step;
    while ((step = sluice_pem_next(rest, &next)) == SLUICE_PEM_READ) {
        const int is_taken = SSL_CTX_add1_chain_cert(context, next) == 1;
        X509_free(next);
        if (!is_taken) return SLUICE_TLS_FAULT_WEAK;
    }
    return end_fault(step, 1, SLUICE_TLS_FAULT_NONE);
}
int sluice_tls_context_identity(SSL_CTX *context, const uint8_t *chain, size_t chain_bytes, const uint8_t *key,
                                size_t key_bytes) {
    BIO *certificates = sluice_pem_source(chain, chain_bytes), *keys = sluice_pem_source(key, key_bytes);
    X509 *leaf = NULL;
    const int step = certificates == NULL ? SLUICE_PEM_END : sluice_pem_next(certificates, &leaf);
    int was_asked = 0, fault = end_fault(step, 0, SLUICE_TLS_FAULT_NO_CERTIFICATE);
    if (leaf != NULL) {
        EVP_PKEY *own = keys == NULL ? NULL : PEM_read_bio_PrivateKey(keys, NULL, sluice_pem_password, &was_asked);
        if (own == NULL) {
            fault = was_asked ? SLUICE_TLS_FAULT_KEY_ENCRYPTED : SLUICE_TLS_FAULT_NO_KEY;
        } else {
            fault = identity_fault(context, leaf, certificates, own);
        }
        EVP_PKEY_free(own);
    }
    X509_free(leaf);
    BIO_free(certificates);
    BIO_free(keys);
    ERR_clear_error();
    return fault;
}
int sluice_tls_context_trust(SSL_CTX *context, const uint8_t *roots, size_t bytes) {
    BIO *source = sluice_pem_source(roots, bytes);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    int step = SLUICE_PEM_END;
    X509 *next;
    while (source != NULL && (step = sluice_pem_next(source, &next)) == SLUICE_PEM_READ) {
        if (X509_STORE_add_cert(store, next) == 1) count++;
        X509_free(next);
    }
    BIO_free(source);
    ERR_clear_error();
    return end_fault(step, count, SLUICE_TLS_FAULT_NO_CERTIFICATE);
}
int sluice_tls_context_trust_system(SSL_CTX *context) {
    // Read once, here: OpenSSL's own default is a folder that it searches during handshakes. By distribution: Debian,
    // Fedora, openSUSE, Alpine and the BSDs.
    static const char *const places[] = {
        "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };
    const char *chosen = getenv("SSL_CERT_FILE");
    int is_loaded = 0;
    if (chosen != NULL && chosen[0] != '\0') {
        is_loaded = SSL_CTX_load_verify_file(context, chosen) == 1;
    } else {
        for (size_t i = 0; i < sizeof places / sizeof *places && !is_loaded; i++) {
            is_loaded = access(places[i], R_OK) == 0 && SSL_CTX_load_verify_file(context, places[i]) == 1;
        }
    }
    ERR_clear_error();
    return is_loaded ? SLUICE_TLS_FAULT_NONE : SLUICE_TLS_FAULT_NO_SYSTEM_ROOTS;
}
int sluice_tls_context_revoked(SSL_CTX *context, const uint8_t *lists, size_t bytes) {
    BIO *source = sluice_pem_source(lists, bytes);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    int step = SLUICE_PEM_END;
    X509_CRL *next;
    while (source != NULL && (step = sluice_pem_next_list(source, &next)) == SLUICE_PEM_READ) {
        if (X509_STORE_add_crl(store, next) == 1) count++;
        X509_CRL_free(next);
    }
    BIO_free(source);
    ERR_clear_error();
    const int fault = end_fault(step, count, SLUICE_TLS_FAULT_NO_CRL);
    if (fault != SLUICE_TLS_FAULT_NONE) return fault;
    return X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL) == 1
               ? SLUICE_TLS_FAULT_NONE : SLUICE_TLS_FAULT_NO_MEMORY;
}
int sluice_tls_context_ask(SSL_CTX *context, const uint8_t *roots, size_t bytes, int required) {
    const int fault = sluice_tls_context_trust(context, roots, bytes);
    if (fault != SLUICE_TLS_FAULT_NONE) return fault;
    BIO *source = sluice_pem_source(roots, bytes);
    X509 *next;
    while (source != NULL && sluice_pem_next(source, &next) == SLUICE_PEM_READ) {
        (void)SSL_CTX_add_client_CA(context, next);
        X509_free(next);
    }
    BIO_free(source);
    ERR_clear_error();
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), verified);
    // The depth counts neither the peer's own certificate nor the root.
    SSL_CTX_set_verify_depth(context, SLUICE_TLS_CHAIN_MAX - 2);
    return SSL_CTX_set_session_ticket_cb(context, sluice_tls_session_keep_chain, NULL, NULL) == 1
               ? SLUICE_TLS_FAULT_NONE : SLUICE_TLS_FAULT_POLICY;
}
int sluice_tls_context_takes(SSL_CTX *context, X509 *certificate, STACK_OF(X509) *others) {
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    int is_taken = 0;
    if (check != NULL && X509_STORE_CTX_init(check, SSL_CTX_get_cert_store(context), certificate, others) == 1 &&
        X509_STORE_CTX_set_default(check, "ssl_client") == 1) {
        X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(check);
        X509_VERIFY_PARAM_set_auth_level(rules, SSL_CTX_get_security_level(context));
        X509_VERIFY_PARAM_set_depth(rules, SSL_CTX_get_verify_depth(context));
        X509_STORE_CTX_set_verify_cb(check, verified);
        is_taken = X509_verify_cert(check) == 1;
    }
    X509_STORE_CTX_free(check);
    ERR_clear_error();
    return is_taken;
}
int sluice_tls_certificate_dates(const uint8_t *pem, size_t bytes, int64_t *begins, int64_t *ends) {
    X509 *found = sluice_certificate_pem(pem, bytes, 0);
    struct tm first, last;
    const int is_read = found != NULL && ASN1_TIME_to_tm(X509_get0_notBefore(found), &first) == 1 &&
                        ASN1_TIME_to_tm(X509_get0_notAfter(found), &last) == 1;
    if (is_read) {
        *begins = timegm(&first);
        *ends = timegm(&last);
    }
    X509_free(found);
    ERR_clear_error();
    return is_read;
}
