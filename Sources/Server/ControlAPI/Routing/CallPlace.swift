// Where the code of a call runs. A brief one runs on the event loop that has the control API's connections: elsewhere
// each of its waits would change threads, and waking one costs more than most calls do. Any other runs on the threads
// that Swift has for tasks, so that no body and no answer, however large, keeps a probe waiting. What blocks goes to a
// `ControlWorker` from either. Touches NIO's threads and nothing else. docs/why/brief-calls.md has the figures.
import FastPath
import NIOCore
import NIOPosix

/// The one event loop of the control API, for tasks.
package final class ControlExecutor: HostedExecutor {
    // Never shut down: a connection that closes late would otherwise schedule on a loop that is gone.
    package static let shared = ControlExecutor()

    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop

    private init() { loop = group.next() }

    package func host(_ body: @escaping @Sendable () -> Void) { loop.execute(body) }
    /// Whether this is its thread.
    package var isHere: Bool { loop.inEventLoop }
}

package enum CallPlace {
    /// What takes longer to read than to change threads.
    package static let bodyBytesMax = 16 << 10

    /// One that has to look for a kept answer may have much to read.
    static func isBrief(_ operation: String, _ call: Call) -> Bool {
        guard call.body.count <= bodyBytesMax, call.idempotencyKey == nil else { return false }
        return operations.contains(operation) || lists.contains(operation) && pageLimit(call) <= pageLimitMax
    }
    private static func pageLimit(_ call: Call) -> Int {
        guard call.surface == .svix else { return call.query.limit }
        return call.svix.text("limit").map { Int($0) ?? .max } ?? SvixPaging.limitDefault
    }
    /// Off the event loop, whoever calls.
    package static func elsewhere<Value>(_ body: () async throws -> Value) async rethrows -> Value {
        try await withTaskExecutorPreference(globalConcurrentExecutor, operation: body)
    }

    /// A resource may have settings of a hundred KiB.
    static let pageLimitMax = 50

    /// Brief with a short page: resources whose texts are settings.
    package static let lists: Set<String> = [
        "listTenants", "listKeys", "listSources", "listEndpoints", "v1.application.list", "v1.endpoint.list",
    ]
    /// Those that are called often, and whose answers have a bound: one resource. No payload, no schema, nothing that
    /// grows with what the gateway has.
    package static let operations: Set<String> = [
        "getHealth", "getReadiness", "getReadinessOfParts", "getDatabaseHealth", "getStatus",
        "getTenant", "createTenant", "upsertTenant", "updateTenant", "deleteTenant",
        "getKey", "createKey", "revokeKey", "getSource",
        "getEndpoint", "createEndpoints", "replaceEndpoint", "updateEndpoint", "deleteEndpoint",
        "enableEndpoint", "disableEndpoint", "pauseEndpoint", "retryEndpointNow", "publishEvent",
        "v1.application.get", "v1.application.create", "v1.application.update",
        "v1.application.patch", "v1.application.delete",
        "v1.endpoint.get", "v1.endpoint.create", "v1.endpoint.update", "v1.endpoint.patch",
        "v1.endpoint.delete", "v1.endpoint.get-headers", "v1.endpoint.update-headers", "v1.endpoint.patch-headers",
        "v1.endpoint.get-secret", "v1.endpoint.get-stats",
        "v1.event-type.create", "v1.event-type.update", "v1.event-type.patch", "v1.event-type.delete",
        "v1.message.create", "v1.health.get",
    ]
}
