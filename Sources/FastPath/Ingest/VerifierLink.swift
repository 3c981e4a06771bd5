// The rings between one ingest loop and the workers that verify what is too slow for it: orders out, verdicts back.
// The loop's ends take no lock; the workers share the other ends under one each.
//
// With a verdict may come a reading of the request (`EventReading.swift`), which the loop gives back by a third ring.
//
// Invariants: each order that was taken gets exactly one verdict; at most `capacity` orders are out, so a verdict
// always has room. An order's views lie in a block of the loop's that stays put until the verdict is back.
// Safety: views are read in `next` alone, before the verdict is given; the loop ends only when no order is out.
import Synchronization

/// What a worker says of a request.
package enum VerifierResult: Equatable, Sendable, BitwiseCopyable {
    case accepted
    case rejected(SignatureRejection)
    /// What it takes to decide cannot be had now: the sender is asked to try again.
    case undecided
    /// The verifier's configuration is no longer in force: the loop evaluates the request again.
    case retired
}

/// Wakes the workers that sleep.
package final class VerifierBell: Sendable {
    private let wakeups: [Wakeup]
    package init(_ wakeups: [Wakeup]) { self.wakeups = wakeups }
    package func ring() { for wakeup in wakeups { wakeup.signal() } }
}

struct VerifierOrder: BitwiseCopyable {
    var ticket: UInt64
    var verifierID: UInt32
    var nowSeconds: UInt64
    var head: ByteView
    var body: ByteView
    var origin: ByteView
    /// Of a publication: who sent it, where that is known.
    var client: IPAddress?
    /// Of one that a worker sees again: the record that the log had before. 0 the first time.
    var duplicateOf: UInt64 = 0
}

struct VerifierReceipt: BitwiseCopyable {
    var ticket: UInt64
    var answer: VerifierResult
    var reading: PassedReading?
}

/// One request as a worker gets it; owns its bytes.
package struct OffloadedRequest: ~Copyable {
    let ticket: UInt64
    package let verifierID: UInt32
    /// The clock that signature windows are measured by, as the loop read it when the request was complete.
    package let nowSeconds: UInt64
    /// Scheme and authority as the sender used them; nil when unknown.
    package let origin: String?
    package let request: CapturedRequest
    /// Of a publication: who sent it, where that is known.
    package let client: IPAddress?
    /// Of a publication that the log knows already: the sequence of the first. Nil the first time.
    package let duplicateOf: UInt64?
}

@safe package final class VerifierLink: @unchecked Sendable {
    private let orders: SPSCRing<VerifierOrder>
    private let receipts: SPSCRing<VerifierReceipt>
    private let spent: SPSCRing<PassedReading>
    private let taking = Mutex<Void>(())
    private let answering = Mutex<Void>(())
    private let bell: VerifierBell
    private let loopWakeup: Wakeup
    package var capacity: Int { orders.capacity }

    /// `capacity`: how many requests may be with the workers at once; `connectionCountMax`: of the loop, each of which
    /// may have a reading to give back.
    package init(capacity: Int, connectionCountMax: Int = 0, bell: VerifierBell, loopWakeup: Wakeup) {
        orders = SPSCRing(capacity: capacity)
        receipts = SPSCRing(capacity: capacity)
        spent = SPSCRing(capacity: max(2 * capacity, connectionCountMax))
        self.bell = bell
        self.loopWakeup = loopWakeup
    }
    deinit {
        while let receipt = receipts.pop() { receipt.reading?.free() }
        freeSpent()
    }

    // MARK: the loop

    @inline(__always) func push(_ order: VerifierOrder) -> Bool { orders.push(order) }
    @inline(__always) func nextReceipt() -> VerifierReceipt? { receipts.pop() }
    @inline(__always) var hasReceipts: Bool { !receipts.isEmpty }
    func wakeWorkers() { bell.ring() }
    /// A worker frees it, before it takes its next order.
    func giveBack(_ reading: PassedReading) {
        // Each connection has one at most, and all are freed before the next order is taken: there is room.
        if !spent.push(reading) { reading.free() }
    }

    // MARK: workers, any number of them

    package var hasOrders: Bool { !orders.isEmpty }

    /// The oldest request that no worker has; nil when there is none. It must be answered.
    package func next() -> OffloadedRequest? {
        while let order = isPlanted(.lockLeftOut) ? takeOrder() : taking.withLock({ _ in takeOrder() }) {
            do throws(CaptureError) {
                let request = try CapturedRequest(head: order.head.array, body: order.body.array)
                return OffloadedRequest(
                    ticket: order.ticket, verifierID: order.verifierID, nowSeconds: order.nowSeconds,
                    origin: order.origin.count > 0 ? order.origin.text : nil, request: request,
                    client: order.client, duplicateOf: order.duplicateOf > 0 ? order.duplicateOf : nil)
            } catch {
                // The loop has parsed it; whatever does not parse here is not genuine.
                answer(ticket: order.ticket, .rejected(.malformedHeader))
            }
        }
        return nil
    }
    private func takeOrder() -> VerifierOrder? {
        freeSpent()
        return orders.pop()
    }
    private func freeSpent() { while let reading = spent.pop() { reading.free() } }
    /// `reading`: nil where the loop reads the request itself.
    package func answer(
        _ request: borrowing OffloadedRequest, _ answer: VerifierResult, reading: EventReading? = nil
    ) {
        self.answer(ticket: request.ticket, answer, reading.map { PassedReading($0) })
    }
    /// `explanation`: what is answered, with its body, where the source does not keep it all the same.
    package func refuse(
        _ request: borrowing OffloadedRequest, _ reason: SignatureRejection, explanation: PublicationAnswer
    ) {
        answer(ticket: request.ticket, .rejected(reason), PassedReading(Publication.answered(explanation)))
    }
    /// The loop is woken by `wakeLoop`: thousands come in a second, and one wake-up is enough for many.
    package func answer(_ request: borrowing OffloadedRequest, _ publication: Publication) {
        put(VerifierReceipt(ticket: request.ticket, answer: .accepted, reading: PassedReading(publication)))
    }
    package func wakeLoop() { loopWakeup.signal() }

    private func answer(ticket: UInt64, _ answer: VerifierResult, _ reading: PassedReading? = nil) {
        put(VerifierReceipt(ticket: ticket, answer: answer, reading: reading))
        wakeLoop()
    }
    private func put(_ receipt: VerifierReceipt) {
        let isTaken = answering.withLock { _ in receipts.push(receipt) }
        precondition(isTaken, "more orders are out than verdicts have room")
    }
}
