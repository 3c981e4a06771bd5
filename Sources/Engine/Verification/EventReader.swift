// Reads what the loop does not read itself: the events of a request that holds several, and type and key of a body that
// came compressed. Worker threads; it allocates and takes its time.
//
// Invariants: what has no list of events where the source says is one event, read as a whole, so that nothing is lost
// for being unexpected; an event's identity is read from the event, never from the request that it shares with others;
// a request is read whole or refused. Safety: selectors and elements point into `memory`, which lives as long as they.

import FastPath

package struct EventReader: Sendable {
    package enum Reading: Equatable, Sendable {
        case whole(EventSelectors.Texts)
        /// None when the list is empty.
        case split(ElementTable)
        /// More events than one request may hold, or one whose type or key is too long.
        case tooLarge
    }
    private let selectors: EventSelectors
    /// Nil when a request is one event.
    private let elements: JSONElements?
    private let decodesBody: Bool
    private let memory: CompiledMemory

    init(_ selectors: EventSelectors, elements: JSONElements?, decodesBody: Bool, in memory: CompiledMemory) {
        precondition(elements == nil || !decodesBody)
        self.memory = memory
        self.selectors = selectors
        self.elements = elements
        self.decodesBody = decodesBody
    }

    package func read(_ request: borrowing CapturedRequest) -> Reading {
        // A reload lets go of the source while a worker reads.
        defer { withExtendedLifetime(memory) {} }
        switch elements?.cut(request.body) ?? .absent {
        case .absent: return whole(request)
        case .tooMany: return .tooLarge
        case .elements(let places):
            var table = ElementTable()
            for place in places {
                let texts = request.texts(selectors, in: place)
                guard EventReader.isWithinBounds(texts), table.bytes.count <= BatchLimits.textBytesMax else {
                    return .tooLarge
                }
                table.append(body: place, key: texts.key, keyIsBody: texts.keyIsBody, eventType: texts.eventType)
            }
            return .split(table)
        }
    }
    private func whole(_ request: borrowing CapturedRequest) -> Reading {
        let decoded = decodesBody ? ContentDecoding.decodedBody(of: request) : nil
        let texts = request.texts(selectors, body: decoded ?? request.body)
        return EventReader.isWithinBounds(texts) ? .whole(texts) : .tooLarge
    }
    private static func isWithinBounds(_ texts: EventSelectors.Texts) -> Bool {
        texts.eventType.count <= BatchLimits.typeBytesMax
            && (texts.keyIsBody || (texts.key?.count ?? 0) <= BatchLimits.keyBytesMax)
    }
}

extension EventReader.Reading {
    /// As it goes to the loop; nil for what is refused.
    func forLoop(bodyCount: Int) -> EventReading? {
        switch self {
        case .tooLarge: return nil
        case .split(let table): return EventReading(elements: table, isSplit: true)
        case .whole(let texts):
            var table = ElementTable()
            table.append(
                body: 0..<bodyCount, key: texts.key, keyIsBody: texts.keyIsBody, eventType: texts.eventType)
            return EventReading(elements: table, isSplit: false)
        }
    }
}

/// What workers do with the requests of one source.
package struct WorkerDuty: Sendable {
    /// Nil: nothing is verified.
    var verifier: (any RequestVerifier)?
    /// Nil: the loop reads them itself.
    var reader: EventReader?
    /// The source keeps what its check refuses, so that is read too.
    var readsRejected: Bool
    /// Nil: no schema is asked.
    var schemas: SchemaDuty?

    /// `keepsRejected`: the source keeps what its check refuses.
    package init(_ parts: CompiledSourceParts, keepsRejected: Bool) {
        verifier = parts.verifier
        reader = parts.reader
        readsRejected = keepsRejected
        schemas = SchemaDuty(parts)
    }

    package struct Result {
        package var answer: VerifierResult
        package var reading: EventReading?
        /// Of what breaks a schema and is not kept.
        package var refusal: SchemaRefusal?

        init(_ answer: VerifierResult, _ reading: EventReading? = nil) {
            self.answer = answer
            self.reading = reading
        }
    }

    package func result(_ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64) -> Result {
        var answer = VerifierResult.accepted
        var key: SigningKey?
        if let verifier {
            switch verifier.verify(request, origin: origin, nowSeconds: nowSeconds) {
            case .accepted(let matched): key = matched
            case .rejected(let reason): answer = .rejected(reason)
            case .undecided: answer = .undecided
            }
        }
        guard let reader, answer == .accepted || readsRejected else { return Result(answer) }
        let reading = reader.read(request)
        guard let forLoop = reading.forLoop(bodyCount: request.body.count) else {
            return Result(.rejected(.batchTooLarge))
        }
        var result = Result(answer, forLoop)
        guard answer == .accepted, let schemas,
            let refusal = schemas.refusal(of: request, reading, key: key, nowSeconds: nowSeconds)
        else { return result }
        result.answer = .rejected(refusal.reason)
        // One that is kept all the same has its type and its key.
        if !readsRejected { result.refusal = refusal }
        return result
    }
}

/// The schemas of a source, and what its challenges are told by: those are no events.
struct SchemaDuty: Sendable {
    let schemas: SourceSchemas
    let handshake: Handshake?
    let scheme: SignatureScheme?
    /// Of handshake and scheme.
    let memory: CompiledMemory

    init?(_ parts: CompiledSourceParts) {
        guard let schemas = parts.schemas else { return nil }
        self.schemas = schemas
        handshake = parts.handshake
        scheme = parts.scheme
        memory = parts.memory
    }
    /// `key`: that the signature fits, where the verifier says.
    func refusal(
        of request: borrowing CapturedRequest, _ reading: EventReader.Reading, key: SigningKey?, nowSeconds: UInt64
    ) -> SchemaRefusal? {
        // A reload lets go of the source while a worker reads.
        defer { withExtendedLifetime(memory) {} }
        guard let refusal = schemas.refusal(of: request, reading) else { return nil }
        guard let handshake else { return refusal }
        let challengeKey = key ?? scheme?.challengeKey(nowSeconds: nowSeconds)
        if case .none = handshake.answer(body: request.body, key: challengeKey) { return refusal }
        return nil
    }
}
