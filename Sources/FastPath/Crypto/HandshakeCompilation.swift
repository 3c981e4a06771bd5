// What a challenge's data must be like, and its compilation: trivial values in a `CompiledMemory`, read by
// `Handshake.swift`.
//
// Invariant: nothing is compiled that would sign what the asker chose freely, or write more than an answer has room
// for. Safety: the compiled values point into the `CompiledMemory` given and are valid as long as that lives.

/// Why a challenge's data cannot be compiled: a mistake of the catalogue, or of a configuration's verify token.
package struct HandshakeError: Error, Equatable, Sendable {
    package let message: String
}

/// Safety: points into its source's `CompiledMemory`, which is freed with the snapshot.
@safe struct CompiledHandshake {
    enum Trigger: UInt8 { case body, get, options, head, post }
    enum InputLocation: UInt8 { case none, json, query, header }

    var trigger: Trigger
    var applies: UnsafePointer<CompiledApplication>
    var appliesCount: Int
    var conditions: UnsafePointer<CompiledCondition>
    var conditionCount: Int
    var requirements: UnsafePointer<CompiledRequirement>
    var requirementCount: Int
    var place: InputLocation
    /// Place in the set's paths.
    var path: Int
    var parameter: ByteView
    var header: HeaderName?
    var rule: ChallengeRule
    var bytesMax: Int
    var checksOrigin: Bool
    var status: Int
    var refusalStatus: Int
    var contentType: ByteView
    /// True when the challenge stands in a JSON string of the answer but did not come from one.
    var escapes: Bool
    /// True when it came from a JSON string and stands in a text: then it may have no escapes.
    var refusesEscapes: Bool
    var headers: UnsafePointer<CompiledHandshakeHeader>
    var headerCount: Int
    var body: UnsafePointer<CompiledHandshakePiece>
    var bodyCount: Int
    var otherwiseEvent: Bool
}

/// One of `HandshakeDefinition.applies`.
struct CompiledApplication {
    var place: CompiledHandshake.InputLocation
    /// Place in the set's paths.
    var path: Int
    var parameter: ByteView
    var header: HeaderName?
    /// Meaningful when `isEqual`; otherwise the value must be there.
    var value: ByteView
    var isEqual: Bool
}

struct CompiledCondition {
    enum Kind: UInt8 { case text, number, absent, present }
    var kind: Kind
    var path: Int
    var value: ByteView
}

struct CompiledRequirement {
    var parameter: ByteView
    /// Empty for a verify token that the source does not have: nothing equals it.
    var value: ByteView
    var isVerifyToken: Bool
}

struct CompiledHandshakePiece {
    enum Kind: UInt8 { case literal, challenge, hexMAC, base64MAC }
    var kind: Kind
    var literal: ByteView
}

/// Safety: as `CompiledHandshake`.
@safe struct CompiledHandshakeHeader {
    /// With its colon and space.
    var name: ByteView
    var value: UnsafePointer<CompiledHandshakePiece>
    var valueCount: Int
    var whenAsked: HeaderName?
}

extension Handshake {
    /// The challenges of one source; the first whose trigger fits a request answers it. `allowedOrigins`: host names or
    /// URLs, `*` for any.
    package init(
        _ definitions: [HandshakeDefinition], verifyToken: String? = nil, allowedOrigins: [String] = [],
        in memory: CompiledMemory
    ) throws(HandshakeError) {
        precondition(!definitions.isEmpty)
        if let verifyToken {
            guard !verifyToken.isEmpty, verifyToken.utf8.count <= Handshake.challengeBytesMax else {
                throw HandshakeError(
                    message: "verify_token takes 1 to \(Handshake.challengeBytesMax) bytes; is its variable set?")
            }
        }
        var compiler = HandshakeCompiler(verifyToken: verifyToken, memory: memory)
        var compiled: [CompiledHandshake] = []
        for definition in definitions { compiled.append(try compiler.compile(definition)) }
        guard compiler.paths.count <= JSONPathSet.pathCountMax else {
            throw HandshakeError(message: "the challenges look at more than \(JSONPathSet.pathCountMax) JSON paths")
        }
        unsafe self.init(
            items: UnsafePointer(memory.place(compiled)), count: compiled.count,
            paths: JSONPathSet(compiler.paths, in: memory),
            origins: UnsafePointer(memory.place(allowedOrigins.map { memory.place(text: $0.lowercased()) })),
            originCount: allowedOrigins.count,
            methods: definitions.reduce(into: MethodSet()) { $0.formUnion($1.method) },
            hasBody: definitions.contains { !$0.isUnsigned },
            takesUnsignedPost: definitions.contains { $0.trigger == .post })
    }
}

