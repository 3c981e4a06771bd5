// The contract edge in the running gateway: who asks, sessions, events into the log. Entries, deliveries and the audit
// log are in files of their own.
//
// Invariants: the caller's tenant was compared with the request's before anything here is asked; what belongs to
// another is not found.
import Engine
import FastPath
import Foundation
import Synchronization

final class LiveContract: ContractWebhooks {
    let gateway: Gateway
    let contractSettings: ContractSettings
    private let publishing: LivePublishing
    private let signIn: LiveSignIn
    private let streams: LiveStreams
    private let figures: ContractFigures
    private let folder: String
    /// Opened when the first is asked for: the folder is ours by then.
    private let tokens = Mutex<SessionTokens?>(nil)
    private let samples = Mutex(RefusalSamples())
    let dryRunSeats = DryRunSeats()
    private let queue = DispatchQueue(label: "sluice.contract-refusals", qos: .utility)
    private let logWorker = ControlWorker()
    static let target = "/v1/webhooks/ingest"
    private static let publishedAtOnce = 128

    init(
        gateway: Gateway, settings: ContractSettings, publishing: LivePublishing, signIn: LiveSignIn,
        streams: LiveStreams, figures: ContractFigures, folder: String
    ) {
        self.gateway = gateway
        contractSettings = settings
        self.publishing = publishing
        self.signIn = signIn
        self.streams = streams
        self.figures = figures
        self.folder = folder
    }

    func state() throws -> RegistryState {
        guard let state = gateway.registry?.state else { throw ControlError.notRunning }
        return state
    }
    func tenant(_ caller: Caller) throws -> TenantSpec {
        let lookup = try RegistryLookup(gateway, caller)
        guard let id = try lookup.scope, let tenant = lookup.state.tenant(id) else {
            throw EdgeRefusal(.tenantMismatch, "the session's tenant no longer exists")
        }
        return tenant
    }
    func tenantUUID(_ caller: Caller) throws -> String { try tenant(caller).publicID.uuid }

    // MARK: who asks

    private func sessions() throws -> SessionTokens {
        // The one reading, of a file of some bytes, that others wait for: none of them can do anything before it.
        try tokens.withLock { tokens in
            if let tokens { return tokens }
            do throws(KeyFileError) {
                let opened = try SessionTokens(folder: folder)
                tokens = opened
                return opened
            } catch { throw EdgeRefusal(.unavailable, "sessions cannot be had at the moment: \(error)") }
        }
    }
    private static var nowSeconds: UInt64 { ProcessResources.wallNanos / 1_000_000_000 }

    func session(_ token: String) async throws -> EdgeSession {
        if let session = try own(token) { return session }
        let known = try signIn.known(token: token)
        let answer = if let known { known } else { try await signIn.verify(token: token) }
        return LiveContract.session(answer, token)
    }
    /// The same at once, for a thread that may wait.
    private func currentSession(_ token: String) throws -> EdgeSession {
        if let session = try own(token) { return session }
        return LiveContract.session(try signIn.current(token: token), token)
    }
    private static func session(_ answer: SignInAnswer, _ token: String) -> EdgeSession {
        switch answer {
        case .caller(let principal): .principal(principal, isToken: IdentityProvider.isToken(token))
        case .unknown: .refused("the session is not known, or its key was revoked")
        case .expired: .refused("the key has expired")
        case .refused(let why): .refused(why)
        }
    }
    /// Nil for what is no session of ours. One whose key is revoked has ended.
    private func own(_ token: String) throws -> EdgeSession? {
        guard IdentityProvider.isToken(token) else { return nil }
        switch try sessions().verdict(on: token, nowSeconds: LiveContract.nowSeconds) {
        case .foreign: return nil
        case .refused(let fault): return .refused(fault.message)
        case .session(let session):
            guard let id = PublicID(session.key, prefix: .key), let key = try state().keys.with(publicID: id),
                key.role == session.role, gateway.keys?.isInForce(key) == true,
                let principal = try signIn.principal(key)
            else { return .refused("the key that the session was made with is in force no more") }
            return .principal(principal, isToken: true)
        }
    }
    func openSession(seconds: Int, _ caller: Caller) throws -> ContractSessionMade {
        let now = LiveContract.nowSeconds
        let uuid = caller.principal.tenant.flatMap { PublicID($0, prefix: .tenant)?.uuid }
        guard PublicID(caller.principal.name, prefix: .key) != nil else {
            throw EdgeRefusal(.unauthenticated, "a session is made with an API key")
        }
        let session = SessionTokens.Session(
            key: caller.principal.name, tenant: uuid, role: caller.principal.role, endSeconds: now + UInt64(seconds))
        let token = try sessions().token(session, id: ContractID.make(), nowSeconds: now)
        return ContractSessionMade(token: token, endSeconds: session.endSeconds, tenant: uuid, role: session.role)
    }

