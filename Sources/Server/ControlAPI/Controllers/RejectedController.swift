// Rejected requests: listed, shown, verified again.
import Engine
import Hummingbird

struct RejectedController {
    let rejected: any RejectedQueries
    let worker: ControlWorker
    let bulkWorker: ControlWorker

    private static let path = ControlAPI.base + "/rejected"

    var routes: [Route] {
        let (rejected, worker, bulkWorker) = (rejected, worker, bulkWorker)
        return [
            Route(
                method: .get, path: RejectedController.path, operation: "listRejected", resource: "rejected",
                summary: "List requests that were answered 401, newest first.",
                query: [
                    QueryParameter("source", .text, "Only those of this source."),
                    QueryParameter("reason", .text, "Only those refused for this reason."),
                ] + QueryParameter.paging,
                answer: .json(Page<RejectedItem>.schema), problems: [.notKept, .notRunning]
            ) { call in
                var filter = RejectedFilter()
                filter.source = call.query.text("source")
                filter.reason = call.query.text("reason")
                filter.before = try call.query.cursor(.rejected, count: 1).map { "rej_\($0[0])" }
                filter.limit = call.query.limit
                let asked = filter
                let page = try await worker.run { try rejected.rejected(asked, call.caller) }
                let next = page.next.flatMap { UInt64($0.dropFirst(4)) }.map { Cursor(.rejected, $0).text }
                return ControlResponse.resource(Page(items: page.rejected, next: next))
            },
            Route(
                method: .get, path: RejectedController.path + "/{id}", operation: "getRejected", resource: "rejected",
                summary: "Show a rejected request as it came.", query: [QueryParameter.reveal],
                answer: .json(RejectedDetail.schema), problems: [.badValue, .noSuchRejected, .notKept, .notRunning]
            ) { call in
                let (id, reveal) = (call.parameter("id"), call.query.flag("reveal"))
                let detail = try await worker.run { try rejected.rejected(id: id, reveal: reveal, call.caller) }
                guard let detail else {
                    throw RejectedController.gone(id)
                }
                return ControlResponse.resource(detail)
            },
            Route(
                method: .post, path: RejectedController.path + "/reverify", operation: "reverifyRejected",
                resource: "rejected",
                summary: "Verify them again against the current configuration; those that pass become events when "
                    + "`dry_run` is `false`.",
                body: .json(ReverifyRequest.schema), bodyBytesMax: 1 << 20, answer: .json(ReverifyResponse.schema),
                problems: [.badValue, .noSuchSource, .notKept, .notRunning]
            ) { call in
                let order = try BodyReading.decode(call.body, as: ReverifyRequest.self)
                return ControlResponse.resource(try await bulkWorker.run { try rejected.reverify(order, call.caller) })
            },
        ]
    }

    static func gone(_ id: String) -> ControlError {
        ControlError(
            .noSuchRejected, "there is no rejected request `\(id)`; it may have been removed to make room for others")
    }
}
