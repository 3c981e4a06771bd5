// The passive connection over every state and event: where it goes, and that an order is reported exactly once, never
// while a send is in flight, and the slot freed only when nothing is.

import FastPath
import Testing

/// One connection with the memory it needs, driven as the loop drives it.
private final class ConnectionBench {
    enum Event: String, CaseIterable {
        case begin, assign, connected, connectFailed, sentAll, sentPart, sendFailed
        case answerWhole, answerHeadOnly, answerGarbage, answerAndMore, answer408
        case peerClosed, peerReset, receiveStopped, deadline, abandon, retire
    }
    private let block: UnsafeMutableRawPointer
    private let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: 4096)
    var connection: EgressConnection
    private var fields = FieldTable()
    var reportCount = 0
    var freeCount = 0
    var parkCount = 0
    var unparkCount = 0
    var cancelCount = 0
    var sendCount = 0
    var receiveCount = 0
    var lastOutcome: DeliveryOutcome?
    private let messageByteCount = 10 + 5 + 2 + 2
    private var toSend = 0
    static let start: UInt64 = 1_000_000_000

    init(generation: UInt32 = 0) {
        var limits = EgressLimits()
        limits.requestHeadBytesMax = 256
        limits.answerHeadBytesMax = 1024
        let count = EgressConnection.blockByteCount(limits)
        block = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 64)
        block.initializeMemory(as: UInt8.self, repeating: 0, count: count)
        connection = EgressConnection(
            block: block.assumingMemoryBound(to: UInt8.self), limits: limits, generation: generation)
    }
    deinit {
        block.deallocate()
        bytes.deallocate()
    }
    private func view(_ text: StaticString) -> ByteView { ByteView(text.utf8Start, count: text.utf8CodeUnitCount) }
    private let destination = try! Destination(
        DestinationDescription(
            addresses: [EgressAddress(literal: "127.0.0.1", port: 9)!], authority: "h", target: "/", secrets: []),
        version: "test", requestHeadBytesMax: 256)
    private var order: OutboundRequest {
        OutboundRequest(
            token: 7, pool: 0, destination: destination, eventID: view("e"), fieldLines: view("A: b\n"),
            body: view("{}"))
    }
    private func deadlines(_ now: UInt64) -> EgressDeadlines {
        EgressDeadlines(connect: now + 5000, total: now + 20_000, headNanos: 9000, idleNanos: 50_000)
    }
    private func apply(_ actions: EgressActions) {
        if actions.contains(.report) {
            reportCount += 1
            lastOutcome = connection.outcome
            connection.reported()
        }
        if actions.contains(.unpark) { unparkCount += 1 }
        if actions.contains(.write) {
            connection.message.beginHead()
            connection.message.append("POST / X\r\n")
            connection.message.endHead(fieldLines: view("A: b\n"), body: view("{}"))
            toSend = messageByteCount
        }
        if actions.contains(.send) { sendCount += 1 }
        if actions.contains(.receive) { receiveCount += 1 }
        if actions.contains(.park) { parkCount += 1 }
        if actions.contains(.cancel) { cancelCount += 1 }
        if actions.contains(.free) {
            freeCount += 1
            connection.freed()
        }
    }
    private func receive(_ text: StaticString, _ now: UInt64) {
        for index in 0..<text.utf8CodeUnitCount { bytes[index] = text.utf8Start[index] }
        apply(connection.received(bytes, count: text.utf8CodeUnitCount, now: now, fields: &fields, wallSeconds: 0))
    }
    func run(_ event: Event, now: UInt64 = start) {
        switch event {
        case .begin: _ = connection.begin(order, arrivedAt: now, descriptor: 9, deadlines: deadlines(now))
        case .assign: apply(connection.assign(order, arrivedAt: now, deadlines: deadlines(now)))
        case .connected: apply(connection.connectCompleted(0, now: now))
        case .connectFailed: apply(connection.connectCompleted(-111, now: now))
        case .sentAll:
            apply(connection.sendCompleted(Int32(toSend), now: now))
            toSend = 0
        case .sentPart:
            apply(connection.sendCompleted(1, now: now))
            toSend -= 1
        case .sendFailed: apply(connection.sendCompleted(-32, now: now))
        case .answerWhole: receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", now)
        case .answerHeadOnly: receive("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", now)
        case .answerGarbage: receive("no answer", now)
        case .answerAndMore: receive("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokok", now)
        case .answer408: receive("HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n", now)
        case .peerClosed: apply(connection.receiveEnded(0, needsRearm: false, now: now))
        case .peerReset: apply(connection.receiveEnded(-104, needsRearm: false, now: now))
        case .receiveStopped: apply(connection.receiveEnded(0, needsRearm: true, now: now))
        case .deadline: apply(connection.deadlinePassed(now: now + 10_000_000))
        case .abandon: apply(connection.abandon(now: now))
        case .retire: apply(connection.retire(now: now))
        }
    }
    /// A bench in `state`; `closing` is reached from sending, with a send and a receive in flight.
    static func at(_ state: EgressState) -> ConnectionBench {
        let path: [Event] =
            switch state {
            case .free: []
            case .connecting: [.begin]
            case .sending: [.begin, .connected]
            case .awaitingHead: [.begin, .connected, .sentAll]
            case .readingBody: [.begin, .connected, .sentAll, .answerHeadOnly]
            case .idle: [.begin, .connected, .sentAll, .answerWhole]
            case .closing: [.begin, .connected, .abandon]
            }
        let bench = ConnectionBench()
        for event in path { bench.run(event) }
        return bench
    }
    /// Lets everything that is in flight come home.
    func settle() {
        if connection.state != .closing { run(.abandon) }
        run(.connectFailed)
        run(.sendFailed)
        run(.peerReset)
    }
}

