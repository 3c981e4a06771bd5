// What tls_context.c and tls_session.c share.
#ifndef SLUICE_TLS_SESSION_H
#define SLUICE_TLS_SESSION_H
#include <openssl/ssl.h>

// A client context's callback for what the peer left for later: 1, for the session takes the reference.
int sluice_tls_session_keep_ticket(SSL *ssl, SSL_SESSION *ticket);
#endif
