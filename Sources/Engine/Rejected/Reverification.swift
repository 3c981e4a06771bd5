// Refused requests verified again after the configuration has been corrected: each at the time that it came, by the
// rule of now. What passes becomes an event and leaves the store; what is already an event leaves it too, so that a
// second run adds nothing; the rest stays, with the current reason.
//
// Invariants: a request leaves the store only after its event is on disk, or was there before; a run that does not hear
// what became of one offers the same event again in the next, in whatever process; nothing becomes an event that the
// port would not take: addresses, methods and challenges count here as they do there.

import FastPath

package struct ReverifyQuery: Equatable, Sendable {
    package var source: String?
    /// Only those of these sources; nil = of all.
    package var sourceNumbers: Set<UInt32>?
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
    /// A challenge, not an event.
    package var challenges = 0

    package init() {}
}

package struct Reverification {
    private let store: RejectedStore
    private let sources: [SourceConfiguration]
    private let identify: (SourceID) -> SourceSpec?
    private let tenantUUID: (TenantID) -> String?
    private let defaultWindowSeconds: UInt32
    private let offer: ([InjectedEvent]) -> [InjectionFate]
    /// As many as share a commit.
    private static let batchCount = 32

    /// `offer` gives each event's fate, in their order. `identify` finds a source by the number that a request was
    /// refused with; one without a number is its source's by name. `tenantUUID`: what a request must name whose source
    /// takes the contract's envelope; such a source takes nothing of a tenant without one.
    package init(
        store: RejectedStore, configuration: GatewayConfiguration,
        identify: @escaping (SourceID) -> SourceSpec? = { _ in nil },
        tenantUUID: @escaping (TenantID) -> String? = { _ in nil },
        offer: @escaping ([InjectedEvent]) -> [InjectionFate]
    ) {
        self.store = store
        sources = configuration.sourcesWithPublicURL
        defaultWindowSeconds = configuration.dedupWindowSeconds
        self.offer = offer
        self.identify = identify
        self.tenantUUID = tenantUUID
    }

    package func run(_ query: ReverifyQuery) throws -> ReverifyOutcome {
        var outcome = ReverifyOutcome()
        var checks: [String: SourceCheck?] = [:]
        var numbers = try store.numbers(source: query.source, ofSources: query.sourceNumbers)
        if !query.numbers.isEmpty {
            let wanted = Set(query.numbers)
            numbers.removeAll { !wanted.contains($0) }
        }
        for start in stride(from: 0, to: numbers.count, by: Reverification.batchCount) {
            let batch = numbers[start..<min(start + Reverification.batchCount, numbers.count)]
            // A log that answers nothing now is not asked for thousands more.
            guard try run(Array(batch), query.isDry, &checks, &outcome) else { break }
        }
        return outcome
    }

    /// False when the log did not say of a single one whether it took it.
    private func run(
        _ numbers: [Int64], _ isDry: Bool, _ checks: inout [String: SourceCheck?], _ outcome: inout ReverifyOutcome
    ) throws -> Bool {
        var verified: [(number: Int64, event: InjectedEvent)] = []
        for number in numbers {
            // One that went meanwhile, to make room, is none.
            guard let row = try store.row(number) else { continue }
            let isNumbered = row.request.sourceNumber != 0
            let spec = isNumbered ? identify(SourceID(row.request.sourceNumber)) : nil
            // One whose source is gone is nobody else's, whatever that one is called.
            guard spec != nil || !isNumbered, let check = check(row.request, spec, &checks) else {
                outcome.withoutSource += 1
                continue
            }
            switch check.result(of: row.request, tenant: spec.flatMap { tenantUUID($0.tenant) }) {
            case .event(var event):
                // Numbers begin anew with the store.
                event.identity = OfferIdentity(high: UInt64(bitPattern: number), low: row.request.receivedAt)
                if let spec {
                    event.source = spec.name
                    event.sourceNumber = spec.id.number
                    event.tenant = RecordFormat.tenantBytes(of: spec.tenant.number)
                }
                verified.append((number, event))
            case .challenge: outcome.challenges += 1
            case .rejected(let reason): outcome.rejected[reason, default: 0] += 1
            case .undecided: outcome.deferred += 1
            }
        }
        guard !isDry else {
            outcome.accepted += verified.count
            return true
        }
        guard !verified.isEmpty else { return true }
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
        return !fates.allSatisfy { $0 == .unknown || $0 == .closed }
    }

    private func check(
        _ request: RejectedRequest, _ spec: SourceSpec?, _ checks: inout [String: SourceCheck?]
    ) -> SourceCheck? {
        let (name, tenant) = (spec?.name ?? request.sourceName, spec?.settings.tenant ?? TenantSpec.defaultName)
        let key = TenantSpec.qualify(name, tenant: tenant)
        if let known = checks[key] { return known }
        let source = sources.first { $0.name == name && $0.tenant == tenant }
        let check = source.flatMap { SourceCheck($0, defaultWindowSeconds: defaultWindowSeconds) }
        checks[key] = .some(check)
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
    private func verdict(of request: RejectedRequest, origin: String?) -> VerificationResult {
        verdict(head: request.head, body: request.body, origin: origin, nowSeconds: request.receivedSeconds)
    }

    /// What the port would make of it, in the port's order: who may send, a challenge that comes without a signature,
    /// the signature, a challenge in a body.
    func result(of request: RejectedRequest, tenant: String?) -> ReverifyResult {
        // Its body was never read: nothing made of it is the event.
        if request.reason == .bodyTooLarge { return .rejected(.bodyTooLarge) }
        guard let captured = try? CapturedRequest(head: request.head, body: request.body) else {
            return .rejected(.malformedHeader)
        }
        // The addresses, the scheme and the handshake point into the parts' memory.
        defer { withExtendedLifetime(parts.memory) {} }
        if let addresses = parts.edge.addresses {
            guard let client = request.peer, addresses.contains(client) else { return .rejected(.addressNotAllowed) }
        }
        // A request that was kept does not say whose certificate its connection had; one that was refused for anything
        // else had passed that check.
        let wasCertified = request.reason != .missingClientCertificate && request.reason != .clientCertificateNotAllowed
        if parts.edge.certificate != nil, !wasCertified { return .rejected(.missingClientCertificate) }
        if let handshake = parts.handshake, captured.isChallenge(for: handshake) {
            let key = parts.scheme?.challengeKey(nowSeconds: request.receivedSeconds)
            if let result = ReverifyResult(captured.challengeAnswer(handshake, key: key)) { return result }
        }
        guard captured.isMethod(in: parts.edge.eventMethods) else { return .rejected(.missingChallenge) }
        // Of the contract's envelope more than the signature must hold.
        let isEnveloped = parts.provider.takesEnvelope
        if isEnveloped {
            guard let tenant else { return .rejected(.tenantMismatch) }
            if let reason = captured.envelopeFault(tenant: tenant) { return .rejected(reason) }
        }
        switch bestVerdict(of: request) {
        case .rejected(let reason): return .rejected(reason)
        case .undecided: return .undecided
        case .accepted(let key):
            if isEnveloped, let reason = captured.envelopeFault(tenant: tenant, behindSignature: parts.selectors) {
                return .rejected(reason)
            }
            if let answer = parts.handshake?.answer(body: request.body, key: key),
                let result = ReverifyResult(answer)
            {
                return result
            }
            return event(of: captured, source: request.sourceName)
        }
    }
    private func event(of request: borrowing CapturedRequest, source: String) -> ReverifyResult {
        let window = parts.dedupWindowSeconds
        if let schemas = parts.schemas, let reader = parts.reader,
            let refusal = schemas.refusal(of: request, reader.read(request))
        {
            return .rejected(refusal.reason)
        }
        func whole(_ event: InjectedEvent) -> ReverifyResult {
            var event = event
            event.isEnveloped = parts.provider.takesEnvelope
            return .event(event)
        }
        guard let reader = parts.reader else {
            return whole(request.event(source: source, selectors: parts.selectors, dedupWindowSeconds: window))
        }
        switch reader.read(request) {
        case .tooLarge: return .rejected(.batchTooLarge)
        case .whole(let texts):
            return whole(request.event(source: source, texts: texts, dedupWindowSeconds: window))
        // An empty list is answered and leaves nothing in the log, as a challenge does.
        case .split(let table) where table.count == 0: return .challenge
        case .split(let table):
            return .event(request.event(source: source, elements: table, dedupWindowSeconds: window))
        }
    }
    /// Of the addresses that it may have been sent to, the first that its signature fits.
    private func bestVerdict(of request: RejectedRequest) -> VerificationResult {
        let first = verdict(of: request, origin: nil)
        if case .accepted = first { return first }
        for origin in PlainRequest(head: request.head, body: []).map(origins) ?? [] {
            let other = verdict(of: request, origin: origin)
            if case .accepted = other { return other }
        }
        return first
    }
}

extension ReverifyResult {
    /// Nil when it is no challenge.
    fileprivate init?(_ answer: Handshake.CopiedResponse) {
        switch answer {
        case .none: return nil
        case .reply: self = .challenge
        case .rejected(let reason, _): self = .rejected(reason)
        }
    }
}
