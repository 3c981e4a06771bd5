// Schemas of events tried before they are saved: on one body, over a stretch of the log.
import Engine
import Hummingbird

/// Calls read the log; each reads a bounded part of it.
package protocol SchemaTrials: AnyObject, Sendable {
    func test(_ trial: SchemaTrial, _ caller: Caller) throws -> SchemaResult
    /// `after`: the sequence behind which it goes on.
    func preview(
        _ order: SchemaPreviewOrder, after: UInt64?, _ caller: Caller
    ) throws -> (page: SchemaPreview, next: UInt64?)
}

struct SchemaController {
    let schemas: any SchemaTrials
    let worker: ControlWorker

    var routes: [Route] { [test, preview] }

    private var test: Route {
        let (schemas, worker) = (schemas, worker)
        return Route(
            method: .post, path: ControlAPI.base + "/schemas/test", operation: "testSchema", resource: "schemas",
            summary: "Hold an event, in the log or given, against a JSON Schema: whether it is taken, and what it "
                + "breaks.",
            body: .json(SchemaTrial.schema), bodyBytesMax: 2 << 20, answer: .json(SchemaResult.schema),
            problems: [.noSuchEvent, .logUnavailable, .notRunning]
        ) { call in
            let trial = try BodyReading.decode(call.body, as: SchemaTrial.self)
            let count = [trial.event != nil, trial.payload != nil, trial.body != nil].count(where: { $0 })
            guard count == 1 else {
                throw ControlError.invalid([
                    FieldProblem(path: "event", reason: "give one of `event`, `payload` and `body`")
                ])
            }
            return ControlResponse.resource(try await worker.run { try schemas.test(trial, call.caller) })
        }
    }
    private var preview: Route {
        let (schemas, worker) = (schemas, worker)
        return Route(
            method: .post, path: ControlAPI.base + "/schemas/preview", operation: "previewSchema",
            resource: "schemas",
            summary: "Run a JSON Schema over what came in a time, before it is saved: what it would have refused. "
                + "Page by page.",
            body: .json(SchemaPreviewOrder.schema), bodyBytesMax: 512 << 10, answer: .json(SchemaPreview.schema),
            problems: [.badCursor, .logUnavailable, .notRunning]
        ) { call in
            let order = try BodyReading.decode(call.body, as: SchemaPreviewOrder.self)
            let after = try order.cursor.map { try Cursor($0, of: .schemaPreview, count: 1).parts[0] }
            var (page, next) = try await worker.run { try schemas.preview(order, after: after, call.caller) }
            page.next = next.map { Cursor(.schemaPreview, $0).text }
            return ControlResponse.resource(page)
        }
    }
}
