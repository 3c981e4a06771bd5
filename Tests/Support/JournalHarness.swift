// A journal on a simulated disk, and the ledger of what it promised: what a driver does, one step at a time.

import FastPath

package struct Promise: Equatable {
    package var sequence: UInt64
    package var key: String

    package init(sequence: UInt64, key: String) {
        self.sequence = sequence
        self.key = key
    }
}

/// A class, because `#expect` copies what it is given and a journal cannot be copied.
package final class JournalHarness {
    package static let segmentBytes = 64 << 10
    package static let groupBytes = 16 << 10
    package static let window: UInt32 = 3600
    package static let start: UInt64 = 1_700_000_000

    package var disk: SimulatedDisk
    package var journal: Journal
    package var now: UInt64 = 0
    /// Wall clock in seconds.
    package var wall = JournalHarness.start
    /// Events answered with 2xx, by ticket.
    package var kept: [Promise] = []
    package var duplicates: [Promise] = []
    package var failed: [Promise] = []
    package var offered: Set<String> = []
    package var sparesFail = false
    private var tickets: [UInt64: String] = [:]
    private var nextTicket: UInt64 = 1

    package init(
        identity: LogIdentity, seed: UInt64 = 1, segmentBytes: Int = JournalHarness.segmentBytes, ticketCount: Int = 64,
        nextSequence: UInt64 = 1
    ) {
        disk = SimulatedDisk(seed: seed)
        var configuration = JournalConfiguration(
            segmentBytes: segmentBytes, groupBytes: min(JournalHarness.groupBytes, segmentBytes - 4096),
            groupTicketCountMax: ticketCount, logIdentity: identity.identity, keys: identity.keys)
        configuration.spareRetryNanos = 10
        journal = Journal(
            configuration: configuration, dedup: DedupTable(entryCount: 4096)!, current: nil,
            nextSequence: nextSequence)!
        replenish()
    }

    package func replenish() {
        now += 100
        while journal.takeSpareRequest(now: now) {
            if sparesFail {
                if journal.sparePreparationFailed(now: now) { drain() }
                return
            }
            journal.spareBecameReady(disk.makeSpare(byteCount: JournalHarness.segmentBytes))
        }
        while let retired = journal.nextRetired() { precondition(disk.files[retired.file] != nil) }
    }

    @discardableResult
    package func offer(
        _ key: String, bodyBytes: Int = 100, window: UInt32 = JournalHarness.window, wantsReceipt: Bool = true
    ) -> OfferOutcome {
        offered.insert(key)
        let ticket = wantsReceipt ? nextTicket : 0
        nextTicket += 1
        tickets[ticket] = key
        journal.setClock(wallNanos: wall * 1_000_000_000)
        let verdict = TestEvent.lend(key: key, bodyBytes: bodyBytes, window: window, wallSeconds: wall) {
            journal.offer($0, ticket: ticket)
        }
        if case .duplicate(let sequence) = verdict { duplicates.append(Promise(sequence: sequence, key: key)) }
        return verdict
    }

    /// One commit from its beginning to its receipts; false when there was nothing to do, the disk is gone, or it has
    /// no room.
    @discardableResult
    package func commit() -> Bool {
        guard commitWithoutReceipts() else { return false }
        drain()
        return true
    }
    /// The same up to its receipts, which the journal still has.
    package func commitWithoutReceipts() -> Bool {
        replenish()
        guard var step = journal.beginCommit() else { return false }
        while true {
            if case .refuse = step { return false }
            let result = disk.perform(step)
            if disk.hasCrashed { return false }
            switch journal.commitCompleted(placed: result.placed, written: result.written, synced: result.synced) {
            case .continueWith(let more): step = more
            case .committed, .failed: return true
            }
        }
    }
    package func drain() {
        while let receipt = journal.nextReceipt() {
            let promise = Promise(sequence: receipt.sequence, key: tickets[receipt.ticket]!)
            switch receipt.fate {
            case .kept: kept.append(promise)
            case .duplicate: duplicates.append(promise)
            default: failed.append(promise)
            }
        }
    }
}

package enum TestEvent {
    /// The body is made from the key, so that a record shows whether it holds what was offered.
    package static func body(_ key: String, _ count: Int) -> [UInt8] {
        var generator = SeededRandom(key.utf8.reduce(UInt64(7)) { $0 &* 31 &+ UInt64($1) })
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }
    package static func lend<R>(
        key: String, bodyBytes: Int = 100, window: UInt32 = 3600, wallSeconds: UInt64 = JournalHarness.start,
        source: String = "github", tenant: String = "", _ use: (EventInput) -> R
    ) -> R {
        let texts = [
            tenant, source, key, "invoice.paid", "POST", "/in/github?a=1",
            "Host: a\r\nX-Event: 1\r\n",
        ].map { Array($0.utf8) }
        let body = body(key, bodyBytes)
        return texts[0].withView { tenant in
            texts[1].withView { source in
                texts[2].withView { key in
                    texts[3].withView { type in
                        texts[4].withView { method in
                            texts[5].withView { target in
                                texts[6].withView { lines in
                                    body.withView { body in
                                        var event = EventInput()
                                        event.tenant = tenant
                                        event.source = source
                                        event.dedupKey = key
                                        event.dedupWindowSeconds = window
                                        event.eventType = type
                                        event.method = method
                                        event.target = target
                                        event.fieldLines = lines
                                        event.body = body
                                        event.receivedAt = wallSeconds * 1_000_000_000
                                        return use(event)
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
