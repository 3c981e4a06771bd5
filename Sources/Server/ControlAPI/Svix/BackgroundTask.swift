// A background task as it is kept and shown, and the calls that look one up.
//
// Invariant: ids sort by the time of their making.
import Engine
import FastPath
import HTTPTypes

/// What a task does, on a worker thread; gives what it says when it is over.
package typealias BackgroundWork = @Sendable (BackgroundProgress) throws -> [String: JSONValue]

/// How a task says how far it has come, a few times a second; throws when it must end.
package struct BackgroundProgress {
    private let tell: ([String: JSONValue]) throws -> Void

    package init(_ tell: @escaping ([String: JSONValue]) throws -> Void) { self.tell = tell }
    package func say(_ data: [String: JSONValue]) throws { try tell(data) }
}

package struct BackgroundTask: Equatable, Codable, Sendable {
    package enum Kind: String, CaseIterable, Codable, Sendable {
        case recover = "endpoint.recover"
        case replay = "endpoint.replay"
        case bulkReplay = "endpoint.bulk-replay"
        case purge = "application.purge_content"
        case applicationStats = "application.stats"
        case eventTypes = "event-type.aggregate"
    }
    package enum Status: String, CaseIterable, Codable, Sendable {
        case running, finished, failed
    }
    package static let prefix = "qtask_"

    package let id: String
    /// Public id; nil = the platform's.
    package let tenant: String?
    package let kind: Kind
    package internal(set) var status = Status.running
    /// What it has done; `error` when it failed.
    package internal(set) var data: [String: JSONValue] = [:]
    package internal(set) var updatedMillis: Int64
    /// Of `data` as JSON.
    private(set) var byteCount = 2

    package init(id: String, tenant: String?, kind: Kind, updatedMillis: Int64) {
        self.id = id
        self.tenant = tenant
        self.kind = kind
        self.updatedMillis = updatedMillis
    }
    /// Seconds first, so that they sort; what is behind them tells two of a nanosecond apart.
    static func id(nanos: UInt64) -> String {
        let (seconds, rest) = nanos.quotientAndRemainder(dividingBy: 1_000_000_000)
        let low = UInt128(rest) << 96 | UInt128.random(in: 0..<(1 << 96))
        return SvixID.text(prefix, high: UInt32(truncatingIfNeeded: seconds), low: low)
    }
    /// When it was made, by its id.
    static func nanos(of id: String) -> UInt64? {
        SvixID.parts(id, prefix: prefix).map { high, low in
            UInt64(high) * 1_000_000_000 + UInt64(truncatingIfNeeded: low >> 96)
        }
    }
    static func isID(_ text: String) -> Bool { SvixID.parts(text, prefix: prefix) != nil }

    /// What it says does not grow beyond its bound.
    mutating func bound() {
        byteCount = JSONText.of(JSONValue.object(data)).utf8.count
        guard byteCount > BackgroundTasks.dataBytesMax else { return }
        data = ["error": "what the task found is too long to be kept"]
        status = .failed
        byteCount = JSONText.of(JSONValue.object(data)).utf8.count
    }
    mutating func wasLeft(nowMillis: Int64) {
        status = .failed
        data["error"] = "the gateway ended while the task ran; what it had done by then is done"
        updatedMillis = max(nowMillis, updatedMillis)
        bound()
    }
    package static let stopped = ControlError(
        .notRunning, "the gateway was stopped while the task ran; what it had done by then is done")
    /// For whoever asks; whatever else went wrong stays inside.
    static func text(of error: any Error) -> String {
        switch error {
        case let error as ControlError: error.message
        case let error as SvixError: error.detail
        default: "an internal error; try again"
        }
    }

    /// As the call that began it is answered.
    package var begun: JSONValue {
        [
            "id": .text(id), "status": .text(status.rawValue), "task": .text(kind.rawValue),
            "updatedAt": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
    }
    package var json: JSONValue {
        guard case .object(var members) = begun else { return .null }
        members["data"] = .object(data)
        return .object(members)
    }
    static func begunSchema(_ name: String) -> ObjectSchema {
        ObjectSchema(name, "A task that was begun.", begunFields)
    }
    static let begunFields: [ObjectSchema.Field] = [
        .required("id", .text, "`qtask_…`; sorts by time."),
        .required("status", .word(Status.allCases.map(\.rawValue)), "How it stands."),
        .required("task", .word(Kind.allCases.map(\.rawValue)), "What it does."),
        .required("updatedAt", .time, "When it said something last."),
    ]
    static let schema = ObjectSchema(
        "BackgroundTaskOut", "A task, and what has come of it.",
        begunFields + [.required("data", .map(.anything), "What it has done by now; `error` when it failed.")])
}

struct BackgroundTaskController {
    let tasks: BackgroundTasks
    let worker: ControlWorker

    var routes: [Route] {
        let (tasks, worker) = (tasks, worker)
        return [
            .svix(
                .get, "/background-task", "v1.background-task.list", "List tasks of the last 90 days, newest first.",
                query: Route.svixPaging + [Route.svixOrder] + BackgroundTaskController.filters,
                answer: SvixPage<Never>.schema(BackgroundTask.schema)
            ) { call in
                let paging = try call.svix.paging(isAscending: false, takesOrder: true, isIterator: BackgroundTask.isID)
                let status = try call.svix.word("status", BackgroundTask.Status.self)
                let kind = try call.svix.word("task", BackgroundTask.Kind.self)
                // What they say is long: it is written where nothing waits for it.
                let text = try await worker.run {
                    let tenant = call.caller.principal.tenant
                    return JSONText.of(try tasks.page(paging, tenant: tenant, status: status, kind: kind).json(\.json))
                }
                return SvixReply(200, text: text)
            },
            .svix(
                .get, "/background-task/{task}", "v1.background-task.get", "Show a task.",
                answer: BackgroundTask.schema
            ) { call in
                let id = call.parameter("task")
                let found = try await worker.run {
                    try tasks.task(id, tenant: call.caller.principal.tenant).map { JSONText.of($0.json) }
                }
                guard let found else { throw SvixError.notFound("there is no background task `\(id.prefix(64))`") }
                return SvixReply(200, text: found)
            },
        ]
    }
    private static let filters = [
        QueryParameter("status", .word(BackgroundTask.Status.allCases.map(\.rawValue)), "Only of this status."),
        QueryParameter("task", .word(BackgroundTask.Kind.allCases.map(\.rawValue)), "Only of this kind."),
    ]
}

extension SvixQuery {
    func word<Word: CaseIterable & RawRepresentable<String>>(_ name: String, _ type: Word.Type) throws -> Word? {
        guard let text = text(name) else { return nil }
        guard let word = Word(rawValue: text) else {
            let known = Word.allCases.map(\.rawValue).joined(separator: ", ")
            throw SvixError.generic("`\(name)` takes one of \(known)")
        }
        return word
    }
}
