// A provider's challenge and its answer as data, before it is compiled: what the catalogue says. `HandshakeCheck.swift`
// says what the data must be like, `Handshake.swift` compiles it, `HandshakeAnswering.swift` answers by it.
//
// Invariant kept by the check: a value that the asker chose is signed only when it must be opaque, and, where nothing
// verifies the asker, only beside schemes for which no opaque text is a delivery (`SourceCompiler`), so that no
// challenge makes the endpoint sign a delivery of its own.

/// Which requests are this challenge.
package enum HandshakeTrigger: Equatable, Sendable {
    /// A POST, after its signature was verified, whose body fulfils all of these; any other body is an event.
    case body([BodyCondition])
    /// A GET; with `otherwiseEvent` only one that has the challenge's parameter, any other is an event.
    case get
    case options
    case head
    /// A POST, before its signature is looked at; one that `applies` does not fit is an event like any other.
    case post
}

/// What a request must have to be this challenge, beside its trigger.
package struct HandshakeCondition: Equatable, Sendable {
    /// `header:NAME`, `query:NAME` or `json:$.a.b`, this of a POST.
    package var place: String
    /// Nil = it is there and not empty. Values are compared decoded; a header's name has no case, its value has.
    package var equals: String?

    package init(_ place: String, equals: String? = nil) {
        self.place = place
        self.equals = equals
    }
}

package enum BodyCondition: Equatable, Sendable {
    /// The JSON string at the path is exactly this text, decoded.
    case text(path: String, equals: String)
    /// The JSON number at the path is spelled exactly so.
    case number(path: String, equals: String)
    /// There is nothing at the path.
    case absent(path: String)
    /// There is something at the path other than `null` and an empty text.
    case present(path: String)
}

/// What must hold before a challenge is answered; checked in order, the first that does not hold names the reason.
package enum HandshakeRequirement: Equatable, Sendable {
    /// A parameter of the query that must have this value, or the challenge is malformed.
    case parameter(String, equals: String)
    /// A parameter of the query that must be the source's verify token (compared in constant time).
    case verifyToken(parameter: String)
    /// The challenge must be one of the source's allowed origins.
    case allowedOrigin
}

/// Which challenges are taken.
package enum ChallengeRule: Equatable, Sendable {
    /// Printable ASCII; goes back as text or as the text of a JSON string.
    case printable
    /// Letters, digits, `-` and `_` only. Most signed strings have another character by their template; where the body
    /// alone is signed a body of these letters must be refused (`SchemeDefinition.refusesOpaqueBody`), because its
    /// signature may be had for the asking. `true` and `12345` are such bodies.
    case opaque
    /// A host name with or without its port, or a URL without anything that could end a header line.
    case origin
}

package struct HandshakeChallenge: Equatable, Sendable {
    /// `json:$.a.b`, `query:NAME` or `header:NAME`.
    package var place: String
    package var rule: ChallengeRule
    package var bytesMax: Int

    package init(_ place: String, _ rule: ChallengeRule, bytesMax: Int = 256) {
        self.place = place
        self.rule = rule
        self.bytesMax = bytesMax
    }
}

/// A piece of an answer's body or of a header's value.
package enum HandshakePiece: Equatable, Sendable {
    case literal(String)
    /// The challenge; from a query it is percent-decoded. In a JSON body `"` and `\` are escaped.
    case challenge
    /// The HMAC of the challenge with the key that verified the request, or the source's first one.
    case mac(SignatureEncoding)
}

package struct HandshakeHeader: Equatable, Sendable {
    package var name: String
    package var value: [HandshakePiece]
    /// Sent only to a request that has this header.
    package var whenAsked: String?

    package init(_ name: String, _ value: [HandshakePiece], whenAsked: String? = nil) {
        self.name = name
        self.value = value
        self.whenAsked = whenAsked
    }
}

package enum HandshakeContentType: Equatable, Sendable {
    case json, text
    /// Any other, such as `text/html`.
    case other(String)
}

package struct HandshakeDefinition: Equatable, Sendable {
    package var trigger: HandshakeTrigger
    /// All of these; a request that has not all of them is not this challenge.
    package var applies: [HandshakeCondition] = []
    package var requirements: [HandshakeRequirement] = []
    /// Nil when the answer is the same for every asker.
    package var challenge: HandshakeChallenge?
    package var status = 200
    package var contentType = HandshakeContentType.json
    package var headers: [HandshakeHeader] = []
    package var body: [HandshakePiece] = []
    /// The answer's status when the challenge is refused.
    package var refusalStatus = 401
    /// True when a GET without the challenge's parameter is an event (for a provider that delivers by GET).
    package var otherwiseEvent = false

    package init(_ trigger: HandshakeTrigger) { self.trigger = trigger }

    /// True exactly when the answer has the MAC of a value of a request that nothing verifies.
    package var signsForAnyone: Bool {
        if case .body = trigger { return false }
        return (body + headers.flatMap(\.value)).contains { if case .mac = $0 { true } else { false } }
    }
}
