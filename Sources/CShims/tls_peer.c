// Who the other end of a session is: its certificate as a block of bytes that others compare, and the chain that was
// verified, which a resumed session has from its ticket.
//
// Invariants: what is told of a peer was verified by the handshake, of this session or of the one that it resumes; the
// chain's digests go where the session's ticket goes, sealed with it; text that is shown is printable ASCII. If the
// last failed, a certificate could write lines of its own into a head.
#include "tls.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>
#include "tls_session.h"

enum { DIGEST_BYTES = 32, NAME_BYTES_MAX = 65535 };

// MARK: the chain

static size_t digests_of(const STACK_OF(X509) *chain, uint8_t *digests) {
    size_t count = 0;
    for (int i = 0; i < sk_X509_num(chain) && count < SLUICE_TLS_CHAIN_MAX; i++) {
        if (X509_digest(sk_X509_value(chain, i), EVP_sha256(), digests + count * DIGEST_BYTES, NULL) == 1) count++;
    }
    return count;
}
int sluice_tls_session_keep_chain(SSL *ssl, void *unused) {
    (void)unused;
    uint8_t digests[SLUICE_TLS_CHAIN_MAX * DIGEST_BYTES];
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    // One that was resumed has brought its own, and one without a certificate has none.
    if (chain == NULL) return 1;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), digests, digests_of(chain, digests) * DIGEST_BYTES);
}
static int write_chain(SSL *ssl, BIO *to) {
    uint8_t digests[SLUICE_TLS_CHAIN_MAX * DIGEST_BYTES];
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    void *kept = NULL;
    size_t bytes = 0;
    if (chain != NULL) {
        bytes = digests_of(chain, digests) * DIGEST_BYTES;
    } else if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &kept, &bytes) == 1 && bytes <= sizeof digests) {
        if (bytes > 0) memcpy(digests, kept, bytes);
    } else {
        bytes = 0;
    }
    return bytes == 0 || BIO_write(to, digests, (int)bytes) == (int)bytes ? (int)(bytes / DIGEST_BYTES) : -1;
}

// MARK: names

static int write_name(BIO *to, int kind, const uint8_t *bytes, int count) {
    if (count <= 0 || count > NAME_BYTES_MAX) return 1;
    const uint8_t head[] = {(uint8_t)kind, (uint8_t)(count & 0xFF), (uint8_t)(count >> 8)};
    return BIO_write(to, head, sizeof head) == sizeof head && BIO_write(to, bytes, count) == count;
}
static int kind_of(const GENERAL_NAME *name) {
    switch (name->type) {
    case GEN_DNS: return SLUICE_TLS_NAME_DNS;
    case GEN_URI: return SLUICE_TLS_NAME_URI;
    case GEN_EMAIL: return SLUICE_TLS_NAME_EMAIL;
    default: return SLUICE_TLS_NAME_OTHER;
    }
}
static int write_names(const X509 *certificate, const GENERAL_NAMES *names, BIO *to) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int is_good = 1, place = -1, last = -1;
    while ((place = X509_NAME_get_index_by_NID(subject, NID_commonName, place)) >= 0) last = place;
    if (last >= 0) {
        uint8_t *text = NULL;
        const int count = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
        is_good = write_name(to, SLUICE_TLS_NAME_COMMON, text, count);
        OPENSSL_free(text);
    }
    for (int i = 0; is_good && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const int kind = kind_of(name);
        if (kind == SLUICE_TLS_NAME_OTHER) continue;
        is_good = write_name(to, kind, ASN1_STRING_get0_data(name->d.ia5), ASN1_STRING_length(name->d.ia5));
    }
    return is_good;
}

// MARK: the subject

// Where a certificate has no subject, its first other name with its kind: such certificates name workloads.
static int write_first_name(const GENERAL_NAMES *names, BIO *to) {
    static const char *const labels[] = {[SLUICE_TLS_NAME_DNS] = "DNS:", [SLUICE_TLS_NAME_URI] = "URI:",
                                         [SLUICE_TLS_NAME_EMAIL] = "email:"};
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const int kind = kind_of(name);
        if (kind == SLUICE_TLS_NAME_OTHER) continue;
        const uint8_t *bytes = ASN1_STRING_get0_data(name->d.ia5);
        int is_good = BIO_puts(to, labels[kind]) > 0;
        for (int at = 0; is_good && at < ASN1_STRING_length(name->d.ia5); at++) {
            const int is_shown = bytes[at] > 0x20 && bytes[at] < 0x7F && bytes[at] != '\\';
            is_good = is_shown ? BIO_write(to, bytes + at, 1) == 1 : BIO_printf(to, "\\%02X", bytes[at]) == 3;
        }
        return is_good;
    }
    return 1;
}
static int write_subject(const X509 *certificate, const GENERAL_NAMES *names, BIO *to) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_NAME_entry_count(subject) == 0) return write_first_name(names, to);
    return X509_NAME_print_ex(to, subject, 0, XN_FLAG_RFC2253) >= 0;
}

// MARK: all of it

static struct sluice_tls_peer *block_of(const BIO *text, size_t chain_bytes, size_t subject_bytes) {
    char *bytes = NULL;
    const long count = BIO_get_mem_data((BIO *)(uintptr_t)text, &bytes);
    struct sluice_tls_peer *peer = count < 0 ? NULL : OPENSSL_zalloc(sizeof *peer + (size_t)count + 1);
    if (peer == NULL) return NULL;
    uint8_t *place = (uint8_t *)(peer + 1);
    if (count > 0) memcpy(place, bytes, (size_t)count);
    peer->chain = place;
    peer->chain_bytes = chain_bytes;
    peer->subject = place + chain_bytes;
    peer->subject_bytes = subject_bytes;
    peer->names = peer->subject + subject_bytes;
    peer->names_bytes = (size_t)count - chain_bytes - subject_bytes;
    return peer;
}
static struct sluice_tls_peer *peer_of(SSL *ssl, const X509 *certificate, const GENERAL_NAMES *names, BIO *text) {
    const int chain_count = write_chain(ssl, text);
    if (chain_count < 0 || !write_subject(certificate, names, text)) return NULL;
    const size_t chain_bytes = (size_t)chain_count * DIGEST_BYTES;
    const size_t subject_bytes = BIO_ctrl_pending(text) - chain_bytes;
    if (!write_names(certificate, names, text)) return NULL;
    struct sluice_tls_peer *peer = block_of(text, chain_bytes, subject_bytes);
    struct tm ends;
    if (peer == NULL || X509_digest(certificate, EVP_sha256(), peer->fingerprint, NULL) != 1 ||
        ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &ends) != 1) {
        OPENSSL_free(peer);
        return NULL;
    }
    peer->ends = timegm(&ends);
    return peer;
}
struct sluice_tls_peer *sluice_tls_peer_make(SSL *ssl) {
    X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL) return NULL;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    BIO *text = BIO_new(BIO_s_mem());
    struct sluice_tls_peer *peer = text == NULL ? NULL : peer_of(ssl, certificate, names, text);
    BIO_free(text);
    GENERAL_NAMES_free(names);
    ERR_clear_error();
    return peer;
}
