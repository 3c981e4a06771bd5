// Trials of filters of the gateway that only remembers what it was asked.
import Engine
import FastPath
import Server
import Synchronization

extension FakeGateway: FilterTrials {
    private static func result() throws -> FilterResult {
        let filter = try CompiledFilter(.object(["type": .text("a")]))
        return FilterResult(
            filter.trace(
                FilterInput(type: .empty, source: .empty, channels: .empty, fieldLines: .empty, body: .empty)))
    }
    func test(_ trial: FilterTrial, _ caller: Caller) throws -> FilterResult {
        try note("test filter \(trial.endpoint ?? "-") \(trial.event ?? "-")", caller)
        asked.withLock { $0.trials.append(trial) }
        return try FakeGateway.result()
    }
    func endpoints(of event: String, _ paging: Paging, _ caller: Caller) throws -> Found<EventEndpoint, UInt64> {
        try note("endpoints of \(event) \(paging.after.map(String.init) ?? "-")", caller)
        let one = EventEndpoint(
            endpoint: Reference(id: "ep_1", name: "e1"), reason: .filter, disabled: false,
            filter: try FakeGateway.result())
        return Found([one], next: paging.after == nil ? 1 : nil)
    }
    func preview(
        _ order: FilterPreviewOrder, endpoint: String, after: UInt64?, _ caller: Caller
    ) throws -> (page: FilterPreview, next: UInt64?) {
        try note("preview \(endpoint) \(after.map(String.init) ?? "-")", caller)
        var page = FilterPreview()
        (page.read, page.subscribed, page.after) = (3, 2, 1)
        return (page, after == nil ? 7 : nil)
    }
}
