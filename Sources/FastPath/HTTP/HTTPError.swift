// Why the HTTP codec refuses a message. After any of these the connection is answered once and closed: nothing behind
// an error is parsed (RFC 9112 §2.2, §6.3, §11.2).

/// A refusal: the status to answer with, and a stable reason code for the body, the metrics and the tests.
package enum HTTPError: String, Error, CaseIterable, Sendable {
    // 400: the framing or the syntax is in doubt.
    case badRequestLine = "bad_request_line"
    case badMethod = "bad_method"
    case badTarget = "bad_target"
    case badVersion = "bad_version"
    case bareCarriageReturn = "bare_cr"
    case bareLineFeed = "bare_lf"
    case tooManyEmptyLines = "too_many_empty_lines"
    case leadingWhiteSpace = "leading_white_space"
    case badFieldName = "bad_field_name"
    case badFieldValue = "bad_field_value"
    case missingHost = "missing_host"
    case duplicateHost = "duplicate_host"
    case badHost = "bad_host"
    case badContentLength = "bad_content_length"
    case duplicateContentLength = "duplicate_content_length"
    case lengthAndTransferEncoding = "length_and_transfer_encoding"
    case badTransferEncoding = "bad_transfer_encoding"
    case transferEncodingInVersion10 = "transfer_encoding_in_http_1_0"
    case badChunkSize = "bad_chunk_size"
    case badChunkExtension = "bad_chunk_extension"
    case badChunkEnd = "bad_chunk_end"
    // Others.
    case requestTimeout = "request_timeout"
    case bodyTooLarge = "body_too_large"
    case targetTooLong = "target_too_long"
    case headTooLarge = "head_too_large"
    case tooManyFields = "too_many_fields"
    case trailersTooLarge = "trailers_too_large"
    case unsupportedTransferCoding = "unsupported_transfer_coding"
    case unsupportedVersion = "unsupported_version"

    package var status: Int {
        switch self {
        case .requestTimeout: 408
        case .bodyTooLarge: 413
        case .targetTooLong: 414
        case .headTooLarge, .tooManyFields, .trailersTooLarge: 431
        case .unsupportedTransferCoding: 501
        case .unsupportedVersion: 505
        default: 400
        }
    }
}
