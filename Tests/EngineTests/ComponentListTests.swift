// The order in which the parts of a process start and end, whatever fails on the way.

import Engine
import Synchronization
import Testing

/// What was called, in order.
private final class Calls: Sendable {
    private let stored = Mutex<[String]>([])
    func add(_ call: String) { stored.withLock { $0.append(call) } }
    var all: [String] { stored.withLock { $0 } }
}

private final class TestComponent: Component {
    enum Failure: Error, Equatable { case start(String), stop(String) }
    let name: String
    private let calls: Calls
    private let failsStart: Bool
    private let failsStop: Bool
    private let isUnfinished: Bool
    /// Called with the milliseconds that the component was given.
    private let onDrain: @Sendable (Int) -> Void

    init(
        _ name: String, _ calls: Calls, failsStart: Bool = false, failsStop: Bool = false, isUnfinished: Bool = false,
        onDrain: @escaping @Sendable (Int) -> Void = { _ in }
    ) {
        self.name = name
        self.calls = calls
        self.failsStart = failsStart
        self.failsStop = failsStop
        self.isUnfinished = isUnfinished
        self.onDrain = onDrain
    }
    func start() throws {
        calls.add("start \(name)")
        if failsStart { throw Failure.start(name) }
    }
    func drain(withinMillis: Int) -> Bool {
        calls.add("drain \(name)")
        onDrain(withinMillis)
        return !isUnfinished
    }
    func stop() throws {
        calls.add("stop \(name)")
        if failsStop { throw Failure.stop(name) }
    }
}

/// A clock that the test moves.
private final class TestClock: Sendable {
    private let nanos = Mutex<UInt64>(UInt64.max / 2)
    var now: UInt64 { nanos.withLock { $0 } }
    func advance(millis: UInt64) { nanos.withLock { $0 += millis * 1_000_000 } }
}

@Suite struct ComponentListTests {
    private let calls = Calls()
    private let clock = TestClock()

    private func list(_ components: [TestComponent]) -> ComponentList {
        let clock = clock
        return ComponentList(components) { clock.now }
    }

    @Test func startsInOrderAndEndsBackwards() throws {
        var list = list(["a", "b", "c"].map { TestComponent($0, calls) })
        #expect(list.names == ["a", "b", "c"])
        try list.start()
        #expect(calls.all == ["start a", "start b", "start c"])
        #expect(list.drain(withinMillis: 1000).isEmpty)
        #expect(list.stop().isEmpty)
        #expect(
            calls.all.dropFirst(3) == ["drain c", "drain b", "drain a", "stop c", "stop b", "stop a"])
    }

    @Test func failedStartIsUndoneBackwardsAndTold() {
        var list = list([
            TestComponent("a", calls), TestComponent("b", calls, failsStop: true),
            TestComponent("c", calls, failsStart: true), TestComponent("d", calls),
        ])
        var failures: [String] = []
        #expect(throws: TestComponent.Failure.start("c")) {
            try list.start { failures.append($0.component) }
        }
        // The one that failed is neither drained nor stopped, nor is what comes behind it.
        #expect(
            calls.all == [
                "start a", "start b", "start c", "drain b", "drain a", "stop b", "stop a",
            ])
        #expect(failures == ["b"])
        #expect(list.drain(withinMillis: 1000).isEmpty && list.stop().isEmpty)
        #expect(calls.all.count == 7)
    }

    @Test func startThatFailsAtAnyPlaceLeavesNothingStarted() {
        for failing in 0..<5 {
            let calls = Calls()
            var list = list((0..<5).map { TestComponent("\($0)", calls, failsStart: $0 == failing) })
            #expect(throws: TestComponent.Failure.start("\(failing)")) { try list.start() }
            let stopped = calls.all.filter { $0.hasPrefix("stop") }
            #expect(stopped == (0..<failing).reversed().map { "stop \($0)" })
        }
    }

    @Test func eachGetsTheTimeThatTheOthersLeft() throws {
        let given = Calls()
        let clock = clock
        func component(_ name: String, takes millis: UInt64) -> TestComponent {
            TestComponent(name, calls) {
                given.add("\(name) \($0)")
                clock.advance(millis: millis)
            }
        }
        var list = list([
            component("a", takes: 0), component("b", takes: 900), component("c", takes: 300),
            component("d", takes: 0),
        ])
        try list.start()
        _ = list.drain(withinMillis: 1000)
        #expect(given.all == ["d 1000", "c 1000", "b 700", "a 0"])
    }

    @Test func undoOfAStartWaitsForNothing() {
        let given = Calls()
        var list = list([
            TestComponent("a", calls) { given.add("a \($0)") }, TestComponent("b", calls, failsStart: true),
        ])
        #expect(throws: TestComponent.Failure.start("b")) { try list.start() }
        #expect(given.all == ["a 0"])
    }

    @Test func namesThoseThatCouldNotFinish() throws {
        var list = list([
            TestComponent("a", calls, isUnfinished: true), TestComponent("b", calls),
            TestComponent("c", calls, isUnfinished: true),
        ])
        try list.start()
        #expect(list.drain(withinMillis: 10) == ["c", "a"])
    }

    @Test func oneThatFailsToStopKeepsNoOtherFromStopping() throws {
        var list = list([
            TestComponent("a", calls, failsStop: true), TestComponent("b", calls),
            TestComponent("c", calls, failsStop: true),
        ])
        try list.start()
        _ = list.drain(withinMillis: 10)
        let failures = list.stop()
        #expect(failures.map(\.component) == ["c", "a"])
        #expect(failures.compactMap { $0.error as? TestComponent.Failure } == [.stop("c"), .stop("a")])
        #expect(calls.all.suffix(3) == ["stop c", "stop b", "stop a"])
    }

    @Test func endsOnce() throws {
        var list = list([TestComponent("a", calls)])
        try list.start()
        for _ in 0..<3 {
            _ = list.drain(withinMillis: 10)
            _ = list.stop()
        }
        #expect(calls.all == ["start a", "drain a", "stop a"])
    }

    @Test func listOfNothingStartsAndEnds() throws {
        var list = list([])
        try list.start()
        #expect(list.drain(withinMillis: 0).isEmpty && list.stop().isEmpty)
    }
}
