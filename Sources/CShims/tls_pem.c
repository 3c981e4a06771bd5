// Certificates and lists of revoked ones of a PEM text, one by one. OpenSSL's own reader stops at the first block that
// it cannot read as it does at the end, and asks the terminal for the password of one that has one; this one says which
// it was, and asks nobody.
#include "tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include "tls_session.h"

int sluice_pem_password(char *text, int room, int writes, void *was_asked) {
    (void)text, (void)room, (void)writes;
    *(int *)was_asked = 1;
    return -1;
}
BIO *sluice_pem_source(const uint8_t *pem, size_t bytes) {
    return bytes > 0 && bytes < 16 << 20 ? BIO_new_mem_buf(pem, (int)bytes) : NULL;
}
// Why nothing was read.
static int no_more(int was_asked) {
    const unsigned long error = ERR_peek_last_error();
    ERR_clear_error();
    if (was_asked) return SLUICE_PEM_ENCRYPTED;
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE ? SLUICE_PEM_END
                                                                                            : SLUICE_PEM_BROKEN;
}
int sluice_pem_next(BIO *source, X509 **certificate) {
    int was_asked = 0;
    ERR_clear_error();
    *certificate = PEM_read_bio_X509(source, NULL, sluice_pem_password, &was_asked);
    return *certificate != NULL ? SLUICE_PEM_READ : no_more(was_asked);
}
int sluice_pem_next_list(BIO *source, X509_CRL **revoked) {
    int was_asked = 0;
    ERR_clear_error();
    *revoked = PEM_read_bio_X509_CRL(source, NULL, sluice_pem_password, &was_asked);
    return *revoked != NULL ? SLUICE_PEM_READ : no_more(was_asked);
}
int sluice_tls_certificate_print(const uint8_t *pem, size_t bytes, size_t index, uint8_t print[32]) {
    BIO *source = sluice_pem_source(pem, bytes);
    X509 *certificate = NULL;
    int result = source == NULL ? SLUICE_PEM_END : sluice_pem_next(source, &certificate);
    for (size_t i = 0; i < index && result == SLUICE_PEM_READ; i++) {
        X509_free(certificate);
        result = sluice_pem_next(source, &certificate);
    }
    if (result == SLUICE_PEM_READ && X509_digest(certificate, EVP_sha256(), print, NULL) != 1) {
        result = SLUICE_PEM_BROKEN;
    }
    X509_free(certificate);
    BIO_free(source);
    ERR_clear_error();
    return result;
}
