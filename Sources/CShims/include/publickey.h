// Public keys, certificates and one TLS client connection over OpenSSL: thin wrappers for worker threads. No policy:
// which key, host or certificate is taken is decided in FastPath/Crypto/PublicKey.swift, Certificate.swift and
// FastPath/Net (SecureFetch, CheckedExchange). Every failing call leaves OpenSSL's error queue empty.
#ifndef SLUICE_PUBLICKEY_H
#define SLUICE_PUBLICKEY_H
#include <stddef.h>
#include <stdint.h>

struct evp_pkey_st;
struct x509_st;
struct ssl_st;

enum sluice_key_kind { SLUICE_KEY_OTHER = 0, SLUICE_KEY_ED25519 = 1, SLUICE_KEY_P256 = 2, SLUICE_KEY_RSA = 3 };
enum sluice_key_digest { SLUICE_KEY_PURE = 0, SLUICE_KEY_SHA1 = 1, SLUICE_KEY_SHA256 = 2 };

// Keys; NULL for bytes that are none. DER must be one value and nothing behind it; PEM with a password is none.
struct evp_pkey_st *sluice_key_ed25519_public(const uint8_t bytes[32]);
struct evp_pkey_st *sluice_key_ed25519_private(const uint8_t seed[32]);
struct evp_pkey_st *sluice_key_public_der(const uint8_t *der, size_t bytes);
struct evp_pkey_st *sluice_key_public_pem(const uint8_t *pem, size_t bytes);
struct evp_pkey_st *sluice_key_private_pem(const uint8_t *pem, size_t bytes);
struct evp_pkey_st *sluice_key_p256_generate(void);
void sluice_key_free(struct evp_pkey_st *key);
// One of enum sluice_key_kind; and the size of the modulus or the order in bits.
int sluice_key_kind(const struct evp_pkey_st *key);
int sluice_key_bits(const struct evp_pkey_st *key);
// 32 bytes; 0 when the key is not Ed25519.
int sluice_key_ed25519_bytes(const struct evp_pkey_st *key, uint8_t bytes[32]);
// The SubjectPublicKeyInfo: its length, written when it fits into `room`; 0 when there is none.
size_t sluice_key_spki(const struct evp_pkey_st *key, uint8_t *der, size_t room);
// The private key as PKCS #8 PEM, as above.
size_t sluice_key_pkcs8_pem(const struct evp_pkey_st *key, uint8_t *pem, size_t room);
// 1 exactly when `signature` is `key`'s over `message`. RSA is PKCS #1 v1.5.
int sluice_key_verify(struct evp_pkey_st *key, int digest, const uint8_t *signature, size_t signature_bytes,
                      const uint8_t *message, size_t message_bytes);
// The signature's length, or 0.
size_t sluice_key_sign(struct evp_pkey_st *key, int digest, const uint8_t *message, size_t message_bytes,
                       uint8_t *signature, size_t room);
// 1 exactly when the bytes are one ASN.1 DER SEQUENCE of two INTEGERs and nothing else.
int sluice_signature_is_der(const uint8_t *signature, size_t bytes);

// The digest of a message: 20 or 32 bytes; 0 on failure.
size_t sluice_digest(int digest, const uint8_t *message, size_t bytes, uint8_t *result);

// The `index`th certificate of a PEM text; NULL when there are no so many.
struct x509_st *sluice_certificate_pem(const uint8_t *pem, size_t bytes, size_t index);
void sluice_certificate_free(struct x509_st *certificate);
// A key of its own, NULL when it has none that OpenSSL knows.
struct evp_pkey_st *sluice_certificate_key(const struct x509_st *certificate);
// Name 0 is the subject's common name, the others the DNS names of the subject alternative name. The length, written
// when it fits into `room`; -1 when there are no so many; 0 for one with a NUL inside.
int64_t sluice_certificate_name(const struct x509_st *certificate, int index, char *text, size_t room);
// -1: not valid yet at `seconds` (unix time), 0: valid, 1: no longer.
int sluice_certificate_age(const struct x509_st *certificate, int64_t seconds);
// 1 exactly when a chain leads from `leaf` over `between` to one of `roots` (NULL: the system's store) at `seconds`.
int sluice_certificate_chain(struct x509_st *leaf, struct x509_st *const *between, size_t between_count,
                             struct x509_st *const *roots, size_t roots_count, int64_t seconds);

// A TLS client (1.2 or later) over a connected, non-blocking socket, which stays the caller's. The peer must show a
// certificate for `host` that leads to `roots` (PEM) or, without them, to the system's store. NULL without memory or
// with roots that are none.
struct ssl_st *sluice_tls_open(int fd, const char *host, const uint8_t *roots, size_t roots_bytes);
void sluice_tls_close(struct ssl_st *session);
enum { SLUICE_TLS_WANTS_READ = -1, SLUICE_TLS_WANTS_WRITE = -2, SLUICE_TLS_FAILED = -3 };
// 0 when done, or one of the three.
int sluice_tls_handshake(struct ssl_st *session);
// Bytes moved, 0 when the peer has closed in order, or one of the three.
int64_t sluice_tls_read(struct ssl_st *session, uint8_t *bytes, size_t room);
int64_t sluice_tls_write(struct ssl_st *session, const uint8_t *bytes, size_t count);

// A non-blocking socket whose connection to an IPv4 (4 bytes) or IPv6 (16) address has begun, or -errno.
int sluice_tcp_begin(const uint8_t *address, size_t address_bytes, uint32_t scope, uint16_t port);
// 0 when the connection stands, or -errno.
int sluice_tcp_error(int fd);
// Waits until `fd` can be read (or written, when `writes`): 1; 0 after `millis`; -errno.
int sluice_socket_wait(int fd, int writes, int millis);
// Of a connection that stands, without TLS: as the two of a TLS session.
int64_t sluice_socket_read(int fd, uint8_t *bytes, size_t room);
int64_t sluice_socket_write(int fd, const uint8_t *bytes, size_t count);
#endif
