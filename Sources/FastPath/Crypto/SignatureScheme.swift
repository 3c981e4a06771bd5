// A signature scheme compiled for the loops: one pointer, trivially copyable, nothing to look up or allocate when a
// request is checked. `SignatureHeader.swift` reads requests by it, `BatchVerifier.swift` computes.
//
// Invariants: every scheme has at least one key (or token), none of them empty, and covers the body unless its
// definition says that the sender does not; a source without a scheme has none of these, never one that accepts.
//
// Safety: points into the `CompiledMemory` given at compilation and is valid as long as that lives.

@safe package struct SignatureScheme: @unchecked Sendable {
    let data: UnsafePointer<SchemeData>

    /// A key per secret, in the order of the configuration; the place of the one that matched is
    /// `BatchVerifier.matchedKey`. 0 for tokens, credentials and public keys.
    package var keyCount: Int { unsafe data.pointee.keyCount }
    /// Traps when the scheme has no such key.
    package func key(at index: Int) -> SigningKey {
        unsafe precondition(index >= 0 && index < data.pointee.keyCount)
        return unsafe data.pointee.keys[index]
    }
}

/// What `SchemeDefinition` says, resolved. Trivial, so that it can lie in raw memory.
/// Safety: points into its source's `CompiledMemory`, which is freed with the snapshot.
@safe struct SchemeData {
    var kind: SchemeKind
    /// True exactly when the quick way reads it: header places alone, a signed string of literals, id, timestamp and
    /// body, a timestamp in digits that must not be old.
    var isPlain: Bool
    /// True exactly when it and all alternatives behind it are plain.
    var isPlainChain: Bool
    var algorithm: MACAlgorithm
    var encoding: SignatureEncoding
    var list: SignatureList
    var timestampPlace: TimestampLocation
    var timestampForm: TimestampForm
    var checksFuture: Bool
    var checksPast: Bool
    var timestampIsOptional: Bool
    /// True exactly when the signed bytes are the body's, so that nothing need be copied.
    var signsBodyAlone: Bool
    var prefixIgnoresCase: Bool
    var refusesOpaqueBody: Bool
    /// True exactly when some of its sets of places have an id or a timestamp of their own.
    var hasRivalPlaces: Bool
    var mismatch: SignatureRejection
    /// Meaningful for plain schemes alone.
    var headers: UnsafePointer<SchemeHeaderNames>
    var headersCount: Int
    var prefix: ByteView
    var listKey: ByteView
    var timestampKey: ByteView
    var unitsPerSecond: UInt64
    var toleranceUnits: UInt64
    var pastToleranceUnits: UInt64
    /// Meaningful for plain schemes alone.
    var pieces: UnsafePointer<SignedPiece>
    var pieceCount: Int
    var keys: UnsafePointer<SigningKey>
    var keyCount: Int
    /// For `token` the secrets; for `basic` the base 64 that must come.
    var tokens: UnsafePointer<ByteView>
    var tokenCount: Int
    /// One a secret; nil when none has a window.
    var windows: UnsafePointer<SecretWindow>?
    /// How the general way reads it.
    var general: GeneralScheme
    /// The next scheme that the same source takes (GitLab: signature, else token).
    var alternative: UnsafePointer<SchemeData>?
}

enum SchemeKind: UInt8 { case mac, token, basic, costly }

enum TimestampLocation: UInt8 { case none, value, list }

struct SchemeHeaderNames {
    var signature: HeaderName
    var id: HeaderName?
    var timestamp: HeaderName?
}

struct SecretWindow {
    var notBefore: UInt64
    var notAfter: UInt64
    @inline(__always) func contains(_ nowSeconds: UInt64) -> Bool {
        nowSeconds >= notBefore && nowSeconds <= notAfter
    }
}

struct SignedPiece {
    enum Kind: UInt8 { case literal, id, timestamp, body, method, url, path, query, form, value }
    var kind: Kind
    var literal: ByteView
    /// Of `value`.
    var place: ReadLocation
}

