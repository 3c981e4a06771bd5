// The example of an event type, which is sent to an endpoint as a message: what is asked, and what a schema has. Pure.
import Engine
import HTTPTypes

package struct SvixExampleOrder: Equatable, Sendable {
    package var eventType: String
    /// Of the schema's examples; the first is 0.
    package var index: Int

    /// What is wrong is noted in `body`.
    package init(_ body: inout SvixBody) {
        eventType = body.requiredText("eventType") ?? ""
        if body.members["eventType"] != nil, !SvixRules.isLabel(eventType) {
            body.report("eventType", message: SvixRules.aboutLabel())
        }
        index = body.givenInteger("exampleIndex", 0...Int(Int32.max)).value ?? 0
    }
    static let schema = ObjectSchema(
        "EventExampleIn", "Which example is to be sent.",
        [
            .required("eventType", .text, "`svix.ping`, or a declared type whose schema has an example."),
            .optional("exampleIndex", .orNull(.integer(0...Int(Int32.max))), "Of `examples`; 0 by default."),
        ])
}

package enum SvixExample {
    /// Needs no declaration, and has an example.
    package static let ping = "svix.ping"
    package static let pingPayload: JSONValue = ["success": true]
    /// Whose examples count; where there is none of the name, the first by name.
    private static let version = "1"

    /// Throws 400 `invalid_scheme` where the schema has no such example, or one that is no object.
    package static func payload(of type: SvixEventType, index: Int) throws -> JSONValue {
        guard case .object(let versions)? = type.schemas, let first = versions.keys.min(),
            case .object(let schema)? = versions[version] ?? versions[first]
        else { throw noExample(type, "has no schema") }
        guard case .list(let examples)? = schema["examples"], !examples.isEmpty else {
            throw noExample(type, "has no `examples` in its schema")
        }
        guard index < examples.count else {
            throw noExample(type, "has \(examples.count) examples in its schema, none at \(index)")
        }
        guard case .object = examples[index] else { throw noExample(type, "has an example that is no object") }
        return examples[index]
    }
    private static func noExample(_ type: SvixEventType, _ why: String) -> SvixError {
        SvixError(400, "invalid_scheme", "the event type `\(type.name)` \(why)")
    }
}

struct ExampleController {
    let messages: any SvixMessages
    let types: any SvixEventTypes
    let endpoints: any SvixEndpoints
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] {
        let (messages, types, endpoints, worker) = (messages, types, endpoints, worker)
        return [
            .svix(
                .post, "/app/{app}/endpoint/{endpoint}/send-example", "v1.endpoint.send-example",
                "Publish the example of an event type, as a message to this endpoint alone.",
                body: SvixExampleOrder.schema, answer: SvixMessage.schema, kept: kept
            ) { call in
                let (application, endpoint) = (call.parameter("app"), call.parameter("endpoint"))
                _ = try await worker.run { try endpoints.endpoint(application, endpoint, call.caller) }
                let order = try await worker.read(call) { SvixExampleOrder(&$0) }
                let payload = try await worker.run {
                    guard order.eventType != SvixExample.ping else { return SvixExample.pingPayload }
                    return try SvixExample.payload(
                        of: try types.eventType(order.eventType, call.caller), index: order.index)
                }
                let draft = SvixMessageDraft(eventType: order.eventType, body: Array(JSONText.of(payload).utf8))
                let message = try await messages.publish(
                    draft, to: endpoint, application: application, call.caller)
                return SvixReply(200, message.jsonWithoutContent)
            }
        ]
    }
}
