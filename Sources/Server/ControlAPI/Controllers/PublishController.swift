// Publishing: an event from the caller into the log.
import HTTPTypes
import Hummingbird

struct PublishController {
    let publishing: any EventPublishing
    /// Twice `limits.body` as it is when nobody set it; the gateway has the last word on the payload.
    static let bodyBytesMax = 2 << 20

    /// Thousands come in a second: what is read sooner than a thread is changed is read where it is.
    private static let quickBytesMax = 64 << 10
    private let worker = ControlWorker()

    init(publishing: any EventPublishing) { self.publishing = publishing }

    var routes: [Route] {
        let (publishing, worker) = (publishing, worker)
        return [
            Route(
                method: .post, path: ControlAPI.base + "/events", operation: "publishEvent", resource: "events",
                summary:
                    "Publish an event. Answered when it is on disk; delivered to the tenant's endpoints like every "
                    + "other. With `event_id` or an `Idempotency-Key` the call may be repeated.",
                query: PublishOrder.query, body: .payload(PublishOrder.schema),
                bodyBytesMax: PublishController.bodyBytesMax, status: .accepted, answer: .json(PublishAnswer.schema),
                problems: [.badRequest, .busy, .logUnavailable, .rateLimited, .schemaViolation], isFrequent: true
            ) { call in
                let key = try PublishController.idempotencyKey(call.fields[values: IdempotencyKey.header])
                let read: @Sendable () throws -> PublishOrder = {
                    try PublishController.order(
                        call.query, contentType: call.fields[.contentType], body: call.body, key)
                }
                let order = try await call.body.count > PublishController.quickBytesMax ? worker.run(read) : read()
                let answer = try await publishing.publish(order, call.caller)
                return ControlResponse.text(answer.text + "\n", contentType: "application/json", status: .accepted)
            }
        ]
    }

    static func order(
        _ query: QueryValues, contentType: String?, body: [UInt8], _ idempotencyKey: String?
    ) throws -> PublishOrder {
        guard query.text("type") == nil else {
            return try PublishOrder(query, contentType: contentType, body: body, idempotencyKey: idempotencyKey)
        }
        for parameter in PublishOrder.query where query.text(parameter.name) != nil {
            throw ControlError(.badParameter, "`\(parameter.name)` in the query goes together with `type` there")
        }
        return try PublishOrder(json: body, idempotencyKey: idempotencyKey)
    }
    static func idempotencyKey(_ given: [String]) throws -> String? {
        guard let key = given.first else { return nil }
        guard given.count == 1, IdempotencyKey.isRight(key) else {
            throw ControlError(.badRequest, "`Idempotency-Key` \(IdempotencyKey.form)")
        }
        return key
    }
}
