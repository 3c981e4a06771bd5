// Engine's gateway as the lifecycle needs it, and the adapters that put it behind the services of the control API.
import Engine
import FastPath
import Foundation
import Logging

package final class LiveGateway: RunningGateway {
    let gateway: Gateway
    /// What the program and its libraries take before the gateway takes anything.
    private let baseBytes: Int
    private let folder: String
    private let health: LiveHealth
    private let signIn: LiveSignIn
    private let streams: LiveStreams
    private let publications: LivePublications
    private let tasks: BackgroundTasks
    private let contractSettings: ContractSettings
    private let figures = ContractFigures()

    package init(_ configuration: GatewayConfiguration, logger: Logger) {
        baseBytes = ProcessFamilies.residentBytes ?? 0
        folder = configuration.process.dataFolder
        contractSettings = configuration.process.contract
        tasks = BackgroundTasks(folder: folder)
        gateway = Gateway(configuration, logger: logger)
        signIn = LiveSignIn(gateway: gateway)
        streams = LiveStreams(gateway: gateway, signIn: signIn)
        health = LiveHealth(
            gateway: gateway, streams: streams,
            figures: contractSettings.isEnabled && contractSettings.hasMetrics ? figures : nil, baseBytes: baseBytes,
            connectionCountMax: configuration.limits.connectionCountMax)
        publications = LivePublications(gateway: gateway, keys: signIn, logger: logger)
    }

    package func start() throws {
        gateway.setPublicationDesk(publications)
        do { try gateway.start() } catch {
            gateway.setPublicationDesk(nil)
            throw error
        }
        publications.start()
    }
    package func apply(_ change: RegistryChange, actor: ChangeActor, dryRun: Bool) throws -> ChangeReport {
        try gateway.apply(change, actor: actor, dryRun: dryRun)
    }
    /// What goes on in the background stands on what is drained.
    package func drain(withinMillis: Int) -> Bool {
        defer { gateway.setPublicationDesk(nil) }
        let start = ProcessResources.monotonicNanos
        publications.end()
        // What they leave is for what was taken in.
        tasks.end(withinMillis: withinMillis / 2)
        let spent = Int((ProcessResources.monotonicNanos - start) / 1_000_000)
        let isComplete = gateway.drain(withinMillis: withinMillis - spent)
        // They have ended by now, or do in a moment.
        streams.awaitEnd()
        return isComplete
    }
    package var ingestAddresses: [String] { gateway.ingestAddresses }
    package var controlContext: TLSContext? { gateway.controlContext }
    package func onControlContext(_ tell: @escaping @Sendable (TLSContext?) -> Void) { gateway.onControlContext(tell) }
    package var newPlatformKey: String? { gateway.newPlatformKey }
    package var memoryBudgetBytes: Int { baseBytes + gateway.memoryBudgetBytes }

    package func services(applyManifest: @escaping ApplyManifest) -> ControlServices {
        let directory = LiveDirectory(gateway: gateway)
        let deliveries = LiveDeliveries(gateway: gateway)
        let outbound = LiveOutbound(gateway: gateway)
        let publishing = LivePublishing(gateway: gateway)
        let messages = LiveMessages(gateway: gateway, publishing: publishing, applications: outbound)
        let registry = LiveRegistry(gateway: gateway, directory: directory, applyManifest: applyManifest)
        return ControlServices(
            signIn: signIn, health: health, tenants: directory,
            tenantControl: LiveTenants(gateway: gateway),
            keys: LiveKeys(gateway: gateway), sources: directory, endpoints: directory,
            endpointControl: LiveEndpointControl(gateway: gateway), registry: registry, deliveries: deliveries,
            replays: LiveReplays(gateway: gateway), repairs: LiveRepairs(gateway: gateway),
            events: LiveEvents(gateway: gateway, deliveries: deliveries, rejected: LiveRejected(gateway: gateway)),
            transformations: LiveTransformations(gateway: gateway),
            streams: streams,
            publishing: publishing, rejected: LiveRejected(gateway: gateway), audit: registry,
            secrets: LiveSecrets(gateway: gateway), filters: LiveFilters(gateway: gateway),
            schemas: LiveSchemas(gateway: gateway),
            outbound: OutboundServices(
                applications: outbound, eventTypes: outbound, endpoints: outbound,
                operational: LiveOutbound(gateway: gateway, family: .operational),
                messages: messages, attempts: LiveAttempts(gateway: gateway),
                pollers: LivePollers(gateway: gateway), replays: LiveReplayTasks(gateway: gateway, tasks: tasks),
                statistics: LiveStatistics(gateway: gateway, tasks: tasks), keptFolder: folder),
            opsCenter: LiveOpsCenter(gateway: gateway, publishing: publishing),
            operational: LiveOperational(gateway: gateway),
            contract: LiveContract(
                gateway: gateway, settings: contractSettings, publishing: publishing, signIn: signIn, streams: streams,
                figures: figures, folder: folder))
    }
}