    private func find(uuid: String) throws -> TenantSpec? {
        try PublicID(uuid: uuid, prefix: .tenant).flatMap { try state().tenant(publicID: $0) }
    }
    func tenant(uuid: String) throws -> String? { try find(uuid: uuid)?.publicID.text }
    func signingSecret(ofTenant uuid: String) throws -> String? { try find(uuid: uuid)?.signingSecret }
    func isTrustedProxy(_ address: String) -> Bool {
        guard let address = IPAddress(address), let live = gateway.registry?.state.live else { return false }
        return live.trustedProxies.contains { CIDR($0)?.contains(address) == true }
    }
    func count(_ answered: EdgeAnswered) { figures.note(answered) }
    func note(_ refused: EdgeRefusedTry) {
        guard let tenant = try? find(uuid: refused.tenant)?.id else { return }
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        guard samples.withLock({ $0.takes(tenant.number, nowMillis: now) }) else { return }
        queue.async { [gateway] in
            // One that cannot be written is in the process's own log still.
            try? gateway.audit?.record([
                Engine.AuditEntry(
                    timeMillis: now, actor: refused.principal, requestID: refused.requestID, action: .refuse,
                    kind: nil, tenant: tenant, resource: "", name: refused.target,
                    changes: [
                        FieldChange(field: "reason", before: "", after: refused.reason),
                        FieldChange(field: "address", before: "", after: refused.address),
                    ])
            ])
        }
    }

    // MARK: events

    func ingest(
        _ order: ContractIngest, key: String, digest: [UInt8], _ caller: Caller
    ) async throws -> (ids: [String], isDuplicate: Bool) {
        let tenant = try tenant(caller)
        let text = TextEncoding.hex(digest)
        let events = order.events.enumerated().map { index, event in
            published(
                event, tenant, key: order.isBatch ? "\(key) \(index)" : key, digest: text, caller)
        }
        var known: [Int: UInt64] = [:]
        var ids: [Int: String] = [:]
        var start = 0
        while start < events.count {
            let end = min(start + LiveContract.publishedAtOnce, events.count)
            known.merge(try await publish(Array(events[start..<end]), from: start)) { $1 }
            // Whether the key is another request's shows before more of this one is published; of the rest, at the end.
            if start == 0 || end == events.count {
                ids.merge(try await repeated(known, digest: text)) { $1 }
                known = [:]
            }
            start = end
        }
        let isDuplicate = ids.count == events.count
        for event in order.events { figures.noteEvent(event.type, isDuplicate: isDuplicate) }
        return (events.enumerated().map { ids[$0.offset] ?? $0.element.contract?.eventID ?? "" }, isDuplicate)
    }
    private func published(
        _ event: ContractEvent, _ tenant: TenantSpec, key: String, digest: String, _ caller: Caller
    ) -> PublishedEvent {
        let now = ProcessResources.wallNanos
        let millis = Int64(now / 1_000_000)
        let id = ContractID.event(atMillis: millis)
        var record = PublishedEvent(
            tenant: tenant.id, type: event.type,
            body: event.body(id: id, tenant: tenant.publicID.uuid, atMillis: millis))
        record.source = .contract
        record.target = LiveContract.target
        record.receivedAt = now
        record.traceLines = caller.traceLines
        record.contract = ContractStamp(eventID: id, correlationID: caller.requestID, key: key, digest: digest)
        return record
    }
    /// Many of them share a commit. Of those that the log knew already: where, by their place in the batch.
    private func publish(_ events: [PublishedEvent], from start: Int) async throws -> [Int: UInt64] {
        try await withThrowingTaskGroup(of: (Int, UInt64)?.self) { group in
            for (index, event) in events.enumerated() {
                group.addTask { [publishing] in
                    switch try await publishing.publish(event, windowSeconds: UInt32(EdgeTraits.daySeconds)) {
                    case .kept: nil
                    case .duplicate(let first): (start + index, first.sequence)
                    }
                }
            }
            return try await group.reduce(into: [:]) { known, one in
                if let (index, sequence) = one { known[index] = sequence }
            }
        }
    }
    /// The ids that those in the log have. The log knows the key too: a repetition whose answer was lost is told from
    /// another request by its digest. One pass over each segment that has some of them, on a thread that may wait.
    private func repeated(_ known: [Int: UInt64], digest: String) async throws -> [Int: String] {
        guard !known.isEmpty else { return [:] }
        let access = try gateway.accessNow()
        return try await logWorker.run {
            var stamps: [UInt64: ContractStamp] = [:]
            try access.withRecords(at: Set(known.values).sorted()) { sequence, record in
                stamps[sequence] = ContractStamp(in: record.fieldLines)
            }
            return try known.mapValues { sequence in
                guard let stamp = stamps[sequence], stamp.digest == digest else {
                    throw EdgeRefusal(.idempotencyConflict, "the key was used for another request within the last day")
                }
                return stamp.eventID
            }
        }
    }

