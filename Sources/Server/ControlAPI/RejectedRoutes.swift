// The routes of refused requests: list, show, verify again.
import Foundation
import HTTPTypes
import Hummingbird

extension ControlAPI {
    func addRejectedRoutes(_ router: Router<ControlContext>) {
        router.get("/api/rejected") { request, _ in
            let parameters = try QueryReading(request, known: ["source", "reason", "before", "limit"])
            var filter = RejectedFilter()
            filter.source = parameters.text("source")
            filter.reason = parameters.text("reason")
            filter.before = parameters.text("before")
            filter.limit = try parameters.count("limit", 1...EventQuery.limitMax) ?? filter.limit
            let asked = filter
            return ControlAnswer.json(try await worker.run { try control.rejected(asked) })
        }
        router.get("/api/rejected/{id}") { request, context in
            let id = try context.parameters.require("id")
            let reveal = try ControlAPI.reveal(request)
            guard let detail = try await worker.run({ try control.rejected(id: id, reveal: reveal) }) else {
                throw ControlError(
                    status: 404, code: "no_such_rejected",
                    message: "there is no refused request `\(id)`; it may have gone to make room")
            }
            return ControlAnswer.json(detail)
        }
        router.post("/api/rejected/reverify") { request, _ in
            let body = try await request.body.collect(upTo: ControlAPI.bodyBytesMax)
            let asked = try ControlAPI.reverifyRequest(Data(body.readableBytesView))
            return ControlAnswer.json(try await worker.run { try control.reverify(asked) })
        }
    }

    /// Whether credentials are to be shown as they came.
    static func reveal(_ request: Request) throws -> Bool {
        let text = try QueryReading(request, known: ["reveal"]).text("reveal")
        guard let text else { return false }
        guard ["true", "false"].contains(text) else {
            throw ControlError(status: 400, code: "bad_parameter", message: "`reveal` takes true or false")
        }
        return text == "true"
    }

    package static func reverifyRequest(_ body: Data) throws -> ReverifyRequest {
        try decode(body, ReverifyRequest.self, known: ["source", "ids", "dryRun"], empty: "{} counts all of them")
    }
}
