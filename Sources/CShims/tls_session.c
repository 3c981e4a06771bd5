// The sessions of tls.h. OpenSSL reads from the bytes that were fed and writes into the session's block, through a BIO
// of our own: nothing grows, and nothing is copied twice.
//
// Invariants: the block holds `sent` to `filled`, which do not move until they were sent; application data is only
// written when its whole record has room, so that no record is ever left half written; a session that failed does
// nothing more than hand out what it still has to send.
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include "tls_session.h"

// What a record adds to its plaintext, and what a key update before it needs: 30 and 45 bytes at most.
enum { RECORD_EXTRA = 256, RECORD_MAX = 16384 };

struct sluice_tls_session {
    SSL *ssl;
    const uint8_t *input;
    size_t input_count;
    uint8_t *block;
    size_t room, sent, filled;
    SSL_SESSION *ticket;
    struct sluice_tls_peer *peer;
    uint8_t failure;
    uint8_t first_byte, has_first_byte;
    uint8_t is_finished, has_looked;
};

// MARK: the BIO between OpenSSL and our memory

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static int bio_read(BIO *bio, char *bytes, size_t room, size_t *count) {
    struct sluice_tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (session->input_count == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    if (!session->has_first_byte) {
        session->has_first_byte = 1;
        session->first_byte = session->input[0];
    }
    *count = room < session->input_count ? room : session->input_count;
    memcpy(bytes, session->input, *count);
    session->input += *count;
    session->input_count -= *count;
    return 1;
}
static int bio_write(BIO *bio, const char *bytes, size_t count, size_t *written) {
    struct sluice_tls_session *session = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (session->block == NULL) session->block = OPENSSL_malloc(session->room);
    if (session->sent == session->filled) session->sent = session->filled = 0;
    const size_t room = session->block == NULL ? 0 : session->room - session->filled;
    if (room == 0) {
        BIO_set_retry_write(bio);
        return 0;
    }
    *written = count < room ? count : room;
    memcpy(session->block + session->filled, bytes, *written);
    session->filled += *written;
    return 1;
}
static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}
static void make_method(void) {
    BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "caller's memory");
    if (made == NULL || BIO_meth_set_read_ex(made, bio_read) != 1 || BIO_meth_set_write_ex(made, bio_write) != 1 ||
        BIO_meth_set_ctrl(made, bio_control) != 1) {
        BIO_meth_free(made);
        return;
    }
    method = made;
}

// MARK: beginning and end

int sluice_tls_session_keep_ticket(SSL *ssl, SSL_SESSION *ticket) {
    struct sluice_tls_session *session = SSL_get_app_data(ssl);
    if (session == NULL) return 0;
    SSL_SESSION_free(session->ticket);
    session->ticket = ticket;
    return 1;
}
struct sluice_tls_session *sluice_tls_session_open(SSL_CTX *context, int is_server, size_t output_room) {
    if (pthread_once(&method_once, make_method) != 0 || method == NULL) return NULL;
    struct sluice_tls_session *session = OPENSSL_zalloc(sizeof *session);
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(method);
    if (session == NULL || ssl == NULL || bio == NULL) {
        OPENSSL_free(session);
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return NULL;
    }
    session->ssl = ssl;
    session->room = output_room;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, session);
    if (is_server) SSL_set_accept_state(ssl);
    else SSL_set_connect_state(ssl);
    return session;
}
void sluice_tls_session_free(struct sluice_tls_session *session) {
    if (session == NULL) return;
    // A session without a close_notify is as good for resumption as one with it (RFC 5246, 7.2.1; RFC 8446, 6.1);
    // without this OpenSSL would make its ticket useless.
    SSL_set_shutdown(session->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(session->ssl);
    SSL_SESSION_free(session->ticket);
    OPENSSL_free(session->peer);
    OPENSSL_free(session->block);
    OPENSSL_free(session);
    ERR_clear_error();
}
int sluice_tls_session_expect(struct sluice_tls_session *session, const char *name, int is_address) {
    // Names of the subject alternative name alone, a wildcard for one whole label (RFC 9525).
    SSL_set_hostflags(session->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    const int is_set = is_address ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session->ssl), name) == 1
                                  : SSL_set1_host(session->ssl, name) == 1 &&
                                        SSL_set_tlsext_host_name(session->ssl, name) == 1;
    ERR_clear_error();
    return is_set;
}
void sluice_tls_session_resume(struct sluice_tls_session *session, SSL_SESSION *ticket) {
    (void)SSL_set_session(session->ssl, ticket);
    ERR_clear_error();
}
// OpenSSL 3.0 marks a session as used up once it was resumed, and a ticket that comes over it inherits the mark; what
// it writes does not.
static SSL_SESSION *unmarked(SSL_SESSION *ticket) {
    uint8_t *bytes = NULL;
    const int count = i2d_SSL_SESSION(ticket, &bytes);
    const uint8_t *place = bytes;
    SSL_SESSION *copy = count > 0 ? d2i_SSL_SESSION(NULL, &place, count) : NULL;
    OPENSSL_free(bytes);
    SSL_SESSION_free(ticket);
    ERR_clear_error();
    return copy;
}
SSL_SESSION *sluice_tls_session_ticket(struct sluice_tls_session *session) {
    SSL_SESSION *ticket = session->ticket;
    session->ticket = NULL;
    return ticket == NULL || SSL_SESSION_is_resumable(ticket) ? ticket : unmarked(ticket);
}
void sluice_tls_ticket_free(SSL_SESSION *ticket) { SSL_SESSION_free(ticket); }
int sluice_tls_ticket_is_fresh(const SSL_SESSION *ticket, int64_t seconds) {
    const int64_t age = (int64_t)time(NULL) - (int64_t)SSL_SESSION_get_time(ticket);
    return age >= 0 && age <= seconds;
}