    // MARK: the stream

    func openStream(
        after: String?, token: String, hangUp: @escaping @Sendable () -> Void, _ caller: Caller
    ) throws -> StreamPlace {
        let tenant = try tenant(caller)
        let access = try gateway.accessNow()
        let place = try after.map { try sequence(of: $0, tenant.id, access) }
        return try streams.openContract(
            tenant, after: place ?? access.tail.snapshot.sequence,
            heartbeatNanos: UInt64(contractSettings.heartbeatMillis) * 1_000_000,
            isAllowed: { [weak self] in
                guard let self, let principal = try? self.currentSession(token).principal,
                    (try? principal.require(AccessTable.access(to: "streamContractEvents"))) != nil,
                    let now = try? self.state(), now.tenant(tenant.id) != nil
                else { return false }
                return principal.tenant == nil || principal.tenant == tenant.publicID.text
            }, hangUp: hangUp)
    }
    private static let slackNanos: UInt64 = 2_000_000_000
    private static let millisMax = (UInt64.max - slackNanos) / 1_000_000
    private static let recordsLookedAtMax = 200_000
    /// Ids say when their event came; around that time it is looked for. Without it (it has left the log) the stream
    /// goes on at that time.
    private func sequence(of id: String, _ tenant: TenantID, _ access: GatewayAccess) throws -> UInt64 {
        // Of one that came to the ingest port: where it is.
        if let event = OpsCenterID.event(id.lowercased()) {
            if event == EventID(logIdentity: access.identity, sequence: event.sequence) { return event.sequence }
            throw EdgeRefusal.invalid([FieldProblem(path: "Last-Event-ID", reason: "is of another log, which is gone")])
        }
        guard let millis = ContractID.millis(ofEvent: id) else {
            throw EdgeRefusal.invalid([FieldProblem(path: "Last-Event-ID", reason: "is not the id of an event")])
        }
        // An id may say any time, also one that a clock of nanoseconds does not reach.
        let nanos = min(UInt64(millis), LiveContract.millisMax) * 1_000_000
        let browser = MessageBrowser(access, tenant: tenant)
        let end = access.tail.snapshot.sequence + 1
        let oldest = min(try browser.oldest(), end)
        let early = nanos - min(nanos, LiveContract.slackNanos)
        let start = try browser.first(in: oldest..<end) { $0 >= early }
        var reader = access.makeReader(from: start)
        var behind = start > 0 ? start - 1 : 0
        let wanted = id.lowercased()
        for _ in 0..<LiveContract.recordsLookedAtMax {
            switch reader.next(through: access.tail.snapshot) {
            case .record(let record, _):
                guard record.receivedAt <= nanos + LiveContract.slackNanos else { return behind }
                if record.tenantNumber == tenant.number, ContractStamp(in: record.fieldLines)?.eventID == wanted {
                    return record.sequence
                }
                if record.receivedAt <= nanos { behind = record.sequence }
            case .damaged, .missing: continue
            case .caughtUp: return behind
            case .failed: throw ControlError.logUnavailable
            }
        }
        return behind
    }
}

/// Refusals of each tenant that the audit log has, within bounds.
struct RefusalSamples {
    private static let tenantCountMax = 4096
    private var samples: [UInt32: RefusalSample] = [:]

    mutating func takes(_ tenant: UInt32, nowMillis: Int64) -> Bool {
        if samples[tenant] == nil, samples.count >= RefusalSamples.tenantCountMax { samples = [:] }
        return samples[tenant, default: RefusalSample()].note(nowMillis: nowMillis) != nil
    }
}
