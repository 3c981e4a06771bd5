// TLS over OpenSSL without sockets: contexts (what a side shows and believes) and sessions that take ciphertext from
// the caller's memory and leave theirs in a block of their own. Thin wrappers: which ciphers, roots, names and keys are
// taken is decided in FastPath/TLS. Every failing call leaves OpenSSL's error queue empty.
//
// OpenSSL's own memory comes from free lists of the thread (tls_memory.c), so that a record on a warm session asks the
// system for nothing; that is what SLUICE_HOT promises here.
#ifndef SLUICE_TLS_H
#define SLUICE_TLS_H
#include <stddef.h>
#include <stdint.h>
#include "os.h"

struct ssl_ctx_st;
struct ssl_session_st;
struct sluice_tls_keys;
struct sluice_tls_session;

// Why a session failed; the raw values are those of FastPath's TLSFailure.
enum sluice_tls_failure {
    SLUICE_TLS_FAILURE_NONE = 0,
    // The peer's certificate.
    SLUICE_TLS_FAILURE_EXPIRED, SLUICE_TLS_FAILURE_NOT_YET_VALID, SLUICE_TLS_FAILURE_NAME_MISMATCH,
    SLUICE_TLS_FAILURE_UNKNOWN_CA, SLUICE_TLS_FAILURE_SELF_SIGNED, SLUICE_TLS_FAILURE_REVOKED,
    SLUICE_TLS_FAILURE_NOT_A_CA, SLUICE_TLS_FAILURE_PURPOSE, SLUICE_TLS_FAILURE_WEAK_SIGNATURE,
    SLUICE_TLS_FAILURE_SHORT_KEY, SLUICE_TLS_FAILURE_NAME_CONSTRAINT, SLUICE_TLS_FAILURE_PATH_LENGTH,
    SLUICE_TLS_FAILURE_NO_CRL, SLUICE_TLS_FAILURE_CRL_NOT_CURRENT, SLUICE_TLS_FAILURE_BAD_CERTIFICATE,
    SLUICE_TLS_FAILURE_NO_CERTIFICATE,
    // What the peer says of ours.
    SLUICE_TLS_FAILURE_REFUSED_CERTIFICATE, SLUICE_TLS_FAILURE_UNKNOWN_NAME, SLUICE_TLS_FAILURE_REFUSED,
    // The protocol.
    SLUICE_TLS_FAILURE_VERSION, SLUICE_TLS_FAILURE_NOTHING_SHARED, SLUICE_TLS_FAILURE_NO_HTTP1,
    SLUICE_TLS_FAILURE_PLAIN_HTTP, SLUICE_TLS_FAILURE_NOT_TLS, SLUICE_TLS_FAILURE_MALFORMED,
    SLUICE_TLS_FAILURE_TRUNCATED, SLUICE_TLS_FAILURE_NO_MEMORY, SLUICE_TLS_FAILURE_COUNT
};

// What is wrong with what a context was given.
enum sluice_tls_fault {
    SLUICE_TLS_FAULT_NONE = 0,
    SLUICE_TLS_FAULT_NO_MEMORY, SLUICE_TLS_FAULT_POLICY, SLUICE_TLS_FAULT_NO_CERTIFICATE, SLUICE_TLS_FAULT_NO_KEY,
    SLUICE_TLS_FAULT_KEY_ENCRYPTED, SLUICE_TLS_FAULT_KEY_MISMATCH, SLUICE_TLS_FAULT_WEAK, SLUICE_TLS_FAULT_EXPIRED,
    SLUICE_TLS_FAULT_NOT_YET_VALID, SLUICE_TLS_FAULT_NO_CRL, SLUICE_TLS_FAULT_NO_SYSTEM_ROOTS,
    // A block of the PEM that cannot be read, or needs a password, wherever it stands.
    SLUICE_TLS_FAULT_BROKEN, SLUICE_TLS_FAULT_ENCRYPTED
};

