// The passive ingest connection: each transition by itself, then every event in every state by a random walk beside a
// model of what is in flight.

import FastPath
import TestSupport
import Testing

private let limits = IngestLimits()
private let start: UInt64 = 1_000_000

/// `#expect` cannot hold a call that changes its value.
private func check<T: Equatable>(
    _ value: T, _ expected: T, _ comment: Comment? = nil, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, comment, sourceLocation: sourceLocation)
}

/// A connection brought into a state.
private func connection(_ steps: (inout IngestConnection) -> Void...) -> IngestConnection {
    var connection = IngestConnection(generation: 5)
    for step in steps { step(&connection) }
    return connection
}
private func open(_ connection: inout IngestConnection) {
    check(connection.begin(descriptor: 9, now: start, limits), true)
    check(connection.armReceive(), true)
}
private func head(_ connection: inout IngestConnection) { connection.headBegan(now: start, limits) }
private func body(_ connection: inout IngestConnection) {
    connection.headCompleted(closes: false, now: start, limits)
}
private func lastBody(_ connection: inout IngestConnection) {
    connection.headCompleted(closes: true, now: start, limits)
}
private func batch(_ connection: inout IngestConnection) { connection.joinedBatch(now: start, limits) }
private func settled(_ connection: inout IngestConnection) { check(connection.leftBatch(), .none) }
private func worker(_ connection: inout IngestConnection) { connection.handedToWorker() }
private func reply(_ connection: inout IngestConnection) {
    check(connection.replyWritten(100, now: start, limits), .send)
}
private func peerDone(_ connection: inout IngestConnection) {
    check(connection.receiveEnded(0, hasInput: true), .none)
}
private func closing(_ connection: inout IngestConnection) { check(connection.close(), .cancel) }

struct IngestConnectionTests {
    // MARK: the way of a request

    @Test func takesARequestFromAcceptToAnswer() {
        var it = connection(open)
        #expect(it.state == .open && it.phase == .idle && it.intake == .request)
        #expect(it.deadline == start + UInt64(limits.headMillisMax))
        head(&it)
        #expect(it.phase == .head && it.intake == .request)
        body(&it)
        #expect(it.phase == .body && it.intake == .request)
        #expect(it.deadline == start + UInt64(limits.bodyMillisMax))
        batch(&it)
        #expect(it.phase == .committing && it.intake == .waitForBatch && it.awaitsReceipt)
        #expect(it.deadline == start + UInt64(limits.commitMillisMax))
        settled(&it)
        #expect(it.intake == .wait)
        reply(&it)
        #expect(it.phase == .answering && !it.awaitsReceipt)
        check(it.sendCompleted(60), .send)
        #expect(it.outputSent == 60 && it.outputCount == 100)
        check(it.sendCompleted(40), .answered)
        check(it.nextRequest(hasInput: false, isDraining: false, now: start, limits), .none)
        #expect(it.phase == .idle && it.deadline == start + UInt64(limits.idleMillisMax))
    }
    @Test func goesOnWithWhatIsPipelined() {
        var it = connection(open, body, reply)
        check(it.sendCompleted(100), .answered)
        check(it.nextRequest(hasInput: true, isDraining: false, now: start, limits), .ready)
        #expect(it.phase == .idle)
    }
    @Test func anInterimAnswerGoesOnceAndInFrontOfTheAnswer() {
        var it = connection(open, body)
        #expect(it.mayContinue)
        check(it.interimWritten(25), .send)
        #expect(!it.mayContinue)
        check(it.interimWritten(25), .none)
        // Behind what is on its way: no second send.
        check(it.replyWritten(100, now: start, limits), .none)
        #expect(it.outputCount == 125)
        check(it.sendCompleted(25), .send)
        check(it.sendCompleted(100), .answered)
    }
    @Test func anInterimAnswerAloneIsNoAnswer() {
        var it = connection(open, body)
        check(it.interimWritten(25), .send)
        check(it.sendCompleted(25), .none)
        #expect(it.phase == .body && it.outputCount == 0)
    }
    @Test func aWorkersVerdictLeadsToTheBatch() {
        var it = connection(open, body, worker)
        #expect(it.phase == .verifying && it.intake == .wait && it.deadline == IngestConnection.noDeadline)
        check(it.leftWorker(), .none)
        batch(&it)
        #expect(it.phase == .committing)
    }
    @Test func afterAReloadAVerdictLeadsBackToTheBody() {
        var it = connection(open, body, worker)
        check(it.leftWorker(), .none)
        it.judgedAnew()
        #expect(it.phase == .body)
        worker(&it)
        #expect(it.phase == .verifying)
    }

    // MARK: the peer

