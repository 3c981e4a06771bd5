// The applications, event types and endpoints of the gateway that only remembers what it was asked: there is the
// application `app_1`, and nothing else of the kind.
import Engine
import Server
import Synchronization

extension FakeGateway: SvixApplications, SvixEventTypes, SvixEndpoints {
    private static func application(_ draft: SvixApplicationDraft) -> SvixApplication {
        SvixApplication(
            id: "app_1", uid: draft.uid, name: draft.name, throttleRate: draft.throttleRate, metadata: draft.metadata,
            createdMillis: 1000, updatedMillis: 2000)
    }
    private static let nothing = SvixError.notFound("there is nothing of the kind")

    func applications(_ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixApplication> {
        try note("applications \(paging.limit) \(paging.isAscending) \(paging.isBackward)", caller)
        return SvixPage(walked: [FakeGateway.application(SvixApplicationDraft(name: "one"))], paging) { $0.id }
    }
    func application(_ ref: String, _ caller: Caller) throws -> SvixApplication {
        guard ref == "app_1" else { throw FakeGateway.nothing }
        return FakeGateway.application(SvixApplicationDraft(name: "one"))
    }
    func create(
        _ draft: SvixApplicationDraft, getsExisting: Bool, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool) {
        try note("create application \(draft.name) \(draft.uid ?? "-") \(getsExisting)", caller)
        return (FakeGateway.application(draft), !getsExisting)
    }
    func replace(
        _ ref: String, _ draft: SvixApplicationDraft, _ caller: Caller
    ) throws -> (application: SvixApplication, isNew: Bool) {
        try note("replace application \(ref) \(draft.name)", caller)
        return (FakeGateway.application(draft), ref != "app_1")
    }
    func patch(_ ref: String, _ patch: SvixApplicationPatch, _ caller: Caller) throws -> SvixApplication {
        try note("patch application \(ref) \(patch.name ?? "-") \(patch.uid) \(patch.throttleRate)", caller)
        return try application(ref, caller)
    }
    func deleteApplication(_ ref: String, _ caller: Caller) throws { try note("delete application \(ref)", caller) }
    func portalToken(_ ref: String, _ order: SvixPortalOrder, _ caller: Caller) throws -> String {
        try note("portal \(ref) \(order.featureFlags) \(order.seconds) \(order.isReadOnly)", caller)
        return "sluice_token"
    }
    func endPortalTokens(_ ref: String, _ caller: Caller) throws { try note("end tokens of \(ref)", caller) }

    func eventTypes(_ paging: SvixPaging, includesArchived: Bool, _ caller: Caller) throws -> SvixPage<SvixEventType> {
        try note("event types \(paging.iterator ?? "-") \(includesArchived)", caller)
        return SvixPage(walked: [], paging) { $0.name }
    }
    func eventType(_ name: String, _ caller: Caller) throws -> SvixEventType { throw FakeGateway.nothing }
    func create(_ type: SvixEventType, _ caller: Caller) throws -> SvixEventType {
        try note("create event type \(type.name)", caller)
        return type
    }
    func replace(_ type: SvixEventType, _ caller: Caller) throws -> (type: SvixEventType, isNew: Bool) {
        try note("replace event type \(type.name)", caller)
        return (type, false)
    }
    func patch(_ name: String, _ patch: SvixEventTypePatch, _ caller: Caller) throws -> SvixEventType {
        throw FakeGateway.nothing
    }
    func deleteEventType(_ name: String, expunge: Bool, _ caller: Caller) throws {
        try note("delete event type \(name) \(expunge)", caller)
    }

    func importTypes(_ order: SvixImportOrder, _ caller: Caller) throws -> SvixImportReport {
        try note("import \(order.types.map(\.name)) \(order.replacesAll) \(order.isDry)", caller)
        asked.withLock { $0.imports.append(order) }
        var report = SvixImportReport()
        report.changed = order.types
        if order.replacesAll { report.archived = ["old.one"] }
        return report
    }

    func endpoints(_ application: String, _ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixEndpoint> {
        throw FakeGateway.nothing
    }
    func endpoint(_ application: String, _ ref: String, _ caller: Caller) throws -> SvixEndpoint {
        guard ref == "ep_1" else { throw FakeGateway.nothing }
        return SvixEndpoint(id: "ep_1", settings: SvixEndpointDraft(), createdMillis: 1000, updatedMillis: 1000)
    }
    func create(
        _ application: String, _ draft: SvixEndpointDraft, secret: String?, headers: [String: String], _ caller: Caller
    ) throws -> SvixEndpoint {
        try note("create endpoint \(application) \(draft.url) \(secret == nil) \(headers)", caller)
        return SvixEndpoint(id: "ep_1", settings: draft, createdMillis: 1000, updatedMillis: 1000)
    }
    func replace(
        _ application: String, _ ref: String, _ draft: SvixEndpointDraft, _ caller: Caller
    ) throws -> (endpoint: SvixEndpoint, isNew: Bool) {
        throw FakeGateway.nothing
    }
    func patch(
        _ application: String, _ ref: String, _ patch: SvixEndpointPatch, _ caller: Caller
    ) throws -> SvixEndpoint {
        var settings = SvixEndpointDraft()
        (settings.url, settings.uid, settings.throttleRate, settings.channels) = ("http://h/", "u", 3, ["a"])
        return SvixEndpoint(id: "ep_1", settings: patch.over(settings), createdMillis: 1000, updatedMillis: 1000)
    }
    func deleteEndpoint(_ application: String, _ ref: String, _ caller: Caller) throws { throw FakeGateway.nothing }
    func secret(_ application: String, _ ref: String, _ caller: Caller) throws -> String { "whsec_geheim" }
    func rotate(
        _ application: String, _ ref: String, to secret: String?, graceSeconds: Int, _ caller: Caller
    ) throws -> String {
        try note("rotate \(secret == nil) \(graceSeconds)", caller)
        return "whsec_neu"
    }
    func headers(_ application: String, _ ref: String, _ caller: Caller) throws -> [String: String?] {
        ["X-Shown": "1", "Authorization": "Token geheim"]
    }
    func setHeaders(
        _ application: String, _ ref: String, _ headers: [String: String?], merges: Bool, _ caller: Caller
    ) throws {
        let shown = headers.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value ?? "none")" }
        try note("headers \(shown.joined(separator: ",")) \(merges)", caller)
    }
}
