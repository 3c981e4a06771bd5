// A log read from outside: every record, every damage, counts; for `sluice log check|stats|show`. Changes nothing and
// takes no lock, so it works beside a running gateway; what that one is writing just now is an unfinished tail, no
// damage.
//
// Safety: views lent to `visit` are valid during the call.

import CShims

package struct SourceCount: Equatable, Sendable {
    package var recordCount = 0
    package var byteCount = 0
}

package struct LogSummary: Equatable, Sendable {
    package var logIdentity: UInt64 = 0
    package var segments: [ScannedSegment] = []
    package var recordCount = 0
    /// Bytes of records, headers included, and of bodies alone.
    package var recordBytes = 0
    package var bodyBytes = 0
    package var firstSequence: UInt64?
    package var lastSequence: UInt64?
    /// Records whose body somebody had erased.
    package var erasedCount = 0
    /// Of them: announced and not overwritten yet, by a gateway that is at it or was stopped in it.
    package var erasingCount = 0
    /// Smallest and largest receive time, wall clock in nanoseconds.
    package var firstReceivedAt: UInt64?
    package var lastReceivedAt: UInt64?
    package var sources: [String: SourceCount] = [:]
    package var damages: [LogDamage] = []
    /// Bytes at the end that were never acknowledged: a crash's, or those a running gateway is writing.
    package var tornTail: TornTail?
    package var isSound: Bool { damages.isEmpty }

    package init() {}
}

package enum LogCheck {
    /// Reads the whole log, or from `sequence` on. `visit` returns false to stop; the summary then covers what was
    /// read.
    package static func run(
        path: String, from sequence: UInt64 = 1, visit: (RecordView, RecordPosition) -> Bool = { _, _ in true }
    ) throws(LogOpenError) -> LogSummary {
        let folder = try LogFolder(path: path, access: .readOnly)
        var summary = LogSummary()
        summary.logIdentity = folder.identity.identity
        var log = LogScan(erasures: folder.erasures)
        let all = try folder.segments()
        let start = all.lastIndex { $0 <= sequence } ?? 0
        for (index, first) in all.enumerated().dropFirst(start) {
            let isLast = index == all.count - 1
            let file = unsafe sluice_file_open(folder.directory, SegmentName.segment(first), 0)
            // Retention may have removed it since the listing.
            if file == -LogFolder.noEntry { continue }
            if file < 0 {
                let name = path + "/log/" + SegmentName.segment(first)
                throw .fileFailed(path: name, operation: "open", systemError: -file)
            }
            defer { _ = sluice_file_close(file) }
            guard var segment = try describe(file, first, folder, isLast, &log) else { continue }
            let goesOn = log.scan(&segment, file: file, nextFirst: isLast ? nil : all[index + 1]) { record, position in
                guard record.sequence >= sequence else { return true }
                summary.add(record)
                return visit(record, position)
            }
            summary.segments.append(segment)
            if !goesOn { break }
        }
        summary.damages = log.damages
        summary.tornTail = log.tornTail
        summary.erasingCount = folder.erasures.standing.count
        return summary
    }

    /// Nil for a last segment that is named and not written yet.
    private static func describe(
        _ file: Int32, _ first: UInt64, _ folder: LogFolder, _ isLast: Bool, _ log: inout LogScan
    ) throws(LogOpenError) -> ScannedSegment? {
        let size = sluice_file_size(file)
        var segment = ScannedSegment(firstSequence: first, byteCount: Int(max(0, size)))
        let reading = size < 0 ? .unreadable(systemError: Int32(-size)) : LogScan.readHeader(file)
        switch reading {
        case .header(let header):
            guard header.logIdentity == folder.identity.identity, header.firstSequence == first else {
                throw .foreignSegment(path: folder.path, name: SegmentName.segment(first))
            }
            segment.header = header
        case .unknownVersion(let version): throw .newerVersion(path: folder.path, version: version)
        case .empty where isLast: return nil
        case .empty, .invalid, .unreadable:
            if case .unreadable(let systemError) = reading { segment.headerError = systemError }
            if isLast {
                log.add(
                    LogDamage(
                        segment: first, offset: 0, byteCount: segment.byteCount, firstSequence: first,
                        sequenceCount: UInt64(max(1, segment.byteCount / RecordFormat.headerBytes)),
                        isUnreadable: segment.headerError != 0))
            }
        }
        return segment
    }
}

extension LogSummary {
    mutating func add(_ record: RecordView) {
        recordCount += 1
        recordBytes += record.length
        bodyBytes += record.body.count
        if record.isErased { erasedCount += 1 }
        firstSequence = firstSequence ?? record.sequence
        lastSequence = record.sequence
        firstReceivedAt = min(firstReceivedAt ?? .max, record.receivedAt)
        lastReceivedAt = max(lastReceivedAt ?? 0, record.receivedAt)
        var count = sources[record.source.text] ?? SourceCount()
        count.recordCount += 1
        count.byteCount += record.length
        sources[record.source.text] = count
    }
}
