// Sources and the audit log: listed and shown.
import Hummingbird

struct SourceController {
    let sources: any SourceDirectory
    let worker: ControlWorker

    private static let filters = [
        QueryParameter("tenant", .text, "Only those of this tenant: id, uid or name."),
        QueryParameter("provider", .text, "Only those of this provider."),
        QueryParameter("name", .text, "Only those of this name; `*` stands for anything."),
    ]

    var routes: [Route] {
        let (sources, worker) = (sources, worker)
        return [
            Route(
                method: .get, path: ControlAPI.base + "/sources", operation: "listSources", resource: "sources",
                summary: "List sources, in the order in which they were made.",
                query: SourceController.filters + QueryParameter.paging,
                answer: .json(Page<SourceResource>.schema), problems: [.noSuchTenant]
            ) { call in
                var search = SourceSearch()
                search.tenant = call.query.text("tenant")
                search.provider = call.query.text("provider")
                search.name = call.query.text("name")
                search.paging = Paging(after: try call.query.cursor(.sources, count: 1)?[0], limit: call.query.limit)
                let asked = search
                let found = try await worker.run { try sources.sources(asked, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.sources, $0).text }))
            },
            Route(
                method: .get, path: ControlAPI.base + "/sources/{id}", operation: "getSource", resource: "sources",
                summary: "Show a source.", answer: .json(SourceResource.schema), problems: [.noSuchSource]
            ) { call in
                ControlResponse.resource(try await worker.run { try sources.source(call.parameter("id"), call.caller) })
            },
        ]
    }
}

struct AuditController {
    let audit: any AuditQueries
    let worker: ControlWorker

    var routes: [Route] {
        let (audit, worker) = (audit, worker)
        return [
            Route(
                method: .get, path: ControlAPI.base + "/audit", operation: "listAudit", resource: "audit",
                summary: "List changes that somebody made, newest first.", query: QueryParameter.paging,
                answer: .json(Page<AuditResource>.schema), problems: [.storeUnavailable]
            ) { call in
                let paging = Paging(after: try call.query.cursor(.audit, count: 1)?[0], limit: call.query.limit)
                let found = try await worker.run { try audit.audit(paging, call.caller) }
                return ControlResponse.resource(
                    Page(items: found.items, next: found.next.map { Cursor(.audit, $0).text }))
            }
        ]
    }
}
