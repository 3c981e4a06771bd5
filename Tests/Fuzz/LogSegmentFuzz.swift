// A log of one or two segments, written by a script and damaged by it: what is read is what was written, in order; no
// sequence is left out that is neither read nor told of as damage; recovery takes nothing away but a torn tail, and
// what it leaves reads the same again.
import FastPath
import Glibc
import TestSupport

enum LogSegmentFuzz {
    private struct Read: Equatable {
        var sequence: UInt64
        var bytes: [UInt8]
        var position: RecordPosition
    }

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let folder = FuzzLogFolder.shared else { return }
        var script = LogScript(input, logIdentity: folder.identity)
        script.run()
        folder.fill(script.segments)
        let before = try check(folder.path)
        for read in before.reads {
            try hold(script.written[read.sequence]?.contains(read.bytes) == true, "\(read.sequence) was never written")
        }
        if !script.isDamaged {
            try hold(before.reads.map(\.sequence) == script.sequences, "whole, and \(before.reads.count) are read")
            try hold(before.summary.isSound && before.summary.tornTail == nil, "whole, and damage is told of")
        }
        try isComplete(before.reads, before.summary)
        let next: UInt64
        do throws(LogOpenError) {
            let settings = RecoverySettings(
                dedupEntryCount: 256, dedupWindowSecondsMax: 60, nowSeconds: 1_700_000_000)
            let recovered = try Recovery.open(path: folder.path, settings: settings)
            next = recovered.nextSequence
            if let current = recovered.current { close(current.descriptor.file) }
        } catch { throw FuzzFinding("recovery fails: \(error)") }
        let after = try check(folder.path)
        try hold(after.reads == Array(before.reads.prefix(after.reads.count)), "recovery has changed what is read")
        if script.isDamaged {
            // What was damage, because a group was begun behind it, may look like one when that group is cut.
            let isLeft = after.summary.tornTail != nil && before.summary.damages.isEmpty
            try hold(!isLeft, "a torn tail is left: \(after.summary)")
        } else {
            try hold(after.reads.count == before.reads.count, "recovery has taken whole records away")
        }
        try hold(after.reads.allSatisfy { $0.sequence < next }, "the next sequence is one that is there")
    }

    private static func check(_ path: String) throws(FuzzFinding) -> (reads: [Read], summary: LogSummary) {
        var reads: [Read] = []
        do throws(LogOpenError) {
            let summary = try LogCheck.run(path: path) { record, position in
                reads.append(Read(sequence: record.sequence, bytes: record.bytes.array, position: position))
                return true
            }
            return (reads, summary)
        } catch { throw FuzzFinding("the check fails: \(error)") }
    }
    private static func isComplete(_ reads: [Read], _ summary: LogSummary) throws(FuzzFinding) {
        for (one, next) in zip(reads, reads.dropFirst()) {
            try hold(one.sequence < next.sequence, "\(next.sequence) behind \(one.sequence)")
            // What is left of the group that was torn is shown, and was never acknowledged.
            let isTorn = summary.tornTail.map {
                $0.segment == next.position.segment && $0.offset <= next.position.offset
            }
            guard isTorn != true else { continue }
            for missing in one.sequence + 1..<max(next.sequence, one.sequence + 1) {
                let isTold = summary.damages.contains { damage in
                    damage.firstSequence <= missing && missing - damage.firstSequence < damage.sequenceCount
                }
                try hold(isTold, "\(missing) is left out without a word: \(summary)")
            }
        }
    }
}

/// The folder that every run fills anew; the log's identity in it stays.
private final class FuzzLogFolder: Sendable {
    static let shared = FuzzLogFolder()
    let path: String
    let identity: UInt64

    private init?() {
        path = TemporaryFolder.make()
        guard let folder = try? LogFolder(path: path, access: .exclusive) else { return nil }
        identity = folder.identity.identity
        atexit { if let shared = FuzzLogFolder.shared { TemporaryFolder.remove(shared.path) } }
    }
    func fill(_ segments: [(first: UInt64, bytes: [UInt8])]) {
        for name in TemporaryFolder.names("\(path)/log") where name != "identity" { unlink("\(path)/log/\(name)") }
        for segment in segments {
            guard let file = fopen("\(path)/log/\(SegmentName.segment(segment.first))", "wb") else {
                fatalError("cannot write to \(path)")
            }
            fwrite(segment.bytes, 1, segment.bytes.count, file)
            fclose(file)
        }
    }
}

/// Bytes as orders: what is written into the segments, and what becomes of it.
private struct LogScript {
    private static let segmentBytes = 32 << 10
    private var orders: ArraySlice<UInt8>
    private let logIdentity: UInt64
    private(set) var segments: [(first: UInt64, bytes: [UInt8])] = []
    /// By sequence; the same may be written again.
    private(set) var written: [UInt64: Set<[UInt8]>] = [:]
    private(set) var sequences: [UInt64] = []
    private(set) var isDamaged = false
    private var place = 0
    private var sequence: UInt64 = 1
    private var groupOffset: UInt32 = 0
    private var seed: UInt64 = 0

