// Reads what the loop does not read itself: the events of a request that holds several, and type and key of a body that
// came compressed. Worker threads; it allocates and takes its time.
//
// Invariants: what has no list of events where the source says is one event, read as a whole, so that nothing is lost
// for being unexpected; an event's identity is read from the event, never from the request that it shares with others;
// a request is read whole or refused.

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

    init(_ selectors: EventSelectors, elements: JSONElements?, decodesBody: Bool) {
        precondition(elements == nil || !decodesBody)
        self.selectors = selectors
        self.elements = elements
        self.decodesBody = decodesBody
    }

    package func read(_ request: borrowing CapturedRequest) -> Reading {
        switch elements?.cut(request.body) ?? .absent {
        case .absent: return whole(request)
        case .tooMany: return .tooLarge
        case .elements(let places):
            var table = ElementTable()
            for place in places {
                let texts = request.texts(selectors, in: place)
                guard EventReader.isWithinBounds(texts) else { return .tooLarge }
                table.append(body: place, key: texts.key, keyIsBody: texts.keyIsBody, eventType: texts.eventType)
            }
            return .split(table)
        }
    }
    private func whole(_ request: borrowing CapturedRequest) -> Reading {
        let decoded = decodesBody ? ContentDecoding.decodedBody(of: request) : nil
        let texts = decoded.map { request.texts(selectors, body: $0) } ?? request.texts(selectors)
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

    func result(
        _ request: borrowing CapturedRequest, origin: String?, nowSeconds: UInt64
    ) -> (answer: VerifierResult, reading: EventReading?) {
        var answer = VerifierResult.accepted
        if let verifier {
            switch verifier.verify(request, origin: origin, nowSeconds: nowSeconds) {
            case .accepted: break
            case .rejected(let reason): answer = .rejected(reason)
            case .undecided: answer = .undecided
            }
        }
        guard let reader, answer == .accepted || readsRejected else { return (answer, nil) }
        guard let reading = reader.read(request).forLoop(bodyCount: request.body.count) else {
            return (.rejected(.batchTooLarge), nil)
        }
        return (answer, reading)
    }
}