// Contexts; worker threads. The policy's texts are OpenSSL's: TLS 1.2 ciphers, TLS 1.3 suites, groups.
int sluice_tls_context_open(int is_server, const char *ciphers, const char *suites, const char *groups,
                            struct ssl_ctx_st **context);
void sluice_tls_context_free(struct ssl_ctx_st *context);
// The side's own certificate with what leads to its root, and its key, both PEM. One for each kind of key.
int sluice_tls_context_identity(struct ssl_ctx_st *context, const uint8_t *chain, size_t chain_bytes,
                                const uint8_t *key, size_t key_bytes);
// Whom it believes: certificates in PEM, or those of the system.
int sluice_tls_context_trust(struct ssl_ctx_st *context, const uint8_t *roots, size_t bytes);
int sluice_tls_context_trust_system(struct ssl_ctx_st *context);
// Lists of revoked certificates in PEM. The peer's own certificate must be covered by one of them.
int sluice_tls_context_revoked(struct ssl_ctx_st *context, const uint8_t *lists, size_t bytes);
// A server's: clients are asked for a certificate of one of `roots`; with `required` those without one are refused.
// Sessions begun under another `label` (32 bytes) are not resumed.
int sluice_tls_context_ask(struct ssl_ctx_st *context, const uint8_t *roots, size_t bytes, int required);
int sluice_tls_context_label(struct ssl_ctx_st *context, const uint8_t label[32]);
// A server's: tickets are sealed with `keys`, which the context keeps.
int sluice_tls_context_tickets(struct ssl_ctx_st *context, struct sluice_tls_keys *keys);
// A server's: a client that asks for `names[i]` (lower case, perhaps `*.` first) gets `targets[i]`, which is kept.
int sluice_tls_context_names(struct ssl_ctx_st *context, const char *const *names, struct ssl_ctx_st *const *targets,
                             size_t count);

// Ticket keys: the newest seals, those of the two rotations before still open.
struct sluice_tls_keys *sluice_tls_keys_new(void);
void sluice_tls_keys_free(struct sluice_tls_keys *keys);
// One thread at a time. 0 when the system gives no random bytes; nothing has changed then.
int sluice_tls_keys_rotate(struct sluice_tls_keys *keys);

// Sessions. `output_room` bounds what waits to be sent; NULL without memory.
SLUICE_HOT struct sluice_tls_session *sluice_tls_session_open(struct ssl_ctx_st *context, int is_server,
                                                              size_t output_room);
SLUICE_HOT void sluice_tls_session_free(struct sluice_tls_session *session);
// A client's: whom the peer must prove to be, a name or the text of an address. 0 without memory.
SLUICE_HOT int sluice_tls_session_expect(struct sluice_tls_session *session, const char *name, int is_address);
// A client's: what an earlier session left, to make this one shorter.
SLUICE_HOT void sluice_tls_session_resume(struct sluice_tls_session *session, struct ssl_session_st *ticket);
// What the peer left for a later session, the caller's from now on; NULL when nothing new came.
SLUICE_HOT struct ssl_session_st *sluice_tls_session_ticket(struct sluice_tls_session *session);
SLUICE_HOT void sluice_tls_ticket_free(struct ssl_session_st *ticket);
// True exactly when the ticket's session began no longer ago than `seconds`.
SLUICE_HOT int sluice_tls_ticket_is_fresh(const struct ssl_session_st *ticket, int64_t seconds);

