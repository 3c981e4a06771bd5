// What the ingest port says to a request that breaks the contract's envelope: status, code, one sentence. Data.
//
// Invariants: codes are those of the control listener, each of one status (`EdgeCode`; a test holds them together);
// texts are ours and need no escape in JSON.

package enum EnvelopeFault: UInt8, CaseIterable, Sendable, BitwiseCopyable {
    case requestIDMissing, requestIDInvalid, versionMissing, versionUnsupported, tenantMissing, tenantInvalid
    case signatureSpelling
    // Behind the signature.
    case mediaType, otherTenant, keyInvalid, keyOther, bodyEmpty, typeMissing

    package var status: Int {
        switch self {
        case .signatureSpelling: 401
        case .mediaType: 415
        case .otherTenant: 403
        case .typeMissing: 422
        default: 400
        }
    }
    /// Of metrics, and of the refused requests that are kept.
    var reason: SignatureRejection {
        switch self {
        case .requestIDMissing, .versionMissing, .tenantMissing: .missingHeader
        case .requestIDInvalid, .tenantInvalid, .signatureSpelling, .keyInvalid, .keyOther: .malformedHeader
        case .versionUnsupported: .unsupportedContractVersion
        case .mediaType: .unsupportedMediaType
        case .otherTenant: .tenantMismatch
        case .bodyEmpty: .emptyBody
        case .typeMissing: .schemaViolation
        }
    }
    package var words: EnvelopeWords {
        switch self {
        case .requestIDMissing:
            EnvelopeWords("missing_header", "`X-Request-Id` is required: a UUID of version 4, new each time")
        case .requestIDInvalid: EnvelopeWords("invalid_header", "`X-Request-Id` must be a UUID of version 4")
        case .versionMissing:
            EnvelopeWords(
                "missing_header", "`X-Zen-Contract-Version` is required: one of v0, v1alpha1", EnvelopeWords.versions)
        case .versionUnsupported:
            EnvelopeWords(
                "unsupported_contract_version", "`X-Zen-Contract-Version` is none that is served: v0, v1alpha1",
                EnvelopeWords.versions)
        case .tenantMissing: EnvelopeWords("missing_header", "`X-Tenant-Id` is required: the tenant's UUID")
        case .tenantInvalid: EnvelopeWords("invalid_header", "`X-Tenant-Id` must be a UUID")
        case .signatureSpelling: EnvelopeWords.signatureForm
        case .mediaType:
            EnvelopeWords(
                "unsupported_media_type", "the body must be JSON: `Content-Type: application/json`")
        case .otherTenant: EnvelopeWords("tenant_mismatch", "`X-Tenant-Id` is not the tenant of this source")
        case .keyInvalid: EnvelopeWords("invalid_header", "`X-Idempotency-Key` must be a UUID")
        case .keyOther:
            EnvelopeWords(
                "invalid_header",
                "`X-Idempotency-Key` must be `X-Request-Id` here: on this port a retry sends the same request again")
        case .bodyEmpty: EnvelopeWords("malformed_json", "the body is empty; it must be JSON")
        case .typeMissing:
            EnvelopeWords(
                "validation_failed", "event_type: is required",
                #","details":[{"field":"event_type","message":"is required"}]"#)
        }
    }

    /// Of what every source refuses, by its status and reason.
    package static func code(_ status: Int, _ reason: String) -> EnvelopeWords {
        switch status {
        case 401: signature(reason)
        case 403: EnvelopeWords("forbidden", "the source does not take requests from here, or without this certificate")
        case 404: EnvelopeWords("not_found", "there is nothing here")
        case 405: EnvelopeWords("method_not_allowed", "events come by POST")
        case 409: EnvelopeWords("idempotency_conflict", "the key was used for another request")
        case 413: EnvelopeWords("too_large", "the body is larger than the source takes")
        case 415: EnvelopeFault.mediaType.words
        case 422: EnvelopeWords("validation_failed", "the body is not what the source's schema asks for")
        case 429: EnvelopeWords("rate_limited", "too many requests; `Retry-After` says when to try again")
        case 503: EnvelopeWords("unavailable", "the event cannot be kept at the moment; try again")
        default: EnvelopeWords("invalid_header", "the request is malformed, or did not come in time")
        }
    }
    private static func signature(_ reason: String) -> EnvelopeWords {
        switch reason {
        case SignatureRejection.missingHeader.rawValue:
            EnvelopeWords("invalid_signature", "a signature is needed: `X-Signature` and `X-Timestamp`")
        case SignatureRejection.staleTimestamp.rawValue, SignatureRejection.futureTimestamp.rawValue:
            EnvelopeWords("invalid_signature", "`X-Timestamp` is too far from now")
        case SignatureRejection.malformedTimestamp.rawValue:
            EnvelopeWords("invalid_signature", "`X-Timestamp` must be Unix seconds")
        case SignatureRejection.malformedHeader.rawValue, SignatureRejection.duplicateHeader.rawValue:
            EnvelopeWords.signatureForm
        default:
            EnvelopeWords(
                "invalid_signature",
                """
                the signature is wrong: HMAC-SHA256 with the source's secret over `X-Request-Id.X-Timestamp.body`, in \
                hexadecimal
                """)
        }
    }
}

/// What is said of a refusal, as JSON has it.
package struct EnvelopeWords: Sendable {
    static let versions: StaticString = #","supported_versions":["v0","v1alpha1"]"#
    package let code: StaticString
    let message: StaticString
    /// Further members of the error, each with the comma before it.
    let more: StaticString

    init(_ code: StaticString, _ message: StaticString, _ more: StaticString = "") {
        (self.code, self.message, self.more) = (code, message, more)
    }
    static var signatureForm: EnvelopeWords {
        EnvelopeWords(
            "invalid_signature", "`X-Signature` must be 64 hexadecimal digits in small letters, without a prefix")
    }
}
