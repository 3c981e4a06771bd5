// What the dispatcher and the store cost, printed and not asserted: no egress, no ingest, a core that others use too.

import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import TestSupport
import Testing

/// Answers every order at once with 200.
private final class EchoEgress: EgressPort {
    private var outcomes: [DeliveryOutcome] = []
    private var next = 0
    func submit(_ request: OutboundRequest) -> Bool {
        var outcome = DeliveryOutcome(token: request.token, result: .answered)
        outcome.status = 200
        outcomes.append(outcome)
        return true
    }
    func answer(of outcome: DeliveryOutcome) -> [UInt8] { [] }
    func flush() {}
    var hasOutcome: Bool { next < outcomes.count }
    func nextOutcome() -> DeliveryOutcome? {
        guard next < outcomes.count else {
            outcomes.removeAll(keepingCapacity: true)
            next = 0
            return nil
        }
        defer { next += 1 }
        return outcomes[next]
    }
}

private let lines =
    "Content-Type: application/json\r\nUser-Agent: GitHub-Hookshot/044aadd\r\n"
    + "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab\r\n"
    + "X-GitHub-Event: push\r\n"
    + "X-Hub-Signature-256: sha256=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\r\n"
    + "Host: hooks.example.com\r\nAccept: */*\r\nContent-Length: 1024\r\n"

private func processorSeconds() -> Double {
    Double(clock()) / Double(CLOCKS_PER_SEC)
}

/// JSON of 1 KiB, with what the filter below asks for at its end.
private let body: String = {
    let start = "{\"id\":\"evt_1\",\"note\":\""
    let end = "\",\"data\":{\"currency\":\"EUR\",\"amount\":1250.50,\"items\":[{\"sku\":\"A-1\"},{\"sku\":\"B-2\"}]}}"
    return start + String(repeating: "x", count: 1024 - start.utf8.count - end.utf8.count) + end
}()
/// Four conditions, all of which such an event meets.
private let filter = """
    {"headers":{"X-GitHub-Event":"push"},
     "body":{"data":{"currency":{"$in":["CHF","EUR"]},"amount":{"$gte":1000}},
             "$.data.items[*].sku":{"$startsWith":"B-"}}}
    """

@Test(arguments: zip([1, 20, 1, 20], [false, false, true, true]))
func printsWhatADeliveryCosts(laneCount: Int, isFiltered: Bool) throws {
    let filter = isFiltered ? try filterValue(filter) : nil
    let folder = TestSupport.TemporaryFolder()
    let store = try SQLiteStore(folder: folder.path, logIdentity: 1)
    let wakeup = try #require(Wakeup())
    let worker = try #require(StoreWorker(store: store, dispatcherWakeup: wakeup, logger: Logger(label: "test")))
    let log = FakeLog()
    let count = 100_000
    for index in 0..<count {
        log.append(
            FakeEvent(type: "t\(index % laneCount)", fieldLines: lines, body: body))
    }
    let dispatcher = Dispatcher(
        log: log, egress: EchoEgress(), store: worker, hosts: FakeHosts(), pool: PayloadPool(byteCount: 64 << 20),
        limits: DispatcherLimits(), clock: StoreClock(wallMillis: 1_700_000_000_000, monotonicNanos: 0),
        shared: log.place(1), seed: 1)
    let plans = try (0..<laneCount).map { index in
        let configuration = endpoint("e\(index)") {
            $0.url = "http://127.0.0.1:9000/\(index)"
            $0.concurrency = 64
            $0.types = ["t\(index)"]
            $0.policies.filter = filter
        }
        return LanePlan(try compiled(configuration, id: EndpointID(UInt32(index + 1))), mark: nil)
    }
    dispatcher.publish(plans, now: 0)
    worker.start()
    let start = ContinuousClock.now
    let processorStart = processorSeconds()
    var delivered: UInt64 = 0
    while delivered < UInt64(count) || !dispatcher.isDrained {
        let passed = (ContinuousClock.now - start).components
        let now = UInt64(passed.seconds) * 1_000_000_000 + UInt64(passed.attoseconds / 1_000_000_000)
        if dispatcher.step(now: now) > 0 { _ = wakeup.sleep(timeoutMillis: 1) { dispatcher.hasWork } }
        delivered = dispatcher.metrics(now: now).lanes.reduce(0) { $0 + $1.counters.delivered }
    }
    let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
    let processor = processorSeconds() - processorStart
    worker.stop()
    #expect(try store.counts(endpoint: EndpointID(1)) == OpenDeliveries(endpoint: EndpointID(1)))
    let each = processor / Double(count) * 1e6
    print(
        "dispatcher + SQLite, \(laneCount) lanes, \(isFiltered ? "4 conditions, " : "")1 KiB:",
        "\(Int(Double(count) / seconds))/s,",
        "\((each * 10).rounded() / 10) us of processor a delivery, \(worker.metrics.batches) transactions")
}