    @Test func theReceiveIsArmedAgainWhenItEndedForNoFaultOfThePeer() {
        for error in [Int32(-105), -125] {
            var it = connection(open)
            check(it.receiveEnded(error, hasInput: false), .receive)
            check(it.armReceive(), true)
            check(it.armReceive(), false)
        }
    }
    @Test func aHalfClosedPeerStillGetsItsAnswer() {
        var it = connection(open, body, batch, settled)
        check(it.receiveEnded(0, hasInput: false), .none)
        #expect(it.isPeerDone && it.state == .open)
        reply(&it)
        check(it.sendCompleted(100), .answered)
        let ends = IngestActions.dropInput.union(.free)
        check(it.nextRequest(hasInput: false, isDraining: false, now: start, limits), ends)
    }
    @Test func aPeerThatClosesWithinARequestEndsTheConnection() {
        for steps in [[head], [body], [head, body]] {
            var it = connection(open)
            for step in steps { step(&it) }
            check(it.receiveEnded(0, hasInput: true), IngestActions.dropInput.union(.free))
            #expect(it.state == .closing)
        }
    }
    @Test func aBrokenConnectionEndsAtOnce() {
        var it = connection(open, body, reply)
        check(it.receiveEnded(-104, hasInput: false), .cancel)
        #expect(it.state == .closing)
        check(it.sendCompleted(-125), IngestActions.dropInput.union(.free))
    }
    @Test func aFailedSendEndsTheConnection() {
        var it = connection(open, body, reply)
        check(it.sendCompleted(-32), .cancel)
        check(it.receiveEnded(-125, hasInput: false), IngestActions.dropInput.union(.free))
    }
    @Test func aPeerThatSaysItIsDoneStillGetsItsAnswer() {
        var it = connection(open, body, batch)
        check(it.peerFinished(hasInput: false), .none)
        settled(&it)
        reply(&it)
        check(it.sendCompleted(100), .answered)
        check(it.nextRequest(hasInput: false, isDraining: false, now: start, limits), .cancel)
        var within = connection(open, head)
        check(within.peerFinished(hasInput: true), .cancel)
    }
    @Test func aBrokenTransportSaysSoAndEnds() {
        var silent = connection(open)
        check(silent.transportFailed(now: start, limits), .cancel)
        var it = connection(open)
        check(it.outputWritten(7), .send)
        check(it.transportFailed(now: start, limits), .none)
        check(it.intake, .wait)
        check(it.sendCompleted(7), .answered)
        _ = it.nextRequest(hasInput: false, isDraining: false, now: start, limits)
        check(it.state, .lingering)
    }
    @Test func aTransportsOwnOutputIsNoAnswer() {
        var it = connection(open)
        check(it.outputWritten(900), .send)
        check(it.outputWritten(100), .none)
        check(it.sendCompleted(900), .send)
        check(it.sendCompleted(100), .none)
        check(it.phase, .idle)
        body(&it)
        check(it.outputWritten(30), .send)
        check(it.replyWritten(100, now: start, limits), .none)
        check(it.sendCompleted(30), .send)
        check(it.sendCompleted(100), .answered)
    }
    @Test func tooMuchBehindARequestStopsTheReceiveUntilItIsAnswered() {
        var it = connection(open, body)
        check(it.tooMuchWaits(), .none, "only behind a request that is being answered")
        batch(&it)
        check(it.tooMuchWaits(), .pause)
        check(it.tooMuchWaits(), .none)
        settled(&it)
        check(it.receiveEnded(-125, hasInput: true), .none)
        check(it.armReceive(), false)
        reply(&it)
        check(it.sendCompleted(100), .answered)
        let goesOn = IngestActions.receive.union(.ready)
        check(it.nextRequest(hasInput: true, isDraining: false, now: start, limits), goesOn)
        check(it.armReceive(), true)
    }
    @Test func aPauseThatEndedBeforeItsCancelArrivedIsNoPause() {
        var it = connection(open, body, batch)
        check(it.tooMuchWaits(), .pause)
        settled(&it)
        reply(&it)
        check(it.sendCompleted(100), .answered)
        check(it.nextRequest(hasInput: false, isDraining: false, now: start, limits), .none)
        check(it.receiveEnded(-125, hasInput: false), .receive)
    }

    // MARK: the end

