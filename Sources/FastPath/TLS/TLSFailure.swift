// Why a TLS session failed, and what is wrong with what a context was given: the reasons that attempts, metrics, log
// lines and the API share. The codes are stable.

import CShims

/// The raw values are those of `enum sluice_tls_failure`, and are stored: new ones come last.
package enum TLSFailure: UInt8, CaseIterable, Error, Sendable, BitwiseCopyable {
    case none
    // The peer's certificate.
    case expired, notYetValid, nameMismatch, unknownAuthority, selfSigned, revoked, notAnAuthority, wrongPurpose
    case weakSignature, shortKey, nameConstraint, pathTooLong, noRevocationList, revocationListNotCurrent
    case badCertificate, noCertificate
    // What the peer says of ours.
    case certificateRefused, unknownName, refusedByPeer
    // The protocol.
    case version, nothingShared, noHTTP1, plainHTTP, notTLS, malformed, truncated, noMemory

    package var code: String {
        switch self {
        case .none: "none"
        case .expired: "expired"
        case .notYetValid: "not_yet_valid"
        case .nameMismatch: "name_mismatch"
        case .unknownAuthority: "unknown_ca"
        case .selfSigned: "self_signed"
        case .revoked: "revoked"
        case .notAnAuthority: "not_a_ca"
        case .wrongPurpose: "wrong_purpose"
        case .weakSignature: "weak_signature"
        case .shortKey: "short_key"
        case .nameConstraint: "name_constraint"
        case .pathTooLong: "path_too_long"
        case .noRevocationList: "no_crl"
        case .revocationListNotCurrent: "crl_not_current"
        case .badCertificate: "bad_certificate"
        case .noCertificate: "no_certificate"
        case .certificateRefused: "certificate_refused"
        case .unknownName: "unknown_name"
        case .refusedByPeer: "refused_by_peer"
        case .version: "protocol_version"
        case .nothingShared: "nothing_shared"
        case .noHTTP1: "only_http2"
        case .plainHTTP: "plain_http"
        case .notTLS: "not_tls"
        case .malformed: "malformed"
        case .truncated: "truncated"
        case .noMemory: "no_memory"
        }
    }
    /// True exactly when the peer's certificate is what was not accepted.
    package var isOfCertificate: Bool {
        rawValue >= TLSFailure.expired.rawValue && rawValue <= TLSFailure.noCertificate.rawValue
    }
    /// For a log line or an attempt, of a peer that is a server.
    package var explanation: String {
        switch self {
        case .none: "nothing failed"
        case .expired: "a certificate of its chain has expired"
        case .notYetValid: "a certificate of its chain is not valid yet"
        case .nameMismatch: "its certificate is for another name or address"
        case .unknownAuthority: "its certificate does not lead to an authority that is trusted here"
        case .selfSigned: "its certificate is self-signed and not trusted here"
        case .revoked: "its certificate was revoked"
        case .notAnAuthority: "a certificate of its chain signs others and is no authority's"
        case .wrongPurpose: "its certificate is not for this side of a connection (extended key usage)"
        case .weakSignature: "a certificate of its chain is signed with a digest that is too weak, such as SHA-1"
        case .shortKey: "a key of its chain is too short; RSA needs 2048 bits, elliptic curves 224"
        case .nameConstraint: "an authority of its chain may not sign for its name"
        case .pathTooLong: "its chain is longer than its authorities allow"
        case .noRevocationList: "no list of revoked certificates covers its certificate"
        case .revocationListNotCurrent: "the list of revoked certificates is not current"
        case .badCertificate: "its certificate cannot be verified"
        case .noCertificate: "it showed no certificate"
        case .certificateRefused: "it refused the certificate of this side, or wants one"
        case .unknownName: "it does not know the name it was asked for"
        case .refusedByPeer: "it ended the connection with an alert"
        case .version: "it speaks no TLS 1.2 or later"
        case .nothingShared: "it shares no cipher, group or signature algorithm with this side"
        case .noHTTP1: "it offers no HTTP/1.1 over TLS, only other protocols such as HTTP/2"
        case .plainHTTP: "it speaks HTTP without TLS"
        case .notTLS: "it does not speak TLS"
        case .malformed: "it broke the TLS protocol"
        case .truncated: "it ended the connection without saying so, which may be an attack"
        case .noMemory: "there is no memory for the session"
        }
    }
}

/// What is wrong with a certificate, a key or a list that a context was given.
package enum TLSSettingsError: Error, Equatable, Sendable {
    /// Which of the texts; the index is of the identity.
    package enum Part: Equatable, Sendable { case certificate(Int), key(Int), authorities, revoked, system }
    case part(Part, reason: String)
    /// OpenSSL here cannot do what this program asks of it, or has no memory.
    case unusable(String)

    /// What follows the name of the file.
    package var words: String {
        switch self {
        case .part(_, let reason), .unusable(let reason): reason
        }
    }

    init(_ fault: Int32, certificate: Part, key: Part) {
        let fault = sluice_tls_fault(rawValue: UInt32(bitPattern: fault))
        switch fault {
        case SLUICE_TLS_FAULT_NO_CERTIFICATE: self = .part(certificate, reason: "has no certificate in PEM")
        case SLUICE_TLS_FAULT_NO_KEY: self = .part(key, reason: "has no private key in PEM")
        case SLUICE_TLS_FAULT_KEY_ENCRYPTED:
            self = .part(key, reason: "has a private key with a password; store it without one")
        case SLUICE_TLS_FAULT_KEY_MISMATCH: self = .part(key, reason: "has a private key of another certificate")
        case SLUICE_TLS_FAULT_WEAK:
            self = .part(
                certificate,
                reason: "has a certificate with a short key (RSA needs 2048 bits) or a weak digest (such as SHA-1)")
        case SLUICE_TLS_FAULT_EXPIRED: self = .part(certificate, reason: "has a certificate that has expired")
        case SLUICE_TLS_FAULT_NOT_YET_VALID:
            self = .part(certificate, reason: "has a certificate that is not valid yet")
        case SLUICE_TLS_FAULT_BROKEN:
            self = .part(certificate, reason: "has a block of PEM that cannot be read; is the file whole?")
        case SLUICE_TLS_FAULT_ENCRYPTED:
            self = .part(certificate, reason: "has a certificate with a password; store it without one")
        case SLUICE_TLS_FAULT_NO_CRL: self = .part(certificate, reason: "has no list of revoked certificates in PEM")
        case SLUICE_TLS_FAULT_NO_SYSTEM_ROOTS:
            self = .part(.system, reason: "this system has no trusted certificates (install ca-certificates)")
        case SLUICE_TLS_FAULT_NO_MEMORY: self = .unusable("there is no memory for a TLS context")
        default: self = .unusable("OpenSSL refuses the cipher policy of this program")
        }
    }
}
