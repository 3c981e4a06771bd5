// Repairs: the thread that works through them, between what it asks of delivery and what it says to the audit log.

import FastPath
import Logging

final class RepairComponent: Component {
    let name = "repairs"
    private let registry: RegistryComponent
    private let store: StoreComponent
    private let delivery: DeliveryComponent
    private let publisher: PublisherComponent
    private let logger: Logger
    private let running = StartResult<RepairService<LogReaders>>()

    init(
        registry: RegistryComponent, store: StoreComponent, delivery: DeliveryComponent, publisher: PublisherComponent,
        logger: Logger
    ) {
        self.registry = registry
        self.store = store
        self.delivery = delivery
        self.publisher = publisher
        self.logger = logger
    }
    var service: RepairService<LogReaders> { running.value }

    func start() throws {
        let (registry, logger) = (registry, logger)
        let surroundings = RepairSurroundings(
            endpoint: { registry.service.state.endpoints[$0] },
            numbers: { registry.service.state.endpoints.numbers(of: $0) }, expunged: publisher.expunged,
            ended: { repair in
                do { try registry.audit.record([repair.endEntry]) } catch {
                    logger.error(
                        "the audit log cannot be written: the end of a repair is missing there",
                        metadata: ["repair": "\(repair.id)", "error": "\(error)"])
                }
            })
        let service = RepairService(
            delivery: delivery.service, ledger: store.store, surroundings: surroundings, logger: logger)
        do { try service.start() } catch { throw GatewayError.store("\(error)") }
        running.set(service)
    }
    /// Before delivery, which takes nothing more then. What is under way goes on after the next start.
    func drain(withinMillis: Int) -> Bool {
        service.stop()
        return true
    }
}

extension Repair {
    /// What it did, in the name of whoever began it.
    var endEntry: AuditEntry {
        let figures = [
            ("repair", id), ("state", state.rawValue), ("done", "\(progress.done)"), ("matched", "\(progress.matched)"),
        ]
        return AuditEntry(
            timeMillis: updatedMillis, actor: order.actor, requestID: nil,
            action: order.action == .cancel ? .cancel : .replay, kind: nil,
            tenant: order.tenant.map { TenantID($0) } ?? .nobody, resource: "", name: "",
            changes: figures.map { FieldChange(field: $0.0, before: "", after: $0.1) })
    }
}