// MARK: why it failed

static int certificate_failure(long result) {
    switch (result) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return SLUICE_TLS_FAILURE_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return SLUICE_TLS_FAILURE_NOT_YET_VALID;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return SLUICE_TLS_FAILURE_NAME_MISMATCH;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED: return SLUICE_TLS_FAILURE_UNKNOWN_CA;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT: return SLUICE_TLS_FAILURE_SELF_SIGNED;
    case X509_V_ERR_CERT_REVOKED: return SLUICE_TLS_FAILURE_REVOKED;
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN: return SLUICE_TLS_FAILURE_NOT_A_CA;
    case X509_V_ERR_INVALID_PURPOSE: return SLUICE_TLS_FAILURE_PURPOSE;
    case X509_V_ERR_CA_MD_TOO_WEAK: return SLUICE_TLS_FAILURE_WEAK_SIGNATURE;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: return SLUICE_TLS_FAILURE_SHORT_KEY;
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
    case X509_V_ERR_SUBTREE_MINMAX: return SLUICE_TLS_FAILURE_NAME_CONSTRAINT;
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return SLUICE_TLS_FAILURE_PATH_LENGTH;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER: return SLUICE_TLS_FAILURE_NO_CRL;
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID: return SLUICE_TLS_FAILURE_CRL_NOT_CURRENT;
    default: return SLUICE_TLS_FAILURE_BAD_CERTIFICATE;
    }
}
static int alert_failure(int alert) {
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_CERTIFICATE_REQUIRED: return SLUICE_TLS_FAILURE_REFUSED_CERTIFICATE;
    case SSL_AD_UNRECOGNIZED_NAME: return SLUICE_TLS_FAILURE_UNKNOWN_NAME;
    case SSL_AD_PROTOCOL_VERSION: return SLUICE_TLS_FAILURE_VERSION;
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY: return SLUICE_TLS_FAILURE_NOTHING_SHARED;
    case SSL_AD_NO_APPLICATION_PROTOCOL: return SLUICE_TLS_FAILURE_NO_HTTP1;
    default: return SLUICE_TLS_FAILURE_REFUSED;
    }
}
static int protocol_failure(const struct sluice_tls_session *session, int reason) {
    const int handshake = 22, alert = 21;
    switch (reason) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: return certificate_failure(SSL_get_verify_result(session->ssl));
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST: return SLUICE_TLS_FAILURE_PLAIN_HTTP;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return SLUICE_TLS_FAILURE_NO_CERTIFICATE;
    case SSL_R_NO_APPLICATION_PROTOCOL: return SLUICE_TLS_FAILURE_NO_HTTP1;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_VERSION_TOO_LOW: return SLUICE_TLS_FAILURE_VERSION;
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SUITABLE_GROUPS:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: return SLUICE_TLS_FAILURE_NOTHING_SHARED;
    case SSL_R_UNEXPECTED_EOF_WHILE_READING: return SLUICE_TLS_FAILURE_TRUNCATED;
    case SSL_R_EE_KEY_TOO_SMALL:
    case SSL_R_CA_KEY_TOO_SMALL:
    case SSL_R_DH_KEY_TOO_SMALL: return SLUICE_TLS_FAILURE_SHORT_KEY;
    case SSL_R_CA_MD_TOO_WEAK: return SLUICE_TLS_FAILURE_WEAK_SIGNATURE;
    case ERR_R_MALLOC_FAILURE: return SLUICE_TLS_FAILURE_NO_MEMORY;
    default: break;
    }
    if (reason > SSL_AD_REASON_OFFSET) return alert_failure(reason - SSL_AD_REASON_OFFSET);
    const int is_tls = !session->has_first_byte || session->first_byte == handshake || session->first_byte == alert;
    return is_tls ? SLUICE_TLS_FAILURE_MALFORMED : SLUICE_TLS_FAILURE_NOT_TLS;
}
static int64_t fail(struct sluice_tls_session *session) {
    int reason = 0;
    for (unsigned long error = ERR_get_error(); error != 0; error = ERR_get_error()) {
        if (reason == 0 && ERR_GET_LIB(error) == ERR_LIB_SSL) reason = ERR_GET_REASON(error);
    }
    session->failure = (uint8_t)protocol_failure(session, reason);
    session->input_count = 0;
    return SLUICE_TLS_STEP_FAILED;
}
static int64_t step(struct sluice_tls_session *session, int result) {
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ: return SLUICE_TLS_STEP_WANTS_INPUT;
    case SSL_ERROR_WANT_WRITE: return SLUICE_TLS_STEP_WANTS_ROOM;
    case SSL_ERROR_ZERO_RETURN: return SLUICE_TLS_STEP_CLOSED;
    default: return fail(session);
    }
}

