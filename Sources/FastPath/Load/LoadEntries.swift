// The mix's entries, compiled: the head's pieces, the bodies, the key. What `LoadRequest` renders from.
//
// Invariants: compiled once, never changed afterwards; each body has room for the event's text at its place. If they
// fail, requests are torn or carry another event's id.
// Safety: everything lies in `memory`, which the class owns; `LoadEntry` values are valid as long as it lives.

/// A piece of a request's head.
package enum LoadHeadPiece: Equatable, Sendable {
    case literal(String)
    case id, timestamp, signature, bodyLength
    /// The two numbers of the id, of 8 and of 12 hexadecimal digits: where an id must have another form.
    case run, event
    /// Only in a retry: a whole line with its end.
    case retryLine(String)
    /// Only in a malformed request: a line that no server may take.
    case malformedLine
}

/// A piece of what is signed.
package enum LoadSignedPiece: Equatable, Sendable {
    case literal(String)
    case id, timestamp, body, run, event
}

package enum LoadCredential: Sendable {
    /// Nothing is signed.
    case none
    case hmac(secret: [UInt8], MACAlgorithm, SignatureEncoding)
    /// The signature piece is this text.
    case fixed(String)
}

package struct LoadBody: Sendable {
    package var bytes: [UInt8]
    /// Where the event's text goes (`LoadEventText.byteCount` bytes); nil = nowhere.
    package var idOffset: Int?

    package init(bytes: [UInt8], idOffset: Int?) {
        self.bytes = bytes
        self.idOffset = idOffset
    }
}

package struct LoadEntryDefinition: Sendable {
    package var head: [LoadHeadPiece]
    package var signed: [LoadSignedPiece]
    package var credential: LoadCredential
    package var bodies: [LoadBody]
    package var timestampUnitsPerSecond: UInt64 = 1
    /// How far back a stale request's time lies.
    package var staleBySeconds: UInt64 = 0
    package var weight = 1.0
    package var shares = LoadShares()

    package init(head: [LoadHeadPiece], signed: [LoadSignedPiece], credential: LoadCredential, bodies: [LoadBody]) {
        self.head = head
        self.signed = signed
        self.credential = credential
        self.bodies = bodies
    }
}

enum LoadPieceKind: UInt8 {
    case literal, id, timestamp, signature, bodyLength, retryLine, malformedLine, body, run, event
}

struct LoadCompiledPiece {
    let kind: LoadPieceKind
    let text: ByteView
}

struct LoadCompiledBody {
    let bytes: ByteView
    /// -1 = nowhere.
    let idOffset: Int
}

@safe struct LoadEntry {
    let head: UnsafePointer<LoadCompiledPiece>
    let headCount: Int
    let signed: UnsafePointer<LoadCompiledPiece>
    let signedCount: Int
    let bodies: UnsafePointer<LoadCompiledBody>
    let bodyCount: UInt64
    /// Nil when the signature piece is `fixed`.
    let key: SigningKey?
    let encoding: SignatureEncoding
    let fixed: ByteView
    let timestampUnitsPerSecond: UInt64
    let staleBySeconds: UInt64
}

@safe package final class LoadEntries: @unchecked Sendable {
    private let memory = CompiledMemory()
    let entries: UnsafePointer<LoadEntry>
    package let count: Int
    package let weights: [Double]
    package let shares: [LoadShares]

    package init(_ definitions: [LoadEntryDefinition]) {
        precondition(!definitions.isEmpty)
        let memory = self.memory
        let compiled = definitions.map { definition in
            precondition(!definition.bodies.isEmpty)
            let head = definition.head.map { LoadEntries.compile($0, memory) }
            let signed = definition.signed.map { LoadEntries.compile($0, memory) }
            let bodies = definition.bodies.map { body in
                precondition(body.idOffset.map { $0 + LoadEventText.byteCount <= body.bytes.count } ?? true)
                return LoadCompiledBody(bytes: memory.place(bytes: body.bytes), idOffset: body.idOffset ?? -1)
            }
            var key: SigningKey?
            var encoding = SignatureEncoding.hex
            var fixed = ByteView.empty
            switch definition.credential {
            case .none: break
            case .hmac(let secret, let algorithm, let form):
                key = SigningKey(secret: secret, algorithm: algorithm, in: memory)
                encoding = form
            case .fixed(let text): fixed = memory.place(text: text)
            }
            return unsafe LoadEntry(
                head: UnsafePointer(memory.place(head)), headCount: head.count,
                signed: UnsafePointer(memory.place(signed)), signedCount: signed.count,
                bodies: UnsafePointer(memory.place(bodies)), bodyCount: UInt64(bodies.count), key: key,
                encoding: encoding, fixed: fixed, timestampUnitsPerSecond: definition.timestampUnitsPerSecond,
                staleBySeconds: definition.staleBySeconds)
        }
        unsafe entries = UnsafePointer(memory.place(compiled))
        count = compiled.count
        weights = definitions.map(\.weight)
        shares = definitions.map(\.shares)
    }

    private static func compile(_ piece: LoadHeadPiece, _ memory: CompiledMemory) -> LoadCompiledPiece {
        switch piece {
        case .literal(let text): LoadCompiledPiece(kind: .literal, text: memory.place(text: text))
        case .retryLine(let text): LoadCompiledPiece(kind: .retryLine, text: memory.place(text: text))
        case .id: LoadCompiledPiece(kind: .id, text: .empty)
        case .run: LoadCompiledPiece(kind: .run, text: .empty)
        case .event: LoadCompiledPiece(kind: .event, text: .empty)
        case .timestamp: LoadCompiledPiece(kind: .timestamp, text: .empty)
        case .signature: LoadCompiledPiece(kind: .signature, text: .empty)
        case .bodyLength: LoadCompiledPiece(kind: .bodyLength, text: .empty)
        case .malformedLine: LoadCompiledPiece(kind: .malformedLine, text: .empty)
        }
    }
    private static func compile(_ piece: LoadSignedPiece, _ memory: CompiledMemory) -> LoadCompiledPiece {
        switch piece {
        case .literal(let text): LoadCompiledPiece(kind: .literal, text: memory.place(text: text))
        case .id: LoadCompiledPiece(kind: .id, text: .empty)
        case .run: LoadCompiledPiece(kind: .run, text: .empty)
        case .event: LoadCompiledPiece(kind: .event, text: .empty)
        case .timestamp: LoadCompiledPiece(kind: .timestamp, text: .empty)
        case .body: LoadCompiledPiece(kind: .body, text: .empty)
        }
    }
}