extension HandshakeDefinition {
    /// The method that this challenge comes with.
    package var method: MethodSet {
        switch trigger {
        case .body: .post
        case .get: .get
        case .options: .options
        case .head: .head
        case .post: .post
        }
    }
    /// True exactly when it is answered before a signature is looked at.
    package var isUnsigned: Bool {
        if case .body = trigger { false } else { true }
    }
}

private struct HandshakeCompiler {
    let verifyToken: String?
    let memory: CompiledMemory
    var paths: [JSONPath] = []

    mutating func compile(_ definition: HandshakeDefinition) throws(HandshakeError) -> CompiledHandshake {
        try check(definition)
        let isPost = definition.method == .post
        var conditions: [CompiledCondition] = []
        if case .body(let list) = definition.trigger {
            for condition in list { conditions.append(try compile(condition)) }
        }
        var place = CompiledHandshake.InputLocation.none
        var path = 0
        var parameter = ByteView.empty
        var header: HeaderName?
        if let challenge = definition.challenge {
            if let name = HandshakeCompiler.rest(challenge.place, "json:"), isPost {
                place = .json
                path = try placed(path: name)
            } else if let name = HandshakeCompiler.rest(challenge.place, "query:"), definition.isUnsigned,
                !name.isEmpty
            {
                place = .query
                parameter = memory.place(text: name)
            } else if let name = HandshakeCompiler.rest(challenge.place, "header:"), definition.isUnsigned,
                SchemeDefinition.isToken(name)
            {
                place = .header
                header = HeaderName(name)
            } else {
                throw HandshakeError(message: "\"\(challenge.place)\" is no place of this challenge's value")
            }
        }
        var headers: [CompiledHandshakeHeader] = []
        for line in definition.headers { headers.append(try compile(line)) }
        let body = definition.body.map { compile($0) }
        var applies: [CompiledApplication] = []
        for condition in definition.applies { applies.append(try compile(condition, isPost: isPost)) }
        return unsafe CompiledHandshake(
            trigger: HandshakeCompiler.trigger(definition), applies: UnsafePointer(memory.place(applies)),
            appliesCount: applies.count, conditions: UnsafePointer(memory.place(conditions)),
            conditionCount: conditions.count, requirements: UnsafePointer(memory.place(requirements(definition))),
            requirementCount: requirements(definition).count, place: place, path: path, parameter: parameter,
            header: header, rule: definition.challenge?.rule ?? .printable,
            bytesMax: definition.challenge?.bytesMax ?? 0,
            checksOrigin: definition.requirements.contains(.allowedOrigin), status: definition.status,
            refusalStatus: definition.refusalStatus, contentType: contentType(definition),
            escapes: definition.contentType == .json && place != .json,
            refusesEscapes: definition.contentType != .json && place == .json,
            headers: UnsafePointer(memory.place(headers)), headerCount: headers.count,
            body: UnsafePointer(memory.place(body)), bodyCount: body.count, otherwiseEvent: definition.otherwiseEvent)
    }

