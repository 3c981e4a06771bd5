// The bodies of publickey.h.
#include "publickey.h"

#include <errno.h>
#include <netinet/in.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static BIO *memory(const uint8_t *bytes, size_t count) {
    return count > 0 && count < 1 << 20 ? BIO_new_mem_buf(bytes, (int)count) : NULL;
}
// A key with a password is no key here: nobody is there to be asked.
static int no_password(char *text, int room, int writes, void *context) {
    (void)text, (void)room, (void)writes, (void)context;
    return -1;
}

EVP_PKEY *sluice_key_ed25519_public(const uint8_t bytes[32]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, 32);
    ERR_clear_error();
    return key;
}
EVP_PKEY *sluice_key_ed25519_private(const uint8_t seed[32]) {
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, 32);
    ERR_clear_error();
    return key;
}
EVP_PKEY *sluice_key_public_der(const uint8_t *der, size_t bytes) {
    if (bytes == 0 || bytes > 1 << 16) return NULL;
    const uint8_t *place = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &place, (long)bytes);
    if (key != NULL && place != der + bytes) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    ERR_clear_error();
    return key;
}
EVP_PKEY *sluice_key_public_pem(const uint8_t *pem, size_t bytes) {
    BIO *source = memory(pem, bytes);
    if (source == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PUBKEY(source, NULL, no_password, NULL);
    BIO_free(source);
    ERR_clear_error();
    return key;
}
EVP_PKEY *sluice_key_private_pem(const uint8_t *pem, size_t bytes) {
    BIO *source = memory(pem, bytes);
    if (source == NULL) return NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(source, NULL, no_password, NULL);
    BIO_free(source);
    ERR_clear_error();
    return key;
}
EVP_PKEY *sluice_key_p256_generate(void) { return EVP_EC_gen("P-256"); }
void sluice_key_free(EVP_PKEY *key) { EVP_PKEY_free(key); }

int sluice_key_kind(const EVP_PKEY *key) {
    switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_ED25519: return SLUICE_KEY_ED25519;
    case EVP_PKEY_RSA: return SLUICE_KEY_RSA;
    case EVP_PKEY_EC: break;
    default: return SLUICE_KEY_OTHER;
    }
    char group[32];
    size_t length = 0;
    const int known = EVP_PKEY_get_group_name(key, group, sizeof group, &length);
    ERR_clear_error();
    return known == 1 && strcmp(group, SN_X9_62_prime256v1) == 0 ? SLUICE_KEY_P256 : SLUICE_KEY_OTHER;
}
int sluice_key_bits(const EVP_PKEY *key) { return EVP_PKEY_get_bits(key); }
int sluice_key_ed25519_bytes(const EVP_PKEY *key, uint8_t bytes[32]) {
    size_t count = 32;
    const int done = EVP_PKEY_get_raw_public_key(key, bytes, &count);
    ERR_clear_error();
    return done == 1 && count == 32;
}
size_t sluice_key_spki(const EVP_PKEY *key, uint8_t *der, size_t room) {
    const int count = i2d_PUBKEY(key, NULL);
    if (count > 0 && (size_t)count <= room) i2d_PUBKEY(key, &der);
    ERR_clear_error();
    return count > 0 ? (size_t)count : 0;
}
size_t sluice_key_pkcs8_pem(const EVP_PKEY *key, uint8_t *pem, size_t room) {
    BIO *target = BIO_new(BIO_s_mem());
    if (target == NULL) return 0;
    const char *text = NULL;
    long count = 0;
    if (PEM_write_bio_PKCS8PrivateKey(target, key, NULL, NULL, 0, NULL, NULL) == 1) {
        count = BIO_get_mem_data(target, &text);
    }
    if (count > 0 && (size_t)count <= room) memcpy(pem, text, (size_t)count);
    BIO_free(target);
    ERR_clear_error();
    return count > 0 ? (size_t)count : 0;
}

