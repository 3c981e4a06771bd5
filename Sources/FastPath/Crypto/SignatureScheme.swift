// A signature scheme compiled for the loops: one pointer, trivially copyable, nothing to look up or allocate when a
// request is checked. `SignatureHeader.swift` reads requests by it, `BatchVerifier.swift` computes.
//
// Invariants: every scheme has at least one key (or token), none of them empty, and covers the body; a source without a
// scheme has none of these, never one that accepts.
//
// Safety: points into the `CompiledMemory` given at compilation and is valid as long as that lives.

@safe package struct SignatureScheme: @unchecked Sendable {
    let data: UnsafePointer<SchemeData>

    /// A key per secret, in the order of the configuration; the place of the one that matched is
    /// `BatchVerifier.matchedKey`.
    package var keyCount: Int { data.pointee.keyCount }
    /// Traps when the scheme compares tokens.
    package func key(at index: Int) -> SigningKey {
        precondition(index >= 0 && index < data.pointee.keyCount)
        return data.pointee.keys[index]
    }
}

/// What `SchemeDefinition` says, resolved. Trivial, so that it can lie in raw memory.
struct SchemeData {
    var isToken: Bool
    var algorithm: MACAlgorithm
    var encoding: SignatureEncoding
    var list: SignatureList
    var timestampPlace: TimestampPlace
    var checksFuture: Bool
    /// True exactly when the signed bytes are the body's, so that nothing need be copied.
    var signsBodyAlone: Bool
    var headers: UnsafePointer<SchemeHeaderNames>
    var headersCount: Int
    var prefix: ByteView
    var listKey: ByteView
    var timestampKey: ByteView
    var unitsPerSecond: UInt64
    var toleranceUnits: UInt64
    var pieces: UnsafePointer<SignedPiece>
    var pieceCount: Int
    var keys: UnsafePointer<SigningKey>
    var keyCount: Int
    var tokens: UnsafePointer<ByteView>
    var tokenCount: Int
    /// The next scheme that the same source takes (GitLab: signature, else token).
    var alternative: UnsafePointer<SchemeData>?
}

enum TimestampPlace: UInt8 { case none, header, list }

struct SchemeHeaderNames {
    var signature: HeaderName
    var id: HeaderName?
    var timestamp: HeaderName?
}

struct SignedPiece {
    enum Kind: UInt8 { case literal, id, timestamp, body }
    var kind: Kind
    var literal: ByteView
}

extension SignatureScheme {
    /// Compiles alternatives, of which a request is checked by the first whose signature header it has.
    package init(_ alternatives: [(definition: SchemeDefinition, secrets: [String])], in memory: CompiledMemory)
        throws(SchemeError)
    {
        try self.init(alternatives.map { ($0.definition, $0.secrets.map { SourceSecret($0) }) }, in: memory)
    }
    package init(_ alternatives: [(definition: SchemeDefinition, secrets: [SourceSecret])], in memory: CompiledMemory)
        throws(SchemeError)
    {
        precondition(!alternatives.isEmpty)
        var next: UnsafePointer<SchemeData>?
        for (definition, secrets) in alternatives.reversed() {
            let compiled = try SchemeData(definition, secrets: secrets, alternative: next, in: memory)
            next = UnsafePointer(memory.place([compiled]))
        }
        data = next!
    }
}

extension SchemeData {
    init(
        _ definition: SchemeDefinition, secrets: [SourceSecret], alternative: UnsafePointer<SchemeData>?,
        in memory: CompiledMemory
    ) throws(SchemeError) {
        try definition.check()
        guard !secrets.isEmpty else { throw .noSecret }
        var keys: [SigningKey] = []
        var tokens: [ByteView] = []
        for (index, secret) in secrets.enumerated() {
            let bytes = try definition.secretEncoding.key(of: secret.value, index: index)
            switch definition.algorithm {
            case .hmac(let algorithm): keys.append(SigningKey(secret: bytes, algorithm: algorithm, in: memory))
            case .token: tokens.append(memory.place(bytes: bytes))
            default: throw .badAlgorithm("algorithm: not of this version")
            }
        }
        if case .hmac(let algorithm) = definition.algorithm {
            self.algorithm = algorithm
            isToken = false
        } else {
            algorithm = .sha256
            isToken = true
        }
        encoding = definition.encoding
        list = definition.list
        timestampPlace = definition.timestamp.map { $0.listKey == nil ? .header : .list } ?? .none
        checksFuture = definition.timestamp?.checksFuture ?? true
        let names = definition.headers.map {
            SchemeHeaderNames(
                signature: HeaderName($0.signature), id: $0.id.map { HeaderName($0) },
                timestamp: $0.timestamp.map { HeaderName($0) })
        }
        headers = UnsafePointer(memory.place(names))
        headersCount = names.count
        prefix = memory.place(bytes: Array(definition.prefix.utf8))
        listKey = memory.place(bytes: Array(definition.listKey.utf8))
        timestampKey = memory.place(bytes: Array((definition.timestamp?.listKey ?? "").utf8))
        unitsPerSecond = definition.timestamp?.unitsPerSecond ?? 1
        toleranceUnits = (definition.timestamp?.toleranceSeconds ?? 0) * unitsPerSecond
        let template = try SignedTemplate.pieces(of: definition.signed)
        signsBodyAlone = template == [.body]
        pieces = UnsafePointer(memory.place(template.map { SignedPiece($0, in: memory) }))
        pieceCount = template.count
        self.keys = UnsafePointer(memory.place(keys))
        keyCount = keys.count
        self.tokens = UnsafePointer(memory.place(tokens))
        tokenCount = tokens.count
        self.alternative = alternative
    }
}

extension SignedPiece {
    init(_ piece: SignedTemplate, in memory: CompiledMemory) {
        switch piece {
        case .literal(let text): self.init(kind: .literal, literal: memory.place(bytes: Array(text.utf8)))
        case .id: self.init(kind: .id, literal: .empty)
        case .timestamp: self.init(kind: .timestamp, literal: .empty)
        case .body: self.init(kind: .body, literal: .empty)
        }
    }
}