enum {
    SLUICE_TLS_STEP_WANTS_INPUT = -1, SLUICE_TLS_STEP_WANTS_ROOM = -2, SLUICE_TLS_STEP_CLOSED = -3,
    SLUICE_TLS_STEP_FAILED = -4
};
// The ciphertext that the next reads take; it is read by the calls until they want more.
SLUICE_HOT void sluice_tls_session_feed(struct sluice_tls_session *session, const uint8_t *bytes, size_t count);
// Ciphertext fed and not yet taken.
SLUICE_HOT size_t sluice_tls_session_unread(const struct sluice_tls_session *session);
// Goes on with the handshake, then reads plaintext: the bytes written to `bytes`, or a step.
SLUICE_HOT int64_t sluice_tls_session_read(struct sluice_tls_session *session, uint8_t *bytes, size_t room);
// One record: the bytes taken (0 when the output has no room for any), or SLUICE_TLS_STEP_FAILED.
SLUICE_HOT int64_t sluice_tls_session_write(struct sluice_tls_session *session, const uint8_t *bytes, size_t count);
// Says that nothing more will be sent.
SLUICE_HOT void sluice_tls_session_finish(struct sluice_tls_session *session);
// Ciphertext to send; it stays where it is until it was sent.
SLUICE_HOT const uint8_t *sluice_tls_session_output(const struct sluice_tls_session *session, size_t *count);
SLUICE_HOT void sluice_tls_session_sent(struct sluice_tls_session *session, size_t count);
// Gives back what only an active session needs; it comes again with the next byte.
SLUICE_HOT void sluice_tls_session_rest(struct sluice_tls_session *session);
SLUICE_HOT int sluice_tls_session_is_open(const struct sluice_tls_session *session);
SLUICE_HOT int sluice_tls_session_failure(const struct sluice_tls_session *session);
SLUICE_HOT int sluice_tls_session_is_resumed(const struct sluice_tls_session *session);
// 0x0303 or 0x0304.
SLUICE_HOT int sluice_tls_session_version(const struct sluice_tls_session *session);
// Longer chains than this end a handshake that asks for certificates.
enum { SLUICE_TLS_CHAIN_MAX = 8 };
enum sluice_tls_name {
    SLUICE_TLS_NAME_OTHER = 0, SLUICE_TLS_NAME_COMMON, SLUICE_TLS_NAME_DNS, SLUICE_TLS_NAME_URI, SLUICE_TLS_NAME_EMAIL
};
// What is known of the certificate that a peer has shown and the handshake has verified.
struct sluice_tls_peer {
    // Seconds since 1970.
    int64_t ends;
    // SHA-256 of the certificate, and of each of its verified chain, itself first: 32 bytes each, of an asking server's
    // sessions.
    uint8_t fingerprint[32];
    const uint8_t *chain;
    size_t chain_bytes;
    // As text (RFC 2253), printable ASCII; of a certificate without a subject its first other name.
    const uint8_t *subject;
    size_t subject_bytes;
    // Its last common name, its DNS names, URIs and e-mail addresses: kind, two bytes of length (low first), bytes.
    const uint8_t *names;
    size_t names_bytes;
};
// Made when it is first asked for, once the session is open; valid as long as that. NULL when the peer showed none.
SLUICE_HOT const struct sluice_tls_peer *sluice_tls_session_peer(struct sluice_tls_session *session);
// Whether a server's context would take the certificate that the peer of an open session has shown to another one: its
// authorities, its lists, the time. Nothing that was verified before counts. 0 too when the peer showed none.
SLUICE_HOT int sluice_tls_context_believes(struct ssl_ctx_st *context, const struct sluice_tls_session *session);

enum sluice_pem { SLUICE_PEM_END = 0, SLUICE_PEM_READ = 1, SLUICE_PEM_BROKEN = -1, SLUICE_PEM_ENCRYPTED = -2 };
// The SHA-256 of the `index`th certificate of the PEM; one of enum sluice_pem.
int sluice_tls_certificate_print(const uint8_t *pem, size_t bytes, size_t index, uint8_t print[32]);
// From when and until when the first certificate of the PEM is valid, seconds since 1970. 0 when it has none.
int sluice_tls_certificate_dates(const uint8_t *pem, size_t bytes, int64_t *begins, int64_t *ends);

// How often this thread asked the system for memory on OpenSSL's behalf.
uint64_t sluice_tls_memory_misses(void);
#endif
