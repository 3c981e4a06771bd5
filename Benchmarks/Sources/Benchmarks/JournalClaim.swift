// An event into the log's group: dedup, record, checksum, seal. The journal is passive, so no disk is part of it: each
// commit is said to have succeeded at once.
import FastPath

enum JournalClaim {
    static let claim = Claim(name: "journal") { effort in
        var lines: [Measurement] = []
        for (size, bytes) in [("1 KiB", 1024), ("16 KiB", 16_384)] {
            guard let plain = Work(bodyBytes: bytes, window: 0), let checked = Work(bodyBytes: bytes, window: 86_400)
            else { throw BenchmarkError("no memory for a journal") }
            guard plain.run(10) != 0, checked.run(10) != 0 else { throw BenchmarkError("an event was refused") }
            let count = effort.count(1_000_000 / (bytes / 64))
            let timings = Stopwatch.best(effort, count: count, [plain.run, checked.run])
            for (name, timing) in [("", timings[0]), (" with dedup", timings[1])] {
                lines.append(
                    Measurement(
                        name: "journal offer \(size)\(name)", value: timing.nanos, unit: "ns",
                        claim: "record, checksum, group of 1 MiB sealed and receipts drained", hash: timing.hash))
            }
        }
        return lines
    }

    private final class Work {
        private var journal: Journal
        private let sample: SampleEvent
        private var serial: UInt64 = 0

        init?(bodyBytes: Int, window: UInt32) {
            // More than all rounds offer: a full table, which evicts, is another measurement.
            guard let dedup = DedupTable(entryCount: 1 << 20) else { return nil }
            // One segment that no run fills: rolls are the disk's work.
            let descriptor = SegmentDescriptor(file: -1, spareNumber: 1, byteCount: 1 << 50, salt: 1)
            let journal = Journal(
                configuration: JournalConfiguration(
                    segmentBytes: 1 << 50, groupBytes: 1 << 20, groupTicketCountMax: 4096, logIdentity: 1,
                    keys: FingerprintKeys(seed: 1, tagKey0: 2, tagKey1: 3)),
                dedup: dedup,
                current: PlacedSegment(descriptor: descriptor, firstSequence: 1, seed: 1, appendOffset: 4096),
                nextSequence: 1)
            guard let journal else { return nil }
            self.journal = journal
            sample = SampleEvent(bodyBytes: bodyBytes, window: window)
        }
        /// 0 when an event was refused.
        func run(_ count: Int) -> UInt64 {
            let event = sample.event
            var kept: UInt64 = 1
            for _ in 0..<count {
                serial += 1
                sample.setKey(serial)
                var verdict = journal.offer(event, ticket: serial)
                if case .refused = verdict {
                    guard commit(&kept) else { return 0 }
                    verdict = journal.offer(event, ticket: serial)
                }
                guard case .appended = verdict else { return 0 }
            }
            return commit(&kept) && kept == UInt64(count) + 1 ? kept : 0
        }
        private func commit(_ kept: inout UInt64) -> Bool {
            guard case .write(let write)? = journal.beginCommit() else { return false }
            guard case .committed = journal.commitCompleted(written: write.byteCount, synced: 0) else { return false }
            while let receipt = journal.nextReceipt() { if receipt.fate == .kept { kept += 1 } }
            return true
        }
    }
}
