// Why a request is refused: one vocabulary for answers, metrics, logs, `sluice verify` and tests.

/// The reason codes of a signature check. Raw values are the stable names that users, metrics and vectors see; places
/// are in the records of the log (docs/log-format.md), so a new one is appended, never put between.
package enum SignatureRejection: String, CaseIterable, Error, Sendable, BitwiseCopyable {
    case signatureMismatch = "signature_mismatch"
    case missingHeader = "missing_header"
    case malformedHeader = "malformed_header"
    case duplicateHeader = "duplicate_header"
    case staleTimestamp = "stale_timestamp"
    case futureTimestamp = "future_timestamp"
    case malformedTimestamp = "malformed_timestamp"
    case tokenMismatch = "token_mismatch"
    case invalidCredentials = "invalid_credentials"
    case wrongAlgorithm = "wrong_algorithm"
    case untrustedCertificateURL = "untrusted_cert_url"
    case bodyHashMismatch = "body_hash_mismatch"
    case challengeNotOpaque = "challenge_not_opaque"
    case missingChallenge = "missing_challenge"
    case malformedChallenge = "malformed_challenge"
    case invalidSecret = "invalid_secret"
    case originNotAllowed = "origin_not_allowed"
    case verifyTokenMismatch = "verify_token_mismatch"
    case emptyBody = "empty_body"
    case addressNotAllowed = "address_not_allowed"
    /// Refused by its length, before its body came: of such a request only the head is known.
    case bodyTooLarge = "body_too_large"
    /// The source demands a client certificate, and the connection has none.
    case missingClientCertificate = "missing_client_certificate"
    case clientCertificateNotAllowed = "client_certificate_not_allowed"
    /// More events than one request may hold, or one whose type or key is too long.
    case batchTooLarge = "batch_too_large"
    /// Genuine, and not what the source's schema asks for.
    case schemaViolation = "schema_violation"
    /// The source has a schema, and the body is no JSON.
    case bodyNotJSON = "body_not_json"
    /// Of the contract's envelope.
    case unsupportedContractVersion = "unsupported_contract_version"
    case unsupportedMediaType = "unsupported_media_type"
    /// Genuine, and it says that it is another tenant's.
    case tenantMismatch = "tenant_mismatch"

    /// What a request is answered with that a worker refuses for it.
    var workerStatus: Int {
        switch self {
        case .batchTooLarge: 413
        case .schemaViolation, .bodyNotJSON: 422
        default: 401
        }
    }
}
