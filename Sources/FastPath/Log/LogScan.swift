// One pass over the segments of a log, oldest first, with what each damage means: the read-only half of recovery, and
// all of `sluice log check`. It changes nothing on disk.
//
// Decision table, for bytes that do not verify (tested over all its inputs):
//   case | in the last segment | later group behind | unreadable | zero sector | meaning
//   A    | no                  | any                | any        | any         | damage: a later segment was begun
//   B    | yes                 | yes                | any        | any         | damage: a later group was begun
//   C    | yes                 | no                 | yes        | any         | damage: nothing is known about it
//   D    | yes                 | no                 | no         | yes         | torn tail: its group was never
// acknowledged
//   E    | yes                 | no                 | no         | no          | damage: a torn write leaves zero
// sectors A later group is begun only when the one before it is on disk, which is why A and B are acknowledged data.
// Segments are filled with zeros before use, which is why D and E can be told apart.
// Safety: buffers handed to C live through the call.

import CShims

package enum DamageMeaning: String, CaseIterable, Sendable { case damage, tornTail }

/// Acknowledged records that are not there any more, reported by place and count.
package struct LogDamage: Equatable, Sendable {
    /// The segment by its first sequence.
    package var segment: UInt64
    package var offset: Int
    package var byteCount: Int
    package var firstSequence: UInt64
    /// At most this many records; exact when a valid record follows.
    package var sequenceCount: UInt64
    package var isUnreadable: Bool

    package var text: String {
        let cause = isUnreadable ? "the disk cannot read" : "checksum does not hold for"
        return "\(SegmentName.segment(segment)) offset \(offset): \(cause) \(byteCount) bytes, "
            + "sequences \(firstSequence) to \(firstSequence + sequenceCount - 1)"
    }
}

/// What was never acknowledged and will be, or was, overwritten with zeros.
package struct TornTail: Equatable, Sendable {
    package var segment: UInt64
    package var offset: Int
    package var byteCount: Int
}

package struct ScannedSegment: Equatable, Sendable {
    package var firstSequence: UInt64
    package var header: SegmentHeader?
    /// errno of a header that the disk could not read, else 0.
    package var headerError: Int32 = 0
    package var byteCount: Int
    package var recordCount = 0
    package var isScanned = false
}

