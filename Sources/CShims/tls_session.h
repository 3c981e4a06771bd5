// What tls_context.c, tls_session.c, tls_peer.c and tls_pem.c share.
#ifndef SLUICE_TLS_SESSION_H
#define SLUICE_TLS_SESSION_H
#include <stddef.h>
#include <stdint.h>
#include <openssl/ssl.h>

struct sluice_tls_peer;

// A client context's callback for what the peer left for later: 1, for the session takes the reference.
int sluice_tls_session_keep_ticket(SSL *ssl, SSL_SESSION *ticket);
// The callback of a server that asks for certificates: the verified chain goes into the ticket. 0 without memory.
int sluice_tls_session_keep_chain(SSL *ssl, void *unused);
// Whether a handshake of `context` would take a client with this certificate and these others.
int sluice_tls_context_takes(SSL_CTX *context, X509 *certificate, STACK_OF(X509) *others);
// What is known of the peer's certificate, one block for OPENSSL_free; NULL when it showed none, or without memory.
struct sluice_tls_peer *sluice_tls_peer_make(SSL *ssl);

// A PEM text to read from; NULL for none, and for more than any file of certificates has.
BIO *sluice_pem_source(const uint8_t *pem, size_t bytes);
// Its next certificate, the caller's, over blocks of other kinds; one of enum sluice_pem.
int sluice_pem_next(BIO *source, X509 **certificate);
int sluice_pem_next_list(BIO *source, X509_CRL **revoked);
// A reader's callback that has no password: sets the int that `was_asked` points to.
int sluice_pem_password(char *text, int room, int writes, void *was_asked);
#endif