@Suite struct EgressConnectionTests {
    /// For each event the state that follows each of free, connecting, idle, sending, awaitingHead, readingBody,
    /// closing.
    private static let table: [(ConnectionBench.Event, [EgressState])] = [
        (.begin, [.connecting, .connecting, .idle, .sending, .awaitingHead, .readingBody, .closing]),
        (.assign, [.free, .connecting, .sending, .sending, .awaitingHead, .readingBody, .closing]),
        (.connected, [.free, .sending, .idle, .sending, .awaitingHead, .readingBody, .closing]),
        (.connectFailed, [.free, .free, .idle, .sending, .awaitingHead, .readingBody, .closing]),
        (.sentAll, [.free, .connecting, .idle, .awaitingHead, .awaitingHead, .readingBody, .closing]),
        (.sentPart, [.free, .connecting, .idle, .sending, .awaitingHead, .readingBody, .closing]),
        // The peer may have answered before it closed: the receive decides.
        (.sendFailed, [.free, .connecting, .idle, .awaitingHead, .awaitingHead, .readingBody, .closing]),
        (.answerWhole, [.free, .connecting, .closing, .closing, .idle, .closing, .closing]),
        (.answerHeadOnly, [.free, .connecting, .closing, .sending, .readingBody, .closing, .closing]),
        (.answerGarbage, [.free, .connecting, .closing, .closing, .closing, .closing, .closing]),
        (.answerAndMore, [.free, .connecting, .closing, .closing, .closing, .closing, .closing]),
        // It ends with the connection.
        (.answer408, [.free, .connecting, .closing, .sending, .readingBody, .closing, .closing]),
        // With nothing else in flight the slot is free at once; in sending and closing the send still is.
        (.peerClosed, [.free, .connecting, .free, .closing, .free, .free, .closing]),
        (.peerReset, [.free, .connecting, .free, .closing, .free, .free, .closing]),
        (.receiveStopped, [.free, .connecting, .idle, .sending, .awaitingHead, .readingBody, .closing]),
        (.deadline, [.free, .closing, .closing, .closing, .closing, .closing, .closing]),
        (.abandon, [.free, .closing, .closing, .closing, .closing, .closing, .closing]),
        (.retire, [.free, .closing, .closing, .sending, .awaitingHead, .readingBody, .closing]),
    ]
    private static let states: [EgressState] = [
        .free, .connecting, .idle, .sending, .awaitingHead, .readingBody, .closing,
    ]
    @Test func everyStateAndEventGoesWhereTheTableSaysAndReportsOnce() {
        #expect(EgressConnectionTests.table.map(\.0) == ConnectionBench.Event.allCases)
        #expect(Set(EgressConnectionTests.states) == Set(EgressState.allCases))
        for (event, expected) in EgressConnectionTests.table {
            for (state, next) in zip(EgressConnectionTests.states, expected) {
                let bench = ConnectionBench.at(state)
                #expect(bench.connection.state == state)
                bench.run(event)
                #expect(bench.connection.state == next, "\(event) in \(state)")
                let isSecond = state == .idle && event == .assign
                let orderCount = isSecond ? 2 : state == .free && event != .begin ? 0 : 1
                bench.settle()
                #expect(bench.connection.state == .free, "\(event) in \(state)")
                #expect(bench.reportCount == orderCount, "\(event) in \(state)")
                #expect(bench.freeCount == (orderCount > 0 ? 1 : 0), "\(event) in \(state)")
                #expect(bench.parkCount == bench.unparkCount + (isSecond ? 1 : 0))
                #expect(!bench.connection.isInFlight && bench.connection.deadline == .max)
            }
        }
    }
    @Test func keepsTheOrdersMemoryUntilTheSendCameHome() {
        let bench = ConnectionBench.at(.sending)
        bench.run(.deadline)
        #expect(bench.reportCount == 0 && bench.cancelCount == 1)
        bench.run(.peerReset)
        #expect(bench.reportCount == 0)
        bench.run(.sendFailed)
        #expect(bench.reportCount == 1 && bench.freeCount == 1 && bench.lastOutcome?.result == .totalTimedOut)
    }
    @Test func takesAnEarlyAnswerButNotTheConnection() {
        let bench = ConnectionBench.at(.sending)
        bench.run(.answerWhole)
        #expect(bench.connection.state == .closing && bench.reportCount == 0)
        bench.run(.sentPart)
        #expect(bench.reportCount == 1 && bench.lastOutcome?.result == .answered && bench.lastOutcome?.status == 200)
    }
    @Test func readsTheAnswerOfAPeerThatStoppedListening() {
        let bench = ConnectionBench.at(.sending)
        bench.run(.sendFailed)
        bench.run(.answerWhole)
        #expect(bench.lastOutcome?.status == 200 && bench.parkCount == 0 && bench.connection.state == .closing)
        let silent = ConnectionBench.at(.sending)
        silent.run(.sendFailed)
        silent.run(.peerClosed)
        #expect(silent.lastOutcome?.result == .connectionLost && silent.lastOutcome?.systemError == 32)
    }
    @Test func aRetiredConnectionAnswersItsOrderAndCloses() {
        let bench = ConnectionBench.at(.awaitingHead)
        bench.run(.retire)
        bench.run(.answerWhole)
        #expect(bench.lastOutcome?.result == .answered && bench.parkCount == 0 && bench.connection.state == .closing)
    }
    @Test func tellsAStaleConnectionFromAFreshOne() {
        let reused = ConnectionBench.at(.idle)
        reused.run(.assign)
        reused.run(.sentAll)
        reused.run(.peerClosed)
        #expect(reused.lastOutcome?.result == .connectionLost && reused.lastOutcome?.lostReusedConnection == true)
        let answering = ConnectionBench.at(.idle)
        answering.run(.assign)
        answering.run(.sentAll)
        answering.run(.answerHeadOnly)
        answering.run(.peerClosed)
        #expect(answering.lastOutcome?.result == .answered && answering.lastOutcome?.status == 200)
        #expect(answering.lastOutcome?.lostReusedConnection == false)
    }
    @Test func bytesThatBeginNoAnswerAreAnEarlierOnesOnAReusedConnectionOnly() {
        let reused = ConnectionBench.at(.idle)
        for event in [ConnectionBench.Event.assign, .sentAll, .answerGarbage] { reused.run(event) }
        #expect(reused.lastOutcome?.result == .badAnswer && reused.lastOutcome?.lostReusedConnection == true)
        let fresh = ConnectionBench.at(.awaitingHead)
        fresh.run(.answerGarbage)
        #expect(fresh.lastOutcome?.result == .badAnswer && fresh.lastOutcome?.lostReusedConnection == false)
    }
    @Test func a408OnAReusedConnectionIsNoAnswerToThisOrder() {
        let reused = ConnectionBench.at(.idle)
        for event in [ConnectionBench.Event.assign, .sentAll, .answer408, .peerClosed] { reused.run(event) }
        #expect(reused.lastOutcome?.status == 408 && reused.lastOutcome?.lostReusedConnection == true)
        let fresh = ConnectionBench.at(.awaitingHead)
        fresh.run(.answer408)
        fresh.run(.peerClosed)
        #expect(fresh.lastOutcome?.status == 408 && fresh.lastOutcome?.lostReusedConnection == false)
    }
    @Test func whateverEndsAnAnswerItsStatusDecides() {
        for (state, isKnown) in [(EgressState.readingBody, true), (.awaitingHead, false)] {
            for event in [ConnectionBench.Event.peerClosed, .peerReset, .deadline, .abandon] {
                let bench = ConnectionBench.at(state)
                bench.run(event)
                bench.settle()
                #expect((bench.lastOutcome?.result == .answered) == isKnown, "\(event) in \(state)")
                #expect(bench.lastOutcome?.status == (isKnown ? 200 : 0), "\(event) in \(state)")
            }
        }
        let early = ConnectionBench.at(.sending)
        early.run(.answerHeadOnly)
        early.run(.abandon)
        early.settle()
        #expect(early.lastOutcome?.result == .answered && early.reportCount == 1)
    }
    @Test func namesTheDeadlineThatPassed() {
        let now = ConnectionBench.start
        let connecting = ConnectionBench.at(.connecting)
        #expect(connecting.connection.deadlinePassed(now: now + 4999) == .none)
        #expect(connecting.connection.deadlinePassed(now: now + 5000).contains(.report))
        #expect(connecting.connection.outcome.result == .connectTimedOut)
        let head = ConnectionBench.at(.awaitingHead)
        #expect(head.connection.deadline == now + 9000)
        _ = head.connection.deadlinePassed(now: now + 9000)
        #expect(head.connection.outcome.result == .headTimedOut)
        let body = ConnectionBench.at(.readingBody)
        #expect(body.connection.deadline == now + 20_000)
        _ = body.connection.deadlinePassed(now: now + 20_000)
        #expect(body.connection.outcome.result == .answered && body.connection.outcome.status == 200)
        #expect(ConnectionBench.at(.idle).connection.deadline == now + 50_000)
    }
    @Test func generationsWrapWithinTheirBits() {
        let bench = ConnectionBench(generation: Tag.generationMask - 1)
        var seen: [UInt32] = []
        for _ in 0..<3 {
            bench.run(.begin)
            seen.append(bench.connection.generation)
            bench.settle()
        }
        #expect(seen == [Tag.generationMask, 0, 1])
    }
}