package struct LogScan: ~Copyable {
    package private(set) var damages: [LogDamage] = []
    package private(set) var tornTail: TornTail?
    package private(set) var recordCount = 0
    package private(set) var recordBytes = 0
    /// The sequence that the next event gets.
    package private(set) var nextSequence: UInt64 = 1
    /// Where the next group goes in the last segment.
    package private(set) var appendOffset = 0
    /// The block where the last group present begins, and the end of its last record.
    package private(set) var lastGroup: Range<Int>?
    private var scanner: SegmentScanner
    private var lastGroupFirst: UInt64 = 0

    private let erasures: LogErasures?

    /// `erasures`: what is being erased from the log, and is read as erased; nil = the bytes as they are.
    package init(bufferBytes: Int = 4 << 20, erasures: LogErasures? = nil) {
        scanner = SegmentScanner(bufferBytes: bufferBytes)
        self.erasures = erasures
    }

    package static func meaning(
        isLastSegment: Bool, laterGroupBehind: Bool, isUnreadable: Bool, hasZeroSector: Bool
    ) -> DamageMeaning {
        if !isLastSegment || laterGroupBehind || isUnreadable { return .damage }
        return hasZeroSector ? .tornTail : .damage
    }

    /// Reads one segment. `nextFirst` is the first sequence of the segment behind it, nil for the last one: records
    /// from there on are superseded (their group was written again, into that segment) and are neither visited nor
    /// damage. `visit` returns false to stop the pass.
    @discardableResult
    package mutating func scan(
        _ segment: inout ScannedSegment, file: Int32, nextFirst: UInt64?,
        visit: (RecordView, RecordPosition) throws -> Bool
    ) rethrows -> Bool {
        guard let header = segment.header else {
            if let nextFirst { addDamage(wholeSegment: segment, through: nextFirst) }
            return true
        }
        let start = RecordFormat.blockBytes
        scanner.attach(
            file: file, header: header, byteCount: segment.byteCount, offset: start, expected: header.firstSequence,
            erasures: erasures)
        segment.isScanned = true
        nextSequence = header.firstSequence
        appendOffset = start
        lastGroup = nil
        lastGroupFirst = header.firstSequence
        var spans: [DamageSpan] = []
        pass: while nextFirst.map({ scanner.expected < $0 }) ?? true {
            switch scanner.next() {
            case .record(let record, let offset):
                if let nextFirst, record.sequence >= nextFirst { break pass }
                note(record, offset)
                segment.recordCount += 1
                if try !visit(record, RecordPosition(segment: segment.firstSequence, offset: offset)) { return false }
            case .invalid, .end:
                guard let span = scanner.search() else { break pass }
                spans.append(span)
                if span.nextSequence == nil { break pass }
            }
        }
        settle(spans, segment, nextFirst)
        return true
    }
    private mutating func note(_ record: RecordView, _ offset: Int) {
        let first = record.sequence &- UInt64(record.groupOffset)
        let block = offset - offset % RecordFormat.blockBytes
        let groupStart = first == lastGroupFirst ? lastGroup?.lowerBound ?? block : block
        lastGroupFirst = first
        lastGroup = groupStart..<offset + record.length
        recordCount += 1
        recordBytes += record.length
        nextSequence = record.sequence + 1
        appendOffset = RecordFormat.roundUp(offset + record.length, to: RecordFormat.blockBytes)
    }

    private mutating func settle(_ spans: [DamageSpan], _ segment: ScannedSegment, _ nextFirst: UInt64?) {
        for span in spans {
            // The record that was expected is there, only further on: what lies between is where a group ends and the
            // next one has its blocks. It is part of no write that can be torn, and nothing is lost.
            if span.nextSequence == span.firstSequence { continue }
            let isLaterBehind = lastGroupFirst > span.firstSequence
            let meaning = LogScan.meaning(
                isLastSegment: nextFirst == nil, laterGroupBehind: isLaterBehind, isUnreadable: span.isUnreadable,
                hasZeroSector: span.hasZeroSector)
            if meaning == .tornTail {
                cut(span, spans, segment)
                return
            }
            addDamage(span, segment, nextFirst)
        }
        // A later segment begins further on than this one reaches, with nothing but zeros in between.
        if let nextFirst, nextSequence < nextFirst {
            addDamage(
                DamageSpan(
                    offset: appendOffset, byteCount: 0, firstSequence: nextSequence, nextSequence: nil,
                    nextGroupFirst: nil,
                    hasZeroSector: true, isUnreadable: false),
                segment, nextFirst)
        }
    }
    private mutating func cut(_ span: DamageSpan, _ spans: [DamageSpan], _ segment: ScannedSegment) {
        let last = spans[spans.count - 1]
        let end = max(last.offset + last.byteCount, lastGroup.map { $0.upperBound } ?? 0)
        tornTail = TornTail(segment: segment.firstSequence, offset: span.offset, byteCount: end - span.offset)
        nextSequence = span.firstSequence
        appendOffset = RecordFormat.roundUp(span.offset, to: RecordFormat.blockBytes)
        if let group = lastGroup {
            lastGroup = group.lowerBound < span.offset ? group.lowerBound..<span.offset : nil
        }
    }
    private mutating func addDamage(_ span: DamageSpan, _ segment: ScannedSegment, _ nextFirst: UInt64?) {
        // A record found behind it that a later segment supersedes is no end of the damage.
        let next =
            span.nextSequence.flatMap { found in nextFirst.map { found < $0 } ?? true ? found : nil }
            ?? nextFirst
        // Nothing behind it says how many it held: as many as fit, so that no acknowledged sequence is given out again.
        let count = next.map { $0 - span.firstSequence } ?? UInt64(max(1, span.byteCount / RecordFormat.headerBytes))
        if count > 0 {
            damages.append(
                LogDamage(
                    segment: segment.firstSequence, offset: span.offset, byteCount: span.byteCount,
                    firstSequence: span.firstSequence, sequenceCount: count, isUnreadable: span.isUnreadable))
        }
        if nextSequence < span.firstSequence + count {
            nextSequence = span.firstSequence + count
            appendOffset = max(
                appendOffset, RecordFormat.roundUp(span.offset + span.byteCount, to: RecordFormat.blockBytes))
        }
    }
    private mutating func addDamage(wholeSegment segment: ScannedSegment, through nextFirst: UInt64) {
        guard nextFirst > segment.firstSequence else { return }
        damages.append(
            LogDamage(
                segment: segment.firstSequence, offset: 0, byteCount: segment.byteCount,
                firstSequence: segment.firstSequence,
                sequenceCount: nextFirst - segment.firstSequence, isUnreadable: segment.headerError != 0))
    }
    mutating func add(_ damage: LogDamage) { damages.append(damage) }

    /// The header of an open segment file.
    package static func readHeader(_ file: Int32) -> SegmentHeader.Reading {
        var block = [UInt8](repeating: 0, count: RecordFormat.blockBytes)
        let count = unsafe sluice_file_read(file, &block, block.count, 0)
        if count < 0 { return .unreadable(systemError: Int32(-count)) }
        return block.withView { SegmentHeader.read($0) }
    }
}

/// Where a record is, so that it can be read again without a search.
package struct RecordPosition: Equatable, Sendable {
    package var segment: UInt64
    package var offset: Int

    package init(segment: UInt64, offset: Int) {
        self.segment = segment
        self.offset = offset
    }
}
