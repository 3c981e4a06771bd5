// How an ingest loop reaches the log: its own ring when it is alone, the journal thread's when there are several loops.
// docs/why/journal-driver.md has the measurement behind the choice.
//
// Invariants: exactly one of `driver` and `link` is there, `injections` only beside `driver`. Each offered event with a
// ticket gets exactly one receipt.
// Safety: `wakeValue` is the kernel's while the wake-up read is armed; it lives as long as the port.
import CShims

/// The rings between one ingest loop and the journal thread.
package final class JournalLink: Sendable {
    package let events: EventRing
    let receipts: SPSCRing<Receipt>
    /// Wakes the journal thread; the loop's own is in its `IngestControl`.
    package let journalWakeup: Wakeup
    package let loopWakeup: Wakeup
    /// What a commit group takes of one event.
    let eventBytesMax: Int

    /// `receiptCount` is at least the loop's connections: each has one event under way.
    package init(
        eventBytes: Int, eventBytesMax: Int, receiptCount: Int, journalWakeup: Wakeup, loopWakeup: Wakeup
    ) throws(OutOfMemory) {
        events = try EventRing(byteCount: eventBytes)
        receipts = SPSCRing(capacity: receiptCount)
        self.eventBytesMax = eventBytesMax
        self.journalWakeup = journalWakeup
        self.loopWakeup = loopWakeup
    }
}