    private func check(_ definition: HandshakeDefinition) throws(HandshakeError) {
        let pieces = definition.body + definition.headers.flatMap(\.value)
        let signs = pieces.contains { if case .mac = $0 { true } else { false } }
        if signs || pieces.contains(.challenge) || definition.requirements.contains(.allowedOrigin) {
            guard definition.challenge != nil else {
                throw HandshakeError(message: "the answer uses a challenge, but none has a place")
            }
        }
        guard !signs || definition.challenge?.rule == .opaque else {
            throw HandshakeError(message: "a challenge that is signed must be opaque, or it could be a delivery")
        }
        if let challenge = definition.challenge, !(1...Handshake.challengeBytesMax).contains(challenge.bytesMax) {
            throw HandshakeError(message: "a challenge has at most \(Handshake.challengeBytesMax) bytes")
        }
        guard
            !definition.headers.contains(where: { $0.value.contains(.challenge) })
                || definition.challenge?.rule != .printable
        else { throw HandshakeError(message: "a header echoes only what is opaque or an origin") }
        for status in [definition.status, definition.refusalStatus] where !Reply.isKnown(status: status) {
            throw HandshakeError(message: "status \(status) is not known")
        }
        if !definition.isUnsigned, !definition.requirements.isEmpty || !definition.applies.isEmpty {
            throw HandshakeError(message: "a challenge in a signed body has conditions of its own, no others")
        }
        // Else every event would be taken for it.
        if definition.trigger == .post, definition.applies.isEmpty, definition.challenge == nil {
            throw HandshakeError(message: "an unsigned POST needs something by which it is known")
        }
    }
    private func requirements(_ definition: HandshakeDefinition) -> [CompiledRequirement] {
        definition.requirements.compactMap {
            switch $0 {
            case .parameter(let name, let value):
                CompiledRequirement(
                    parameter: memory.place(text: name), value: memory.place(text: value), isVerifyToken: false)
            case .verifyToken(let name):
                CompiledRequirement(
                    parameter: memory.place(text: name), value: memory.place(text: verifyToken ?? ""),
                    isVerifyToken: true)
            case .allowedOrigin: nil
            }
        }
    }
    private mutating func compile(_ condition: BodyCondition) throws(HandshakeError) -> CompiledCondition {
        switch condition {
        case .text(let path, let value):
            CompiledCondition(kind: .text, path: try placed(path: path), value: memory.place(text: value))
        case .number(let path, let value):
            CompiledCondition(kind: .number, path: try placed(path: path), value: memory.place(text: value))
        case .absent(let path): CompiledCondition(kind: .absent, path: try placed(path: path), value: .empty)
        case .present(let path): CompiledCondition(kind: .present, path: try placed(path: path), value: .empty)
        }
    }
    private mutating func compile(
        _ condition: HandshakeCondition, isPost: Bool
    ) throws(HandshakeError) -> CompiledApplication {
        var compiled = CompiledApplication(
            place: .none, path: 0, parameter: .empty, header: nil, value: memory.place(text: condition.equals ?? ""),
            isEqual: condition.equals != nil)
        if let name = HandshakeCompiler.rest(condition.place, "json:"), isPost {
            compiled.place = .json
            compiled.path = try placed(path: name)
        } else if let name = HandshakeCompiler.rest(condition.place, "query:"), !name.isEmpty {
            compiled.place = .query
            compiled.parameter = memory.place(text: name)
        } else if let name = HandshakeCompiler.rest(condition.place, "header:"), SchemeDefinition.isToken(name) {
            compiled.place = .header
            compiled.header = HeaderName(name)
        } else {
            throw HandshakeError(
                message: "\"\(condition.place)\" is none of header:NAME, query:NAME\(isPost ? ", json:$.PATH" : "")")
        }
        return compiled
    }
    private mutating func placed(path text: String) throws(HandshakeError) -> Int {
        let path: JSONPath
        do { path = try JSONPath(text) } catch { throw HandshakeError(message: error.message) }
        if let known = paths.firstIndex(of: path) { return known }
        paths.append(path)
        return paths.count - 1
    }
    private func compile(_ piece: HandshakePiece) -> CompiledHandshakePiece {
        switch piece {
        case .literal(let text): CompiledHandshakePiece(kind: .literal, literal: memory.place(text: text))
        case .challenge: CompiledHandshakePiece(kind: .challenge, literal: .empty)
        case .mac(let encoding):
            CompiledHandshakePiece(kind: encoding == .hex ? .hexMAC : .base64MAC, literal: .empty)
        }
    }
    private func compile(_ header: HandshakeHeader) throws(HandshakeError) -> CompiledHandshakeHeader {
        let literals = header.value.compactMap { if case .literal(let text) = $0 { text } else { nil } }
        guard SchemeDefinition.isToken(header.name), literals.allSatisfy({ $0.utf8.allSatisfy(isPrintable) }) else {
            throw HandshakeError(message: "\"\(header.name)\" is no header line")
        }
        let value = header.value.map { compile($0) }
        return unsafe CompiledHandshakeHeader(
            name: memory.place(text: header.name + ": "), value: UnsafePointer(memory.place(value)),
            valueCount: value.count, whenAsked: header.whenAsked.map { HeaderName($0) })
    }
    private func contentType(_ definition: HandshakeDefinition) -> ByteView {
        switch definition.contentType {
        case .json: memory.place(text: "application/json")
        case .text: memory.place(text: "text/plain")
        case .other(let text): memory.place(text: String(text.prefix(Reply.textBytesMax)))
        }
    }
    private static func trigger(_ definition: HandshakeDefinition) -> CompiledHandshake.Trigger {
        switch definition.trigger {
        case .body: .body
        case .get: .get
        case .options: .options
        case .head: .head
        case .post: .post
        }
    }
    private static func rest(_ text: String, _ prefix: String) -> String? {
        text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
    }
    private func isPrintable(_ byte: UInt8) -> Bool { byte >= 0x20 && byte < 0x7F }
}
