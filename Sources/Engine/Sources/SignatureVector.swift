// One element of a vector file: a request and what must become of it. Tests/Fixtures/make_vectors.py writes the same
// form. The keys are those of the files; what a vector has besides is not read.

package struct SignatureVector: Decodable, Sendable {
    package enum Kind: String, Decodable, Sendable { case verify, handshake, sign, derive }
    package struct Secret: Decodable, Sendable {
        package let value: String
        package let type: String?
        /// Of type `header`: its name.
        package let header: String?
    }
    package struct Response: Decodable, Sendable {
        struct Choice: Decodable, Sendable {
            let body: String?
            let json: PlainJSON?
        }
        let status: Int?
        let content_type: String?
        let body: String?
        let json: PlainJSON?
        let any_of: [Choice]?
        /// A value, several of which any will do, or `<…>` and `contains …`, which say what it must be like.
        let headers: [String: PlainJSON]?
    }
    package let id: String
    package let provider: String
    package let scheme: String
    package let kind: Kind
    package let secrets: [Secret]
    package let method: String
    package let url: String
    /// Pairs of name and value.
    package let headers: [[String]]
    /// Base 64.
    package let body: String
    package let now: UInt64
    package let expect: String
    package let alt_expect: [String]?
    let expect_response: Response?
    let expect_headers: [[String]]?
    let expect_qsh: String?
    let msg_id: String?
}

/// What became of a vector.
package struct VectorResult: Encodable, Equatable, Sendable {
    package enum Outcome: String, Encodable, Sendable { case accept, reject, skipped }
    package let id: String
    package let result: Outcome
    /// A code of `SignatureRejection`, or why the vector was skipped.
    package let reason: String?
    package let expected: String
    /// True exactly when the result is `expected` or an alternative of it; a skipped vector never passes.
    package let passes: Bool
}
