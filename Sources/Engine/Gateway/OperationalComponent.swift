// What the gateway tells of itself: from the registry and the dispatcher, through the publisher, into the log.

import Logging

final class OperationalComponent: Component {
    let name = "operational events"
    private let feed: OperationalFeed
    private let schedules: FamilySchedules
    private let registry: RegistryComponent
    private let delivery: DeliveryComponent
    private let publisher: PublisherComponent
    private let logger: Logger
    private let running = StartResult<OperationalPublisher>()

    init(
        _ configuration: GatewayConfiguration, feed: OperationalFeed, registry: RegistryComponent,
        delivery: DeliveryComponent, publisher: PublisherComponent, logger: Logger
    ) {
        schedules = configuration.process.schedules
        self.feed = feed
        self.registry = registry
        self.delivery = delivery
        self.publisher = publisher
        self.logger = logger
    }
    func start() throws {
        let made = OperationalPublisher(
            feed: feed, publisher: publisher.publisher, registry: registry.service,
            schedules: schedules, makeReader: delivery.service.makeReader, logger: logger)
        made.start()
        running.set(made)
    }
    /// Before the publisher, which takes nothing more then.
    func drain(withinMillis: Int) -> Bool { running.value.drain(withinMillis: withinMillis) }
}