extension Gateway {
    /// 503 before the start and after the drain.
    func accessNow() throws -> GatewayAccess {
        guard let access else { throw ControlError.notRunning }
        return access
    }
}

extension Gateway {
    /// What is done beside the registry has its entry before it is done: nothing happens that the audit log has not.
    func note(
        _ action: AuditAction, on endpoint: EndpointSpec?, of tenant: TenantID?, _ changes: [FieldChange],
        _ caller: Caller
    ) throws {
        let actor = ChangeActor(caller)
        let entry = AuditEntry(
            timeMillis: Int64(Date().timeIntervalSince1970 * 1000), actor: actor.name, requestID: actor.requestID,
            action: action, kind: endpoint == nil ? nil : .endpoint, tenant: tenant ?? .nobody,
            resource: endpoint?.publicID.text ?? "", name: endpoint?.name ?? "", changes: changes)
        do { try audit?.record([entry]) } catch {
            throw ControlError(
                .storeUnavailable, "nothing was done: the audit log cannot be written at the moment; try again")
        }
    }
}

extension GatewayAccess {
    var identity: UInt64 { folder.identity.identity }

    /// An event id of this log, else nil.
    func eventID(_ text: String) -> EventID? {
        guard let event = EventID(text), event == EventID(logIdentity: identity, sequence: event.sequence) else {
            return nil
        }
        return event
    }
}

extension GatewayAccess {
    /// Its content is shown and sent by hand no more.
    func isGone(_ record: RecordView) -> Bool {
        record.isErased
            || expunged.isGone(
                record.sequence, of: TenantID(record.tenantNumber), source: SourceID(record.sourceNumber),
                receivedAt: record.receivedAt, fieldLines: record.fieldLines)
    }
    /// The record of a place; nil when it is not in the log, or no longer. Its views last as long as the call.
    func withRecord<Answer>(at sequence: UInt64, _ body: (RecordView) throws -> Answer) throws -> Answer? {
        var answer: Answer?
        try withRecords(at: [sequence]) { _, record in answer = try body(record) }
        return answer
    }
    /// Reading so many records forward is cheaper than opening a segment again.
    private static let skipCountMax: UInt64 = 128
    /// The records of places in ascending order, those of them that are in the log. What lies between two of a segment
    /// is passed over once, but where it is damaged; a segment without one is not opened.
    func withRecords(at sequences: [UInt64], _ body: (UInt64, RecordView) throws -> Void) throws {
        guard let first = sequences.first else { return }
        var reader = makeReader(from: first)
        for sequence in sequences {
            // Where somebody has read nearby, the way to it is shorter.
            let reach = sequence == first ? 0 : reader.sequence + GatewayAccess.skipCountMax
            if let landmark = landmarks.nearest(to: sequence), landmark.sequence > reach {
                reader.seek(landmark.sequence, at: landmark.position)
            }
            switch reader.readOn(to: sequence, through: tail.snapshot) {
            case .record(let record, _) where record.sequence == sequence: try body(sequence, record)
            case .failed: throw ControlError.logUnavailable
            case .damaged(let damage) where damage.isUnreadable: throw ControlError.logUnavailable
            case .record, .damaged, .missing, .caughtUp: continue
            }
        }
    }
    /// An event by its id, of the tenant `scope`, or of any where that is nil; another's is not found.
    func withEvent<Answer>(
        _ id: String, of scope: @autoclosure () throws -> TenantID?, _ body: (EventID, RecordView) throws -> Answer
    ) throws -> Answer {
        guard let event = eventID(id) else { throw ControlError.noSuchEvent(id) }
        let answer = try withRecord(at: event.sequence) { record -> Answer in
            let scope = try scope()
            guard scope == nil || scope?.number == record.tenantNumber else { throw ControlError.noSuchEvent(id) }
            return try body(event, record)
        }
        guard let answer else { throw ControlError.noSuchEvent(id) }
        return answer
    }
    /// Whose an event is; nil when it is not in the log, or no longer.
    func owner(of event: EventID) throws -> (tenant: TenantID, isRequestOfSeveral: Bool, isExpunged: Bool)? {
        var reader = makeReader(from: event.sequence)
        switch reader.read(event.sequence, through: tail.snapshot) {
        case .record(let record, _) where record.sequence == event.sequence:
            let tenant = TenantID(record.tenantNumber)
            return (tenant, record.isRequestOfBatch, isGone(record))
        case .failed: throw ControlError.logUnavailable
        default: return nil
        }
    }
}

extension ControlError {
    static func noSuchEvent(_ id: String) -> ControlError {
        ControlError(.noSuchEvent, "there is no event `\(id)` in the log")
    }
    static func requestOfSeveral(_ id: String) -> ControlError {
        ControlError(
            .noSuchEvent, "`\(id)` is a request that was split; its events, before it in the log, can be sent again")
    }
}

extension TimeText {
    /// Milliseconds since 1970; nil for 0, which stands for never.
    static func of(millis: Int64) -> String? { millis > 0 ? of(epochMillis: millis) : nil }
}
