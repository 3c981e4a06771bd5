// `sluice publish`: an event into the log of a running gateway.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct PublishCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish", abstract: "Put an event into the log, to be delivered like every other.",
        discussion: """
            Returns when the event is on disk. The body goes as it is; with --event-id the call may be repeated.

            EXAMPLE
              sluice publish --type invoice.paid --body invoice.json --event-id inv-17
              echo '{"n":1}' | sluice publish --type test --tenant acme --channel eu

            Exit status: 0 on disk (a duplicate too), 1 refused, 2 no gateway or usage.
            """)
    @OptionGroup var gateway: GatewayOptions
    @Option(help: "The event's type.")
    var type: String
    @Option(help: "A file with the body; standard input when absent.", completion: .file())
    var body: String?
    @Option(help: "What the body is.")
    var contentType = "application/json"
    @Option(help: "Whose event: a tenant's id, uid or name; for keys of all tenants.")
    var tenant: String?
    @Option(help: "Your own id: a second event with it is a duplicate.")
    var eventId: String?
    @Option(name: .customLong("channel"), help: "For endpoints that ask for channels; may be repeated.")
    var channels: [String] = []
    @Option(name: .customLong("tag"), help: "Kept with the event; may be repeated.")
    var tags: [String] = []
    @Option(help: "What it belongs to: for endpoints that ask for an order by it.")
    var group: String?
    @Option(help: "Delivered then and no sooner, such as 2026-01-31T00:00:00Z: one minute to 24 hours from now.")
    var deliverAt: String?
    @Option(help: "For so many hours its body is shown and sent by hand.")
    var retentionHours: Int?
    @Flag(help: "Print JSON.")
    var json = false

    func validate() throws {
        guard PublishRules.isType(type) else { throw ValidationError("--type \(PublishRules.typeForm)") }
        if let eventId, !PublishRules.isID(eventId) {
            throw ValidationError("--event-id \(PublishRules.idForm)")
        }
        for label in channels where !PublishRules.isLabel(label) {
            throw ValidationError("--channel \(PublishRules.labelForm)")
        }
        for label in tags where !PublishRules.isLabel(label) {
            throw ValidationError("--tag \(PublishRules.labelForm)")
        }
        if let group, !PublishRules.isGroup(group) { throw ValidationError("--group \(PublishRules.groupForm)") }
        if let deliverAt {
            guard let time = TimeText.parse(deliverAt) else {
                throw ValidationError("--deliver-at \(PublishRules.timeForm)")
            }
            let now = ProcessResources.wallNanos
            guard PublishRules.isDelay(until: time, now: now, isRepeatable: eventId != nil) else {
                throw ValidationError("--deliver-at \(PublishRules.delayForm)")
            }
        }
        if let retentionHours, !PublishRules.retentionHours.contains(retentionHours) {
            throw ValidationError("--retention-hours \(PublishRules.retentionForm)")
        }
    }
    func run() async throws {
        let content: Data
        if let body {
            do { content = try Data(contentsOf: URL(fileURLWithPath: body)) } catch {
                Output.failure("\(body) cannot be read")
                throw ExitStatus.usage
            }
        } else {
            content = FileHandle.standardInput.readDataToEndOfFile()
        }
        let target = target
        let answer = try await gateway.ask { client in
            try await client.forTenant(tenant).change(
                target, content: content, PublishAnswer.self, contentType: contentType)
        }
        Output.line(json ? APIText.of(answer) : "\(answer.status)  \(answer.id)")
    }
    /// Of values that were checked; of those a group alone has characters that need an escape.
    private var target: String {
        var query = ["type=\(type)"]
        if let eventId { query.append("event_id=\(eventId)") }
        if !channels.isEmpty { query.append("channels=\(channels.joined(separator: ","))") }
        if !tags.isEmpty { query.append("tags=\(tags.joined(separator: ","))") }
        if let group = group?.addingPercentEncoding(withAllowedCharacters: .alphanumerics) {
            query.append("group=\(group)")
        }
        // As the gateway would print it: no sign of a zone, which a query would have to escape.
        if let time = deliverAt.flatMap({ TimeText.parse($0) }) {
            query.append("deliver_at=\(TimeText.of(nanoseconds: time))")
        }
        if let retentionHours { query.append("retention_hours=\(retentionHours)") }
        return ControlAPI.base + "/events?" + query.joined(separator: "&")
    }
}
