// Refused requests verified again after the configuration was mended: each at the time that it came, by the rule of
// now. What passes becomes an event and leaves the store; what is already an event leaves it too, so that a second run
// adds nothing; the rest stays, with the reason of now.
//
// Invariant: a request leaves the store only after its event is on disk, or was there before.

import FastPath

package struct ReverifyQuery: Equatable, Sendable {
    package var source: String?
    /// Only these; empty = all.
    package var numbers: [Int64] = []
    /// Counts only.
    package var isDry = true

    package init() {}
}

package struct ReverifyOutcome: Equatable, Sendable {
    /// Verified, and an event now (or would be).
    package var accepted = 0
    /// Verified, and an event before. Not told apart from `accepted` in a dry run.
    package var duplicates = 0
    /// Verified, and the log did not take it now; still kept.
    package var deferred = 0
    package var rejected: [SignatureRejection: Int] = [:]
    /// Of a source that is not configured, or that verifies nothing.
    package var withoutSource = 0
    /// Verified, and a challenge, not an event.
    package var challenges = 0

    package init() {}
}

package struct Reverification {
    private let store: RejectedStore
    private let sources: [SourceConfiguration]
    private let defaultWindowSeconds: UInt32
    private let offer: ([InjectedEvent]) -> [InjectionFate]
    /// As many as share a commit.
    private static let batchCount = 32

    /// `offer` gives each event's fate, in their order.
    package init(
        store: RejectedStore, configuration: GatewayConfiguration,
        offer: @escaping ([InjectedEvent]) -> [InjectionFate]
    ) {
        self.store = store
        sources = configuration.sourcesWithPublicURL
        defaultWindowSeconds = configuration.dedup.windowSeconds
        self.offer = offer
    }

    package func run(_ query: ReverifyQuery) throws -> ReverifyOutcome {
        var outcome = ReverifyOutcome()
        var checks: [String: SourceCheck?] = [:]
        var numbers = try store.numbers(source: query.source)
        if !query.numbers.isEmpty {
            let wanted = Set(query.numbers)
            numbers.removeAll { !wanted.contains($0) }
        }
        for start in stride(from: 0, to: numbers.count, by: Reverification.batchCount) {
            let batch = numbers[start..<min(start + Reverification.batchCount, numbers.count)]
            try run(Array(batch), query.isDry, &checks, &outcome)
        }
        return outcome
    }

    private func run(
        _ numbers: [Int64], _ isDry: Bool, _ checks: inout [String: SourceCheck?], _ outcome: inout ReverifyOutcome
    ) throws {
        var verified: [(number: Int64, event: InjectedEvent)] = []
        for number in numbers {
            // One that went meanwhile, to make room, is none.
            guard let row = try store.row(number) else { continue }
            // A signature does not say where a request came from; who may send is the loop's to decide.
            guard row.request.reason != .addressNotAllowed else {
                outcome.rejected[.addressNotAllowed, default: 0] += 1
                continue
            }
            guard let check = check(row.request.sourceName, &checks) else {
                outcome.withoutSource += 1
                continue
            }
            switch check.result(of: row.request) {
            case .event(let event): verified.append((number, event))
            case .challenge: outcome.challenges += 1
            case .rejected(let reason): outcome.rejected[reason, default: 0] += 1
            case .undecided: outcome.deferred += 1
            }
        }
        guard !isDry else {
            outcome.accepted += verified.count
            return
        }
        guard !verified.isEmpty else { return }
        let fates = offer(verified.map(\.event))
        var done: [Int64] = []
        for (item, fate) in zip(verified, fates) {
            switch fate {
            case .kept:
                outcome.accepted += 1
                done.append(item.number)
            case .duplicate:
                outcome.duplicates += 1
                done.append(item.number)
            case .failed, .tooLarge, .closed, .unknown: outcome.deferred += 1
            }
        }
        try store.remove(done)
    }

    private func check(_ name: String, _ checks: inout [String: SourceCheck?]) -> SourceCheck? {
        if let known = checks[name] { return known }
        let source = sources.first { $0.name == name }
        let check = source.flatMap { SourceCheck($0, defaultWindowSeconds: defaultWindowSeconds) }
        checks[name] = .some(check)
        return check
    }
}

enum ReverifyResult {
    case event(InjectedEvent)
    case challenge
    case rejected(SignatureRejection)
    case undecided
}

extension SourceCheck {
    private func verdict(of request: RejectedRequest, origin: String?) -> CaptureVerdict {
        verdict(head: request.head, body: request.body, origin: origin, nowSeconds: request.receivedSeconds)
    }

    func result(of request: RejectedRequest) -> ReverifyResult {
        var verdict = verdict(of: request, origin: nil)
        for origin in PlainRequest(head: request.head, body: []).map(origins) ?? [] {
            if case .accepted = verdict { break }
            let other = self.verdict(of: request, origin: origin)
            if case .accepted = other { verdict = other }
        }
        switch verdict {
        case .rejected(let reason): return .rejected(reason)
        case .undecided: return .undecided
        case .accepted(let key):
            defer { withExtendedLifetime(parts.memory) {} }
            if let handshake = parts.handshake, case .reply = handshake.answer(body: request.body, key: key) {
                return .challenge
            }
            guard let captured = try? CapturedRequest(head: request.head, body: request.body) else {
                return .rejected(.malformedHeader)
            }
            return .event(
                captured.event(
                    source: request.sourceName, selectors: parts.selectors,
                    dedupWindowSeconds: parts.dedupWindowSeconds))
        }
    }
}
