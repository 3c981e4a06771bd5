// A log in a folder of its own, driven with plain system calls, and the tail that readers see.

import FastPath
import Foundation

/// A journal driven with plain system calls, and the tail that readers see.
package final class RealLog {
    package let folder: LogFolder
    package let tail: CommittedTail
    private var journal: Journal
    private var keeper: SegmentKeeper

    package init(path: String, segmentBytes: Int = 64 << 10) throws {
        let settings = RecoverySettings(dedupEntryCount: 1024, dedupWindowSecondsMax: 60, nowSeconds: 1_700_000_000)
        let recovered = try Recovery.open(path: path, settings: settings)
        folder = recovered.folder
        let configuration = JournalConfiguration(
            segmentBytes: segmentBytes, groupBytes: 16 << 10, groupTicketCountMax: 64,
            logIdentity: folder.identity.identity,
            keys: folder.identity.keys)
        journal = Journal(
            configuration: configuration, dedup: DedupTable(entryCount: 1024)!, current: recovered.current,
            nextSequence: recovered.nextSequence)!
        keeper = SegmentKeeper(folder: folder, segmentBytes: segmentBytes, freeBytesMin: 0)!
        tail = CommittedTail(journal)
    }
    /// One commit group of events whose bodies are their keys; `change` sees each before it is taken.
    package func append(
        _ keys: [String], bodyBytes: Int = 200, type: String = "push", tenant: UInt32 = 1,
        change: (inout EventInput) -> Void = { _ in }
    ) throws {
        try replenish()
        for key in keys {
            let body = Array((key + String(repeating: ".", count: max(0, bodyBytes - key.utf8.count))).utf8)
            let texts = ["github", key, type, "POST", "/in/github", "Content-Type: text/plain\r\n"].map {
                Array($0.utf8)
            }
            let verdict = RealLog.lend(texts + [RecordFormat.tenantBytes(of: tenant), body]) { views in
                var event = EventInput()
                (event.source, event.dedupKey, event.eventType) = (views[0], views[1], views[2])
                (event.method, event.target, event.fieldLines) = (views[3], views[4], views[5])
                (event.tenant, event.body) = (views[6], views[7])
                event.dedupWindowSeconds = 0
                change(&event)
                return journal.offer(event, ticket: 0)
            }
            guard case .appended = verdict else { throw Refused(verdict: "\(verdict)") }
        }
        try commit()
    }
    /// Lends all at once, for the length of the call.
    private static func lend<R>(_ arrays: [[UInt8]], _ views: [ByteView] = [], _ body: ([ByteView]) -> R) -> R {
        guard views.count < arrays.count else { return body(views) }
        return arrays[views.count].withView { lend(arrays, views + [$0], body) }
    }
    package struct Refused: Error {
        package var verdict: String
        package init(verdict: String = "") { self.verdict = verdict }
    }

    private func replenish() throws {
        while journal.takeSpareRequest(now: 1) { journal.spareBecameReady(try keeper.prepareSpare()) }
    }
    private func commit() throws {
        try replenish()
        guard var step = journal.beginCommit() else { return }
        while true {
            let (placed, written, synced) = perform(step)
            switch journal.commitCompleted(placed: placed, written: written, synced: synced) {
            case .continueWith(let more): step = more
            case .failed: throw Refused()
            case .committed:
                while journal.nextReceipt() != nil {}
                while let segment = journal.nextRetired() { keeper.close(segment) }
                tail.publish(journal)
                return
            }
        }
    }
    private func perform(_ step: CommitStep) -> (Int, Int, Int) {
        switch step {
        case .refuse: return (-1, -1, -1)
        case .write(let write): return (0, put(write), Int(fdatasync(write.file)))
        case .roll(let roll):
            let placed = folder.place(roll)
            return (placed, put(roll.write), Int(fdatasync(roll.write.file)))
        }
    }
    private func put(_ write: CommitWrite) -> Int {
        pwrite(write.file, write.bytes, write.byteCount, Int(write.fileOffset))
    }
    package func oldestSegment() throws -> URL {
        let name = SegmentName.segment(try folder.segments()[0])
        let files = FileManager.default.enumerator(at: URL(filePath: folder.path), includingPropertiesForKeys: nil)
        while let file = files?.nextObject() as? URL {
            if file.lastPathComponent == name { return file }
        }
        throw Refused(verdict: "no \(name)")
    }
}