    @Test func lingersAfterALastAnswerWhileThePeerMaySend() {
        var it = connection(open, body)
        it.closeAfterReply(lingers: true)
        reply(&it)
        check(it.sendCompleted(100), .answered)
        let ends = it.nextRequest(hasInput: true, isDraining: false, now: start, limits)
        #expect(ends == IngestActions.dropInput.union(.halfClose))
        #expect(it.state == .lingering && it.intake == .drop)
        #expect(it.deadline == start + UInt64(limits.lingerMillisMax))
        check(it.received(hasMore: false), .receive)
        check(it.armReceive(), true)
        check(it.receiveEnded(0, hasInput: false), IngestActions.dropInput.union(.free))
    }
    @Test func aLastRequestEndsTheConnection() {
        var it = connection(open, lastBody, reply)
        #expect(it.closesAfterReply)
        check(it.sendCompleted(100), .answered)
        _ = it.nextRequest(hasInput: false, isDraining: false, now: start, limits)
        #expect(it.state == .lingering)
    }
    @Test func closesOnlyWhenNothingIsInFlight() {
        var it = connection(open, body, batch)
        check(it.close(), .cancel)
        check(it.receiveEnded(-125, hasInput: false), .none, "the batch still views the request")
        check(it.leftBatch(), IngestActions.dropInput.union(.free))
        it.freed()
        #expect(it.state == .free && it.generation == 6)

        var other = connection(open, body, worker)
        check(other.receiveEnded(-104, hasInput: false), .none, "a worker still reads the request")
        check(other.leftWorker(), IngestActions.dropInput.union(.free))
    }
    @Test func aSendThatWasNotSubmittedIsTakenBack() {
        var it = connection(open, body, reply)
        check(it.sendWithdrawn(), .none, "only of a connection that closes")
        closing(&it)
        check(it.sendWithdrawn(), .none)
        check(it.receiveEnded(-125, hasInput: false), IngestActions.dropInput.union(.free))
    }
    @Test func aDrainLetsGoOfWhoWaitsForNothing() {
        var idle = connection(open)
        check(idle.drain(), .cancel)
        for steps in [[head], [body], [body, batch], [body, reply]] {
            var it = connection(open)
            for step in steps { step(&it) }
            check(it.drain(), .none)
            #expect(it.state == .open)
        }
        var answered = connection(open, body, peerlessReply)
        check(answered.sendCompleted(100), .answered)
        _ = answered.nextRequest(hasInput: false, isDraining: true, now: start, limits)
        #expect(answered.state == .lingering)
    }
    private func peerlessReply(_ connection: inout IngestConnection) { reply(&connection) }

    @Test func eachPhaseHasItsTimeOut() {
        let late = start + 10_000_000
        var idle = connection(open)
        check(idle.deadlinePassed(now: start, isUnready: false), .none)
        check(idle.deadlinePassed(now: late, isUnready: false), .end(.cancel))
        for steps in [[head], [body]] {
            var it = connection(open)
            for step in steps { step(&it) }
            check(it.deadlinePassed(now: late, isUnready: false), .refuseRequest)
        }
        var preamble = connection(open, { $0.preambleBegan() })
        #expect(preamble.deadline == start + UInt64(limits.headMillisMax), "the accept's")
        check(preamble.deadlinePassed(now: late, isUnready: true), .end(.cancel))
        var committing = connection(open, body, batch, settled)
        check(committing.deadlinePassed(now: late, isUnready: false), .refuseCommit)
        check(committing.replyWritten(100, now: late, limits), .send)
        #expect(!committing.awaitsReceipt, "the receipt that comes late is nobody's")
        var verifying = connection(open, body, worker)
        check(verifying.deadlinePassed(now: late, isUnready: false), .none)
        var answering = connection(open, body, reply)
        check(answering.deadlinePassed(now: late, isUnready: false), .end(.cancel))
        var ended = connection(open, closing)
        check(ended.deadlinePassed(now: late, isUnready: false), .none)
    }
    @Test func nothingChangesAFreeConnection() {
        var it = IngestConnection(generation: 5)
        check(it.received(hasMore: true), .none)
        check(it.receiveEnded(0, hasInput: false), .none)
        check(it.sendCompleted(10), .none)
        check(it.close(), .none)
        check(it.drain(), .none)
        check(it.replyWritten(10, now: start, limits), .none)
        check(it.armReceive(), false)
        #expect(it.intake == .drop && it.state == .free && it.generation == 5)
    }
    @Test func generationsWrap() {
        var it = IngestConnection(generation: Tag.generationMask)
        check(it.begin(descriptor: 1, now: start, limits), true)
        check(it.close(), IngestActions.dropInput.union(.free))
        it.freed()
        #expect(it.generation == 0)
    }
}

// MARK: every event in every state

private enum Event: CaseIterable {
    case bytes, lastBytes, peerDone, broken, noBuffers, headBegan, headCompleted, interim, reply, joined, leftBatch
    case handedOver, verdict, judgedAnew, sentAll, sentPart, sendFailed, tooMuch, deadline, drain, close, arm
}

