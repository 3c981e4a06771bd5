// The events of Ops-Center's webhooks: 28 of its own, three that are ours. What may be subscribed to and published.
//
// Invariant: no name stands twice; a name, once published, stays.

package enum OpsCenterCatalogue {
    package struct Event: Equatable, Sendable {
        package let name: String
        package let category: String
        package let about: String
    }
    /// Subscribes to every event, later ones too.
    package static let all = "*"
    /// What the test of a webhook sends unless it is told otherwise; in no subscription.
    package static let testName = "test.webhook"
    package static let testNameBytesMax = 100

    package static func isEvent(_ name: String) -> Bool { names.contains(name) }
    package static func isSubscribable(_ name: String) -> Bool { name == all || isEvent(name) }
    /// 1 to 100 of `a-z 0-9 . _`.
    package static func isTestName(_ name: String) -> Bool {
        (1...testNameBytesMax).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
                    UInt8(ascii: "."), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static let names = Set(events.map(\.name))
    package static let events: [Event] =
        category(
            "user", "user.created: A user was created.", "user.updated: A user's details changed.",
            "user.deleted: A user was deleted.")
        + category(
            "organization", "organization.created: An organization was created.",
            "organization.updated: An organization's details changed.",
            "organization.deleted: An organization was deleted.")
        + category(
            "subscription", "subscription.created: A subscription began.",
            "subscription.updated: A subscription changed.", "subscription.cancelled: A subscription was cancelled.",
            "subscription.renewed: A subscription was renewed.")
        + category(
            "billing", "payment.succeeded: A payment was taken.", "payment.failed: A payment could not be taken.",
            "invoice.created: An invoice was made.", "payment.refunded: A payment was given back.")
        + category(
            "usage", "usage.threshold_reached: Usage reached a threshold.", "quota.exceeded: A quota was exceeded.",
            "credit.low: Little credit is left.")
        + category(
            "service", "service.started: A service started.", "service.stopped: A service stopped.",
            "service.failed: A service failed.", "service.restarted: A service was restarted.")
        + category(
            "device", "device.registered: A device was registered.", "device.online: A device came online.",
            "device.offline: A device went offline.", "device.updated: A device's details changed.")
        + category(
            "alert", "alert.triggered: An alert was raised.", "alert.resolved: An alert is over.",
            "alert.acknowledged: Somebody took an alert up.")
        + category(
            "ota", "ota.deployment_started: An over-the-air deployment began.",
            "ota.deployment_completed: An over-the-air deployment was completed.",
            "ota.deployment_failed: An over-the-air deployment failed.")

    /// Each is a name, a colon and a sentence.
    private static func category(_ category: String, _ lines: String...) -> [Event] {
        lines.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return Event(
                name: String(parts[0]), category: category, about: String(parts[1].drop { $0 == " " }))
        }
    }
}
