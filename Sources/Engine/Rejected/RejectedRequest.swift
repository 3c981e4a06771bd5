// What the rejected side speaks of, as plain values: a refused request as the store keeps it, what a listing asks for,
// and the hints that a closer look may give.

import FastPath

/// Why a refused request probably failed, found off the hot path. Raw values are stored and are the stable names that
/// the API, metrics and log lines show. A hint never carries a secret or a signature.
package enum RejectionHint: String, CaseIterable, Sendable {
    case wrongSecretOfOtherSource = "wrong_secret_of_other_source"
    case wrongSecretOld = "wrong_secret_old"
    case secretHasWhitespace = "secret_has_whitespace"
    case bodyModifiedWhitespace = "body_modified_whitespace"
    case bodyReserialised = "body_reserialised"
    case bodyCompressed = "body_compressed"
    case clockSkew = "clock_skew"
    case wrongEncoding = "wrong_encoding"
    case missingPrefix = "missing_prefix"
    case unexpectedPrefix = "unexpected_prefix"
    case headerRenamedByProxy = "header_renamed_by_proxy"
    case urlDiffers = "url_differs"
}

/// A hint and the words that make it of use: which source, how many seconds, which header.
package struct HintFinding: Equatable, Sendable {
    package let hint: RejectionHint
    package let detail: String

    package init(_ hint: RejectionHint, _ detail: String) {
        self.hint = hint
        self.detail = detail
    }
}

/// A row of the store. The head and body of `request` are empty in a listing.
package struct RejectedRow: Sendable {
    package var number: Int64
    package var request: RejectedRequest
    package var finding: HintFinding?
    /// Head and body together.
    package var byteCount: Int

    /// `rej_` and the number: numbers are never given twice.
    package var id: String { RejectedRow.id(of: number) }
    package static func id(of number: Int64) -> String { "rej_\(number)" }
    /// Nil for a text that is no id of a rejected request.
    package static func number(of id: String) -> Int64? {
        guard id.hasPrefix("rej_"), let number = Int64(id.dropFirst(4)), number > 0, self.id(of: number) == id else {
            return nil
        }
        return number
    }
}

extension RejectedRequest {
    package var receivedSeconds: UInt64 { receivedAt / 1_000_000_000 }
    package var byteCount: Int { head.count + body.count }
}

/// All parts must hold.
package struct RejectedQuery: Equatable, Sendable {
    /// Only those of these sources; nil = of all.
    package var sourceNumbers: Set<UInt32>?
    package var source: String?
    package var reason: SignatureRejection?
    /// Rows before this number, for the next page of a listing.
    package var before: Int64?
    package var limit = 100

    package init() {}
}

/// How much of what was refused is kept, for each source.
package struct RejectedConfiguration: Equatable, Sendable {
    /// Requests kept a source; 0 keeps none and looks at none.
    package var countMax = 1000
    /// Bytes kept a source.
    package var bytesMax = 16 << 20

    package init() {}
    package var isOn: Bool { countMax > 0 }
}