/// A connection and what its loop would have in flight for it.
private struct Model {
    var connection = IngestConnection(generation: 1)
    var receives = 0
    var sends = 0
    var isAnswered = false
    var freeCount = 0

    mutating func apply(_ actions: IngestActions) {
        if actions.contains(.answered) {
            #expect(connection.phase == .answering && sends == 0)
            return apply(connection.nextRequest(hasInput: false, isDraining: false, now: start, limits))
        }
        if actions.contains(.send) {
            #expect(sends == 0)
            #expect(connection.outputCount > connection.outputSent)
            sends = 1
        }
        if actions.contains(.free) {
            #expect(receives == 0 && sends == 0 && !connection.isInBatch && !connection.isWithWorker)
            connection.freed()
            freeCount += 1
        }
    }
    /// False where the loop could not bring this event about.
    mutating func run(_ event: Event, _ random: inout SeededRandom) -> Bool {
        let isOpen = connection.state == .open
        switch event {
        case .arm:
            guard connection.armReceive() else { return false }
            receives += 1
        case .bytes, .lastBytes, .peerDone, .broken, .noBuffers:
            guard receives > 0 else { return false }
            receive(event)
        case .headBegan: connection.headBegan(now: start, limits)
        case .headCompleted: connection.headCompleted(closes: random.next() % 4 == 0, now: start, limits)
        case .interim: apply(connection.interimWritten(25))
        case .reply:
            guard isOpen, !connection.isWithWorker, connection.phase != .idle || random.next() % 8 == 0
            else { return false }
            apply(connection.replyWritten(100, now: start, limits))
        case .joined:
            guard isOpen, !connection.isInBatch, !connection.isWithWorker, connection.phase == .body
            else { return false }
            connection.joinedBatch(now: start, limits)
        case .leftBatch:
            guard connection.isInBatch else { return false }
            apply(connection.leftBatch())
        case .handedOver:
            guard isOpen, connection.phase == .body, !connection.isWithWorker else { return false }
            connection.handedToWorker()
        case .verdict:
            guard connection.isWithWorker else { return false }
            apply(connection.leftWorker())
            if connection.state == .open { apply(connection.replyWritten(100, now: start, limits)) }
        case .judgedAnew: if !connection.isWithWorker { connection.judgedAnew() }
        case .sentAll, .sentPart, .sendFailed:
            guard sends > 0 else { return false }
            sends = 0
            let left = connection.outputCount - connection.outputSent
            apply(connection.sendCompleted(event == .sendFailed ? -32 : Int32(event == .sentAll ? left : left - 1)))
        case .tooMuch: apply(connection.tooMuchWaits())
        case .deadline:
            if case .end(let actions) = connection.deadlinePassed(now: .max - 1, isUnready: false) { apply(actions) }
        case .drain: apply(connection.drain())
        case .close: apply(connection.close())
        }
        return true
    }
    private mutating func receive(_ event: Event) {
        if event == .bytes { return apply(connection.received(hasMore: true)) }
        receives -= 1
        switch event {
        case .lastBytes: apply(connection.received(hasMore: false))
        case .peerDone: apply(connection.receiveEnded(0, hasInput: false))
        case .broken: apply(connection.receiveEnded(-104, hasInput: true))
        default: apply(connection.receiveEnded(-105, hasInput: true))
        }
    }
}

@Test func noEventInAnyStateLeavesSomethingInFlightBehind() {
    var random = SeededRandom(20261128)
    var seen: Set<String> = []
    var model = Model()
    for _ in 0..<200_000 {
        if model.connection.state == .free {
            #expect(model.receives == 0 && model.sends == 0)
            check(model.connection.begin(descriptor: 3, now: start, limits), true)
        }
        let event = Event.allCases[Int(random.next() % UInt64(Event.allCases.count))]
        let place = "\(model.connection.state) \(model.connection.phase) \(event)"
        if model.run(event, &random) { seen.insert(place) }
    }
    #expect(model.freeCount > 1000)
    for phase in RequestPhase.allCases {
        for event in [Event.bytes, .peerDone, .broken, .deadline, .drain, .close, .tooMuch] {
            #expect(seen.contains("open \(phase) \(event)"), "open \(phase) \(event)")
        }
    }
    for event in [Event.bytes, .lastBytes, .peerDone, .broken, .deadline, .close, .arm] {
        #expect(seen.contains { $0.hasPrefix("lingering") && $0.hasSuffix("\(event)") }, "lingering \(event)")
    }
    for event in [Event.bytes, .broken, .leftBatch, .verdict, .sentAll, .sendFailed, .close] {
        #expect(seen.contains { $0.hasPrefix("closing") && $0.hasSuffix("\(event)") }, "closing \(event)")
    }
}