extension SignatureScheme {
    /// Compiles alternatives, of which a request is checked by the first whose signature it has.
    package init(
        _ alternatives: [(definition: SchemeDefinition, secrets: [String])], in memory: CompiledMemory
    )
        throws(SchemeError)
    {
        try self.init(alternatives.map { ($0.definition, $0.secrets.map { SourceSecret($0) }) }, in: memory)
    }
    package init(
        _ alternatives: [(definition: SchemeDefinition, secrets: [SourceSecret])], in memory: CompiledMemory
    )
        throws(SchemeError)
    {
        precondition(!alternatives.isEmpty)
        var next: UnsafePointer<SchemeData>?
        for (definition, secrets) in alternatives.reversed() {
            let compiled = unsafe try SchemeData(definition, secrets: secrets, alternative: next, in: memory)
            unsafe next = UnsafePointer(memory.place([compiled]))
        }
        unsafe data = next!
    }
}

extension SchemeData {
    init(
        _ definition: SchemeDefinition, secrets: [SourceSecret], alternative: UnsafePointer<SchemeData>?,
        in memory: CompiledMemory
    ) throws(SchemeError) {
        try definition.check()
        let verifies = try SchemeKeys(definition, secrets, in: memory)
        kind = verifies.kind
        algorithm = verifies.algorithm
        isPlain = definition.isPlain
        isPlainChain = unsafe definition.isPlain && alternative?.pointee.isPlainChain ?? true
        encoding = definition.encoding
        list = definition.list
        timestampPlace = definition.timestamp.map { $0.listKey == nil ? .value : .list } ?? .none
        timestampForm = definition.timestamp?.form ?? .seconds
        checksFuture = definition.timestamp?.checksFuture ?? true
        checksPast = definition.timestamp?.checksPast ?? true
        timestampIsOptional = definition.timestamp?.isOptional ?? false
        mismatch = definition.mismatch
        refusesOpaqueBody = definition.refusesOpaqueBody
        hasRivalPlaces = definition.hasRivalPlaces
        let names =
            !definition.isPlain
            ? []
            : try definition.headers.map { set throws(SchemeError) in
                SchemeHeaderNames(
                    signature: try HeaderName(place: set.signature), id: try set.id.map(HeaderName.init(place:)),
                    timestamp: try set.timestamp.map(HeaderName.init(place:)))
            }
        unsafe headers = UnsafePointer(memory.place(names))
        headersCount = names.count
        prefixIgnoresCase = definition.prefixIgnoresCase
        let prefixText = definition.prefixIgnoresCase ? definition.prefix.lowercased() : definition.prefix
        prefix = memory.place(text: prefixText)
        listKey = memory.place(text: definition.listKey)
        timestampKey = memory.place(text: definition.timestamp?.listKey ?? "")
        unitsPerSecond = definition.timestamp?.unitsPerSecond ?? 1
        toleranceUnits = (definition.timestamp?.allowedSeconds(ahead: true) ?? 0) * unitsPerSecond
        pastToleranceUnits = (definition.timestamp?.allowedSeconds(ahead: false) ?? 0) * unitsPerSecond
        var paths: [JSONPath] = []
        let isMAC = kind == .mac || kind == .costly
        let template = isMAC ? try SignedTemplate.pieces(of: definition.signed) : []
        signsBodyAlone = template == [.body]
        unsafe pieces = UnsafePointer(memory.place(template.map { SignedPiece($0, paths: &paths, in: memory) }))
        pieceCount = template.count
        general = try GeneralScheme(definition, paths: &paths, in: memory)
        unsafe keys = UnsafePointer(memory.place(verifies.keys))
        keyCount = verifies.keys.count
        unsafe tokens = UnsafePointer(memory.place(verifies.tokens))
        tokenCount = verifies.tokens.count
        unsafe windows = verifies.windows.map { unsafe UnsafePointer(memory.place($0)) }
        unsafe self.alternative = alternative
    }
}

/// The secrets, ready to use.
private struct SchemeKeys {
    var kind = SchemeKind.mac
    var algorithm = MACAlgorithm.sha256
    var keys: [SigningKey] = []
    var tokens: [ByteView] = []
    var windows: [SecretWindow]?