static const EVP_MD *digest_named(int digest) {
    return digest == SLUICE_KEY_SHA1 ? EVP_sha1() : digest == SLUICE_KEY_SHA256 ? EVP_sha256() : NULL;
}
int sluice_key_verify(EVP_PKEY *key, int digest, const uint8_t *signature, size_t signature_bytes,
                      const uint8_t *message, size_t message_bytes) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return 0;
    const int good = EVP_DigestVerifyInit(context, NULL, digest_named(digest), NULL, key) == 1 &&
                     EVP_DigestVerify(context, signature, signature_bytes, message, message_bytes) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good;
}
size_t sluice_key_sign(EVP_PKEY *key, int digest, const uint8_t *message, size_t message_bytes, uint8_t *signature,
                       size_t room) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context == NULL) return 0;
    size_t count = room;
    const int good = EVP_DigestSignInit(context, NULL, digest_named(digest), NULL, key) == 1 &&
                     EVP_DigestSign(context, signature, &count, message, message_bytes) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return good ? count : 0;
}
int sluice_signature_is_der(const uint8_t *signature, size_t bytes) {
    if (bytes == 0 || bytes > 1024) return 0;
    const uint8_t *place = signature;
    ECDSA_SIG *value = d2i_ECDSA_SIG(NULL, &place, (long)bytes);
    ERR_clear_error();
    if (value == NULL) return 0;
    uint8_t again[1100], *end = again;
    const int count = i2d_ECDSA_SIG(value, NULL);
    const int good = place == signature + bytes && count > 0 && (size_t)count == bytes &&
                     i2d_ECDSA_SIG(value, &end) == count && memcmp(again, signature, bytes) == 0;
    ECDSA_SIG_free(value);
    return good;
}
size_t sluice_digest(int digest, const uint8_t *message, size_t bytes, uint8_t *result) {
    unsigned count = 0;
    return EVP_Digest(message, bytes, result, &count, digest_named(digest), NULL) == 1 ? count : 0;
}

X509 *sluice_certificate_pem(const uint8_t *pem, size_t bytes, size_t index) {
    BIO *source = memory(pem, bytes);
    if (source == NULL) return NULL;
    X509 *certificate = PEM_read_bio_X509(source, NULL, no_password, NULL);
    for (size_t i = 0; i < index && certificate != NULL; i++) {
        X509_free(certificate);
        certificate = PEM_read_bio_X509(source, NULL, no_password, NULL);
    }
    BIO_free(source);
    ERR_clear_error();
    return certificate;
}
void sluice_certificate_free(X509 *certificate) { X509_free(certificate); }
EVP_PKEY *sluice_certificate_key(const X509 *certificate) {
    EVP_PKEY *key = X509_get_pubkey((X509 *)certificate);
    ERR_clear_error();
    return key;
}
static int64_t name_copy(const ASN1_STRING *name, char *text, size_t room) {
    uint8_t *utf8 = NULL;
    const int count = ASN1_STRING_to_UTF8(&utf8, name);
    if (count < 0) return 0;
    const int64_t result = memchr(utf8, 0, (size_t)count) == NULL ? count : 0;
    if (result > 0 && (size_t)result <= room) memcpy(text, utf8, (size_t)result);
    OPENSSL_free(utf8);
    return result;
}
int64_t sluice_certificate_name(const X509 *certificate, int index, char *text, size_t room) {
    if (index == 0) {
        const X509_NAME *subject = X509_get_subject_name(certificate);
        const int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
        if (place < 0) return 0;
        return name_copy(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)), text, room);
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    ERR_clear_error();
    if (names == NULL) return -1;
    int64_t result = -1;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS && --index == 0) result = name_copy(name->d.dNSName, text, room);
    }
    GENERAL_NAMES_free(names);
    return result;
}
int sluice_certificate_age(const X509 *certificate, int64_t seconds) {
    time_t time = (time_t)seconds;
    // X509_cmp_time has no "equal": it says "earlier". 0 is an error, taken as not valid.
    if (X509_cmp_time(X509_get0_notBefore(certificate), &time) != -1) return -1;
    return X509_cmp_time(X509_get0_notAfter(certificate), &time) == 1 ? 0 : 1;
}
int sluice_certificate_chain(X509 *leaf, X509 *const *between, size_t between_count, X509 *const *roots,
                             size_t roots_count, int64_t seconds) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();
    int good = store != NULL && context != NULL && untrusted != NULL;
    for (size_t i = 0; good && i < between_count; i++) good = sk_X509_push(untrusted, between[i]) > 0;
    if (good && roots == NULL) good = X509_STORE_set_default_paths(store) == 1;
    for (size_t i = 0; good && i < roots_count; i++) good = X509_STORE_add_cert(store, roots[i]) == 1;
    if (good && X509_STORE_CTX_init(context, store, leaf, untrusted) == 1) {
        X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), (time_t)seconds);
        good = X509_verify_cert(context) == 1;
    } else {
        good = 0;
    }
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return good;
}

