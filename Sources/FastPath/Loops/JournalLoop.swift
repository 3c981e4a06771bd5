// The journal's own thread, for gateways with several ingest loops: takes their events from bounded rings, drives the
// one journal, and sends each receipt back to the loop it belongs to.
//
// The order of a tick: completions → receipts of a finished commit → events from each ring in turn (a bounded number,
// so that no loop starves another) → receipts that need no disk → commit → sleep when nothing is there.
//
// Invariants: each event with a ticket gets exactly one receipt; a receipt ring has room for all that its loop can have
// under way; what the group being filled has no room for stays in its ring, and its loop refuses when that is full.
// Safety: views of an event are used only until its place in the ring is given back.
import CShims
import Synchronization

/// What the outside and the journal thread share.
package final class JournalControl: Sendable {
    package let wakeup: Wakeup
    private let drainWanted = Atomic<Bool>(false)
    private let stageBits = Atomic<UInt8>(IngestControl.Stage.starting.rawValue)

    package init?() {
        guard let wakeup = Wakeup() else { return nil }
        self.wakeup = wakeup
    }
    /// Ends the thread when its rings are empty and nothing is with the disk; after the ingest loops have ended.
    package func drain() {
        drainWanted.store(true, ordering: .releasing)
        wakeup.signal()
    }
    package var stage: IngestControl.Stage {
        IngestControl.Stage(rawValue: stageBits.load(ordering: .acquiring)) ?? .failed
    }
    package func setStage(_ stage: IngestControl.Stage) { stageBits.store(stage.rawValue, ordering: .releasing) }
    var isDrainWanted: Bool { drainWanted.load(ordering: .acquiring) }
}

@safe struct JournalLoop<IO: LoopIO & ~Copyable>: ~Copyable {
    private var io: IO
    private var driver: JournalDriver
    private let links: [JournalLink]
    private let shared: JournalControl
    private let wakeValue: UnsafeMutablePointer<UInt64>
    private let wakeMemory: OwnedMemory
    private static var eventsPerRingMax: Int { 1024 }
    /// The group being filled is full: nothing is taken until a commit has made room.
    private var isFull = false
    private var nextLink = 0

    init(io: consuming IO, driver: consuming JournalDriver, links: [JournalLink], shared: JournalControl) {
        self.io = io
        self.driver = driver
        self.links = links
        self.shared = shared
        let memory = OwnedMemory(byteCount: MemoryLayout<UInt64>.size)
        unsafe wakeValue = memory.room(UInt64.self, count: 1)
        wakeMemory = memory
    }

    mutating func run() {
        unsafe io.readWake(shared.wakeup.descriptor, into: wakeValue, tag: Tag(.wake))
        driver.startCommit(io, nowNanos: io.monotonicNanos())
        shared.setStage(.running)
        while !(isOver && areRingsEmpty) { tick() }
        driver.finish(io)
        shared.setStage(.finished)
    }
    /// But for what is in the rings.
    private var isOver: Bool { shared.isDrainWanted && driver.isIdle }
    private var areRingsEmpty: Bool { links.allSatisfy { $0.events.isEmpty } }

    private mutating func tick() {
        shared.wakeup.beginSleep()
        let mustNotWait = !isFull && (!areRingsEmpty || isOver) || driver.hasNews
        let longest: UInt64 = driver.owesSignal ? CommitSignal.intervalNanos : 1_000_000_000
        let count = io.enter(waitNanos: mustNotWait ? 0 : longest)
        shared.wakeup.endSleep()
        for index in 0..<count {
            let completion = io.completion(index)
            switch completion.tag.kind {
            case .wake: unsafe io.readWake(shared.wakeup.descriptor, into: wakeValue, tag: Tag(.wake))
            case .journalWrite, .journalSync, .segmentRename, .folderSync:
                driver.completed(completion, io)
            default: break
            }
        }
        deliverReceipts()
        driver.setClock(wallNanos: io.wallNanos())
        isFull = false
        // Whose events found no room is the first to find some.
        let first = nextLink
        for step in 0..<links.count where !isFull {
            nextLink = (first + step) % links.count
            takeEvents(links[nextLink])
        }
        driver.startCommit(io, nowNanos: io.monotonicNanos())
        deliverReceipts()
        for link in links where !link.receipts.isEmpty { link.loopWakeup.signal() }
    }
    private mutating func takeEvents(_ link: JournalLink) {
        var left = JournalLoop.eventsPerRingMax
        while left > 0, let front = link.events.front() {
            left -= 1
            switch driver.offer(front.event, ticket: front.ticket, durability: front.durability) {
            // Nothing of it is on disk: no sequence may be told.
            case .appended:
                if front.durability == .memory { deliver(front.ticket, 0, .kept, driver.batchNewCount) }
            case .pending: if front.durability == .memory { deliver(front.ticket, 0, .duplicate) }
            case .duplicate(let sequence): deliver(front.ticket, sequence, .duplicate)
            case .refused(.groupFull):
                isFull = true
                return
            case .refused(let reason): deliver(front.ticket, 0, ReceiptFate(reason))
            }
            link.events.dropFront(front)
        }
    }
    private mutating func deliverReceipts() {
        while let receipt = driver.nextReceipt() {
            deliver(receipt.ticket, receipt.sequence, receipt.fate, receipt.newCount)
        }
    }
    private func deliver(_ ticket: UInt64, _ sequence: UInt64, _ fate: ReceiptFate, _ newCount: UInt32 = 0) {
        let loop = Int(ticket >> 56) - 1
        precondition(loop >= 0 && loop < links.count)
        let isTaken = links[loop].receipts.push(
            Receipt(ticket: ticket, sequence: sequence, fate: fate, newCount: newCount))
        precondition(isTaken, "a receipt ring is smaller than its loop's connections")
    }
}