    init(_ definition: SchemeDefinition, _ secrets: [SourceSecret], in memory: CompiledMemory) throws(SchemeError) {
        guard !secrets.isEmpty else { throw .noSecret }
        for (index, secret) in secrets.enumerated() {
            guard !definition.algorithm.isCostly else {
                kind = .costly
                _ = try definition.publicKey(of: secret.value, index: index)
                continue
            }
            let bytes = try definition.secretEncoding.key(of: secret.value, index: index)
            switch definition.algorithm {
            case .hmac(let algorithm):
                self.algorithm = algorithm
                keys.append(SigningKey(secret: bytes, algorithm: algorithm, in: memory))
            case .token:
                kind = .token
                tokens.append(memory.place(bytes: bytes))
            case .basic:
                kind = .basic
                // RFC 7617 §2: the name has no colon, and neither has control characters.
                guard bytes.contains(0x3A), bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                    throw .badSecret(index: index, wanted: "user:password")
                }
                tokens.append(memory.place(text: TextEncoding.base64(bytes)))
            case .ed25519, .ecdsaP256, .rsaSHA256: break
            }
        }
        guard secrets.contains(where: { $0.notBefore != nil || $0.notAfter != nil }) else { return }
        windows = secrets.map { SecretWindow(notBefore: $0.notBefore ?? 0, notAfter: $0.notAfter ?? .max) }
    }
}

extension SchemeData {
    /// Such a body's signature could be the answer to a challenge. An empty one is none, but what is signed beside it
    /// may be.
    @inline(__always) func refuses(body: ByteView) -> Bool {
        guard refusesOpaqueBody, body.count <= Handshake.challengeBytesMax else { return false }
        guard body.count > 0 else { return !signsBodyAlone }
        return ChallengeText.problem(body, .opaque, refusesEscapes: false) == nil
    }
}

extension HeaderName {
    fileprivate init(place spelling: String) throws(SchemeError) {
        guard case .header(let name) = try ValueLocation(spelling, for: "header") else {
            throw .badHeader("header: \"\(spelling)\" is no header name")
        }
        self.init(name)
    }
}

extension SchemeDefinition {
    fileprivate var hasRivalPlaces: Bool {
        guard !takesEverySet, let first = headers.first else { return false }
        return headers.contains { $0.id != first.id || $0.timestamp != first.timestamp }
    }

    /// Whether the quick way can read it; the general way reads everything.
    fileprivate var isPlain: Bool {
        guard !takesEverySet, appliesWhen == nil, !prefixIgnoresCase, bodyHash == nil, !triesBothPorts,
            !signsPartOnly,
            let places = try? places(),
            places.allSatisfy({ if case .header = $0 { true } else { false } })
        else { return false }
        if let timestamp, timestamp.form == .iso8601 || !timestamp.checksPast || timestamp.isOptional { return false }
        switch algorithm {
        case .token: return true
        case .basic, .ed25519, .ecdsaP256, .rsaSHA256: return false
        case .hmac:
            let pieces = (try? SignedTemplate.pieces(of: signed)) ?? []
            return pieces.allSatisfy { piece in
                switch piece {
                case .literal, .id, .timestamp, .body: true
                case .method, .url, .path, .query, .form, .value: false
                }
            }
        }
    }
}

extension SignedPiece {
    init(_ piece: SignedTemplate, paths: inout [JSONPath], in memory: CompiledMemory) {
        self.init(kind: .body, literal: .empty, place: .none)
        switch piece {
        case .literal(let text):
            kind = .literal
            literal = memory.place(text: text)
        case .id: kind = .id
        case .timestamp: kind = .timestamp
        case .body: kind = .body
        case .method: kind = .method
        case .url: kind = .url
        case .path: kind = .path
        case .query: kind = .query
        case .form: kind = .form
        case .value(let value):
            kind = .value
            place = ReadLocation(value, paths: &paths, in: memory)
        }
    }
}