static int roots_load(SSL_CTX *context, const uint8_t *roots, size_t bytes) {
    if (roots == NULL) return SSL_CTX_set_default_verify_paths(context) == 1;
    for (size_t i = 0;; i++) {
        X509 *root = sluice_certificate_pem(roots, bytes, i);
        if (root == NULL) return i > 0;
        const int added = X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root);
        X509_free(root);
        if (added != 1) return 0;
    }
}
SSL *sluice_tls_open(int fd, const char *host, const uint8_t *roots, size_t roots_bytes) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (context == NULL) return NULL;
    SSL *session = NULL;
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 && roots_load(context, roots, roots_bytes)) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
        session = SSL_new(context);
    }
    SSL_CTX_free(context);  // the session keeps its own reference
    if (session == NULL) return NULL;
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(session, host) != 1 || SSL_set_tlsext_host_name(session, host) != 1 ||
        SSL_set_fd(session, fd) != 1) {
        SSL_free(session);
        session = NULL;
    }
    ERR_clear_error();
    return session;
}
void sluice_tls_close(SSL *session) { SSL_free(session); }
static int tls_result(SSL *session, int result) {
    const int error = SSL_get_error(session, result);
    ERR_clear_error();
    switch (error) {
    case SSL_ERROR_ZERO_RETURN: return 0;
    case SSL_ERROR_WANT_READ: return SLUICE_TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE: return SLUICE_TLS_WANTS_WRITE;
    default: return SLUICE_TLS_FAILED;
    }
}
int sluice_tls_handshake(SSL *session) {
    ERR_clear_error();
    const int result = SSL_connect(session);
    if (result == 1) return 0;
    const int reason = tls_result(session, result);
    return reason == 0 ? SLUICE_TLS_FAILED : reason;
}
int64_t sluice_tls_read(SSL *session, uint8_t *bytes, size_t room) {
    size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(session, bytes, room, &count);
    return result == 1 ? (int64_t)count : tls_result(session, result);
}
int64_t sluice_tls_write(SSL *session, const uint8_t *bytes, size_t room) {
    size_t count = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(session, bytes, room, &count);
    return result == 1 ? (int64_t)count : tls_result(session, result);
}

int sluice_tcp_begin(const uint8_t *address, size_t address_bytes, uint32_t scope, uint16_t port) {
    struct sockaddr_storage target;
    memset(&target, 0, sizeof target);
    socklen_t bytes = sizeof(struct sockaddr_in);
    if (address_bytes == 4) {
        struct sockaddr_in *inet = (struct sockaddr_in *)(void *)&target;
        inet->sin_family = AF_INET;
        inet->sin_port = htons(port);
        memcpy(&inet->sin_addr, address, 4);
    } else if (address_bytes == 16) {
        struct sockaddr_in6 *inet = (struct sockaddr_in6 *)(void *)&target;
        inet->sin6_family = AF_INET6;
        inet->sin6_port = htons(port);
        inet->sin6_scope_id = scope;
        memcpy(&inet->sin6_addr, address, 16);
        bytes = sizeof *inet;
    } else {
        return -EINVAL;
    }
    const int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (const struct sockaddr *)&target, bytes) != 0 && errno != EINPROGRESS) {
        const int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}
int sluice_tcp_error(int fd) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return -errno;
    return -error;
}
static int64_t socket_result(ssize_t count, int wants) {
    if (count >= 0) return count;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? wants : SLUICE_TLS_FAILED;
}
int64_t sluice_socket_read(int fd, uint8_t *bytes, size_t room) {
    return socket_result(recv(fd, bytes, room, 0), SLUICE_TLS_WANTS_READ);
}
int64_t sluice_socket_write(int fd, const uint8_t *bytes, size_t count) {
    return socket_result(send(fd, bytes, count, MSG_NOSIGNAL), SLUICE_TLS_WANTS_WRITE);
}
int sluice_socket_wait(int fd, int writes, int millis) {
    struct pollfd place = {.fd = fd, .events = writes ? POLLOUT : POLLIN, .revents = 0};
    const int count = poll(&place, 1, millis);
    return count < 0 ? -errno : count;
}