    init(_ orders: [UInt8], logIdentity: UInt64) {
        self.orders = orders[...]
        self.logIdentity = logIdentity
        beginSegment()
    }
    private mutating func next() -> Int { Int(orders.popFirst() ?? 0) }

    mutating func run() {
        var count = 0
        while !orders.isEmpty, count < 256 {
            count += 1
            switch next() % 10 {
            case 0, 1: append(bodyBytes: next() * 16)
            case 2: beginGroup()
            case 3: if segments.count < 2 { beginSegment() }
            case 4: write((0..<next()).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 1) })
            case 5: flip(at: next() << 8 | next(), bit: next() & 7)
            case 6: zeroSector(next())
            case 7:
                isDamaged = true
                sequence += UInt64(next() & 3)
            case 8: repeatRecord()
            default: truncate(next() << 8 | next())
            }
        }
    }

    private mutating func beginSegment() {
        // What begins without a record would be a segment of the same name as the one before.
        if let last = segments.last, last.first == sequence { return }
        let header = SegmentHeader(
            logIdentity: logIdentity, firstSequence: sequence, salt: sequence &* 0x9E37_79B9,
            segmentBytes: UInt64(LogScript.segmentBytes), createdAt: 1)
        var bytes = [UInt8](repeating: 0, count: LogScript.segmentBytes)
        bytes.withUnsafeMutableBytes { memory in
            if let base = memory.baseAddress { header.write(to: base) }
        }
        segments.append((sequence, bytes))
        (place, groupOffset, seed) = (RecordFormat.blockBytes, 0, header.seed)
    }
    private mutating func beginGroup() {
        place = RecordFormat.roundUp(place, to: RecordFormat.blockBytes)
        groupOffset = 0
    }
    private mutating func append(bodyBytes: Int) {
        let bytes = record(sequence, bodyBytes: bodyBytes)
        guard place + bytes.count <= LogScript.segmentBytes else { return }
        put(bytes)
        written[sequence, default: []].insert(bytes)
        sequences.append(sequence)
        sequence += 1
        groupOffset += 1
    }
    private func record(_ sequence: UInt64, bodyBytes: Int) -> [UInt8] {
        let body = [UInt8](repeating: UInt8(truncatingIfNeeded: sequence), count: bodyBytes)
        let key = Array("key-\(sequence)".utf8)
        return body.withView { body in
            key.withView { key in
                var event = EventInput()
                (event.source, event.dedupKey, event.body) = (ByteView("github"), key, body)
                (event.method, event.target) = (ByteView("POST"), ByteView("/in/github"))
                event.receivedAt = 1_700_000_000_000_000_000
                guard let length = RecordFormat.byteCount(of: event) else { return [] }
                let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
                defer { memory.deallocate() }
                let print = Fingerprint(slot: Hash128(low: sequence, high: 0), tag: Hash128(low: 0, high: sequence))
                RecordFormat.encode(
                    event, print: print, sequence: sequence, groupOffset: groupOffset, length: length, seed: seed,
                    to: memory)
                return Array(UnsafeRawBufferPointer(start: memory, count: length))
            }
        }
    }
    private mutating func put(_ bytes: [UInt8]) {
        segments[segments.count - 1].bytes.replaceSubrange(place..<place + bytes.count, with: bytes)
        place += bytes.count
    }
    private mutating func write(_ bytes: [UInt8]) {
        guard !bytes.isEmpty, place + bytes.count <= LogScript.segmentBytes else { return }
        isDamaged = true
        put(bytes)
        place = RecordFormat.roundUp(place, to: RecordFormat.alignment)
    }
    private mutating func flip(at offset: Int, bit: Int) {
        let count = segments[segments.count - 1].bytes.count
        // A damaged header is another case, which nobody can read behind.
        guard offset >= RecordFormat.blockBytes, offset < count else { return }
        isDamaged = true
        segments[segments.count - 1].bytes[offset] ^= 1 << UInt8(bit)
    }
    private mutating func zeroSector(_ number: Int) {
        let start = RecordFormat.blockBytes + number * 512
        guard start + 512 <= segments[segments.count - 1].bytes.count else { return }
        isDamaged = true
        for index in start..<start + 512 { segments[segments.count - 1].bytes[index] = 0 }
    }
    private mutating func repeatRecord() {
        guard sequence > segments[segments.count - 1].first else { return }
        isDamaged = true
        let bytes = record(sequence - 1, bodyBytes: 8)
        guard place + bytes.count <= LogScript.segmentBytes else { return }
        put(bytes)
        written[sequence - 1, default: []].insert(bytes)
    }
    private mutating func truncate(_ count: Int) {
        guard count >= RecordFormat.blockBytes, count < segments[segments.count - 1].bytes.count else { return }
        isDamaged = true
        // What is written behind the end of the file would be zeros up to there: the script ends.
        segments[segments.count - 1].bytes.removeSubrange(count...)
        orders = []
    }
}