// MARK: bytes in, bytes out

void sluice_tls_session_feed(struct sluice_tls_session *session, const uint8_t *bytes, size_t count) {
    session->input = bytes;
    session->input_count = session->failure == 0 ? count : 0;
}
size_t sluice_tls_session_unread(const struct sluice_tls_session *session) { return session->input_count; }

int64_t sluice_tls_session_read(struct sluice_tls_session *session, uint8_t *bytes, size_t room) {
    if (session->failure != 0) return SLUICE_TLS_STEP_FAILED;
    // The usual end of a round, told without a look into the record layer.
    if (session->input_count == 0 && SSL_is_init_finished(session->ssl) && !SSL_has_pending(session->ssl) &&
        (SSL_get_shutdown(session->ssl) & SSL_RECEIVED_SHUTDOWN) == 0) {
        return SLUICE_TLS_STEP_WANTS_INPUT;
    }
    size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(session->ssl, bytes, room, &count);
    return result == 1 ? (int64_t)count : step(session, result);
}
int64_t sluice_tls_session_write(struct sluice_tls_session *session, const uint8_t *bytes, size_t count) {
    if (session->failure != 0) return SLUICE_TLS_STEP_FAILED;
    if (!SSL_is_init_finished(session->ssl) || session->is_finished) return 0;
    const size_t room = session->sent == session->filled ? session->room : session->room - session->filled;
    if (room <= RECORD_EXTRA || count == 0) return 0;
    if (count > RECORD_MAX) count = RECORD_MAX;
    if (count > room - RECORD_EXTRA) count = room - RECORD_EXTRA;
    size_t written = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(session->ssl, bytes, count, &written);
    return result == 1 ? (int64_t)written : fail(session);
}
void sluice_tls_session_finish(struct sluice_tls_session *session) {
    if (session->failure != 0 || session->is_finished || !SSL_is_init_finished(session->ssl)) return;
    session->is_finished = 1;
    (void)SSL_shutdown(session->ssl);
    ERR_clear_error();
}
const uint8_t *sluice_tls_session_output(const struct sluice_tls_session *session, size_t *count) {
    *count = session->filled - session->sent;
    return session->block + session->sent;
}
void sluice_tls_session_sent(struct sluice_tls_session *session, size_t count) {
    session->sent += count;
    if (session->sent == session->filled) session->sent = session->filled = 0;
}
void sluice_tls_session_rest(struct sluice_tls_session *session) {
    if (session->sent != session->filled || session->failure != 0 || !SSL_is_init_finished(session->ssl)) return;
    OPENSSL_free(session->block);
    session->block = NULL;
    (void)SSL_free_buffers(session->ssl);
}

// MARK: what is known of it

int sluice_tls_session_is_open(const struct sluice_tls_session *session) {
    return session->failure == 0 && SSL_is_init_finished(session->ssl);
}
int sluice_tls_session_failure(const struct sluice_tls_session *session) { return session->failure; }
int sluice_tls_session_is_resumed(const struct sluice_tls_session *session) {
    return SSL_session_reused(session->ssl);
}
int sluice_tls_session_version(const struct sluice_tls_session *session) { return SSL_version(session->ssl); }
int sluice_tls_context_believes(SSL_CTX *context, const struct sluice_tls_session *session) {
    X509 *certificate = SSL_get0_peer_certificate(session->ssl);
    // A resumed session has the certificate from its ticket, and not what the peer sent along with it.
    return certificate != NULL &&
           sluice_tls_context_takes(context, certificate, SSL_get_peer_cert_chain(session->ssl));
}
const struct sluice_tls_peer *sluice_tls_session_peer(struct sluice_tls_session *session) {
    if (!session->has_looked && sluice_tls_session_is_open(session)) {
        session->has_looked = 1;
        session->peer = sluice_tls_peer_make(session->ssl);
    }
    return session->peer;
}