@safe package struct JournalClient: ~Copyable {
    private var driver: JournalDriver?
    private let link: JournalLink?
    /// Events that workers offer, taken in before each commit; the journal thread has these among its links.
    private let injections: [JournalLink]
    let logIdentity: UInt64
    private let loopIndex: UInt64
    private let wakeup: Wakeup
    private let wakeValue: UnsafeMutablePointer<UInt64>
    private var offeredCount: UInt64 = 0
    private var answeredCount: UInt64 = 0

    /// Leads the tickets of the injection at this place: no kind of tag has such a number.
    static func injectionMark(_ place: Int) -> UInt64 { 255 - UInt64(place) }
    private static var injectionCountMax: Int { 8 }
    private static let injectedPerTickMax = 256

    /// The loop drives the journal itself.
    package init(driver: consuming JournalDriver, wakeup: Wakeup, injections: [JournalLink] = []) {
        precondition(injections.count <= JournalClient.injectionCountMax)
        logIdentity = driver.logIdentity
        self.injections = injections
        self.driver = consume driver
        link = nil
        loopIndex = 0
        self.wakeup = wakeup
        unsafe wakeValue = .allocate(capacity: 1)
    }
    /// The journal has a thread of its own. `loopIndex` is below 255.
    package init(link: JournalLink, loopIndex: Int, logIdentity: UInt64) {
        precondition(loopIndex < 255)
        self.logIdentity = logIdentity
        driver = nil
        injections = []
        self.link = link
        self.loopIndex = UInt64(loopIndex)
        wakeup = link.loopWakeup
        unsafe wakeValue = .allocate(capacity: 1)
    }
    deinit { unsafe wakeValue.deallocate() }

    /// The loop's ring, or one beside it, has the log's writes.
    var drivesLog: Bool { link == nil }

    @inline(__always) mutating func setClock(wallNanos: UInt64) {
        if driver != nil { driver!.setClock(wallNanos: wallNanos) }
    }
    /// Nothing where the journal has a thread of its own.
    @inline(__always) func expect(tenant: ByteView, source: ByteView, key: ByteView) {
        switch driver {
        case .some(let driver): driver.expect(tenant: tenant, source: source, key: key)
        case .none: break
        }
    }
    /// Without `takesNew` only what the log has, or knows to be on its way, is said; anything else is refused.
    @inline(__always) mutating func offer(
        _ event: EventInput, ticket: UInt64, durability: DurabilityLevel, takesNew: Bool = true
    ) -> OfferOutcome {
        if driver != nil {
            return driver!.offer(event, ticket: ticket, durability: durability, takesNew: takesNew)
        }
        // What it has is the journal thread's to know.
        guard takesNew else { return .refused(.groupFull) }
        return offerByRing(event, ticket: ticket, durability: durability)
    }
    /// More than half of what the next commit takes is taken.
    @inline(__always) var isPressed: Bool {
        switch driver {
        case .some(let driver): driver.isPressed
        case .none: link!.events.isPressed
        }
    }
    var room: AdmissionShares.Room {
        switch driver {
        case .some(let driver): driver.room
        case .none:
            AdmissionShares.Room(used: link!.events.usedByteCount, capacity: link!.events.byteCount, group: 0)
        }
    }
    private mutating func offerByRing(
        _ event: EventInput, ticket: UInt64, durability: DurabilityLevel
    ) -> OfferOutcome {
        // What no group takes is refused here, where the answer can still say so.
        guard let bytes = event.groupByteCount, bytes <= link!.eventBytesMax else {
            return .refused(.tooLarge)
        }
        // Tickets of connections that have closed meanwhile still get a receipt: all that are out must have room.
        guard offeredCount &- answeredCount < UInt64(link!.receipts.capacity) else { return .refused(.groupFull) }
        // The kind's byte carries the loop, so that the journal thread knows where the receipt belongs.
        let marked = ticket & (1 << 56 - 1) | (loopIndex + 1) << 56
        guard link!.events.push(event, ticket: marked, durability: durability) else { return .refused(.groupFull) }
        offeredCount &+= 1
        // Every durability gets its receipt by ring; the sequence is not known yet.
        return .pending(sequence: 0)
    }
    /// Of the last request that was offered and holds several events: how many are new, where that is known at once.
    @inline(__always) var batchNewCount: UInt32 {
        switch driver {
        case .some(let driver): driver.batchNewCount
        case .none: 0
        }
    }
    /// True when a verdict `pending` or `appended` of a source with durability `memory` may be answered at once.
    @inline(__always) var answersMemoryAtOnce: Bool { link == nil }

    mutating func startCommit<IO: LoopIO & ~Copyable>(_ io: borrowing IO, nowNanos: UInt64) {
        guard driver != nil else { return link!.journalWakeup.signal() }
        if hasInjected { takeInjected() }
        driver!.startCommit(io, nowNanos: nowNanos)
    }
    @inline(__always) private var hasInjected: Bool {
        for place in 0..<injections.count where !injections[place].events.isEmpty { return true }
        return false
    }
    private mutating func takeInjected() {
        for place in 0..<injections.count { takeInjected(from: injections[place]) }
    }
    private mutating func takeInjected(from link: JournalLink) {
        var left = JournalClient.injectedPerTickMax
        while left > 0, let front = link.events.front() {
            left -= 1
            switch driver!.offer(front.event, ticket: front.ticket, durability: .fsync) {
            case .appended, .pending: break
            case .duplicate(let sequence):
                deliver(Receipt(ticket: front.ticket, sequence: sequence, fate: .duplicate), to: link)
            case .refused(let reason):
                deliver(Receipt(ticket: front.ticket, sequence: 0, fate: ReceiptFate(reason)), to: link)
            }
            link.events.dropFront(front)
        }
    }
    private func deliver(_ receipt: Receipt, to link: JournalLink) {
        let isTaken = link.receipts.push(receipt)
        precondition(isTaken, "an injection has more out than its receipts take")
        link.loopWakeup.signal()
    }
    /// Nil for what a connection of the loop's own offered.
    @inline(__always) private func injection(of ticket: UInt64) -> JournalLink? {
        let place = Int(255 - ticket >> 56)
        return place < injections.count ? injections[place] : nil
    }
    mutating func completed<IO: LoopIO & ~Copyable>(_ completion: Completion, _ io: borrowing IO) {
        driver!.completed(completion, io)
    }
    @inline(__always) mutating func nextReceipt() -> Receipt? {
        if driver != nil {
            while let receipt = driver!.nextReceipt() {
                guard let link = injection(of: receipt.ticket) else { return receipt }
                deliver(receipt, to: link)
            }
            return nil
        }
        guard let receipt = link!.receipts.pop() else { return nil }
        answeredCount &+= 1
        return receipt
    }
    /// True exactly when nothing offered waits for its fate.
    var isIdle: Bool { isDriverIdle && offeredCount == answeredCount && !hasInjected }

    private var isDriverIdle: Bool {
        switch driver {
        case .some(let driver): driver.isIdle
        case .none: true
        }
    }

    // MARK: sleeping

    /// Nanoseconds the loop may sleep at most: a commit that was not told to its reader yet must be, soon.
    @inline(__always) func sleepNanos(_ wanted: UInt64) -> UInt64 {
        switch driver {
        case .some(let driver): driver.owesSignal ? min(wanted, CommitSignal.intervalNanos) : wanted
        case .none: wanted
        }
    }

    func armWake<IO: LoopIO & ~Copyable>(_ io: borrowing IO) {
        unsafe io.readWake(wakeup.descriptor, into: wakeValue, tag: Tag(.wake))
    }
    func woken<IO: LoopIO & ~Copyable>(_ io: borrowing IO) { armWake(io) }
    @inline(__always) private var hasNewSegment: Bool {
        switch driver {
        case .some(let driver): driver.hasNews
        case .none: false
        }
    }
    /// Between the two the loop may sleep; true when it must not because receipts or a new segment are there.
    @inline(__always) func beginSleep() -> Bool {
        wakeup.beginSleep()
        if let link { return !link.receipts.isEmpty }
        return hasInjected || hasNewSegment
    }
    @inline(__always) func endSleep() { wakeup.endSleep() }
    /// The loop ends: nothing is with the disk.
    mutating func finish<IO: LoopIO & ~Copyable>(_ io: borrowing IO) { if driver != nil { driver!.finish(io) } }
}
