// What the load loop counts, in memory taken at start: by entry and kind, by status, by the reason in an answer's body,
// by interval. Passive.
//
// Invariants: one writer; only measured requests come here, but for the intervals. A reason beyond the table's room is
// counted as `other`; intervals beyond theirs are not kept.
// Safety: owns its memory; every index is bounded before use.
import CShims

@safe struct LoadTotals: ~Copyable {
    static let intervalCountMax = 4096
    private static let reasonCountMax = 32
    private static let reasonBytesMax = 48
    private struct Reason {
        var text = InlineArray<48, UInt8>(repeating: 0)
        var length = 0
        var status = 0
        var count: UInt64 = 0
    }
    private let cells: UnsafeMutablePointer<LoadCell>
    private let entryCount: Int
    private let statuses: UnsafeMutablePointer<UInt64>
    private let reasons: UnsafeMutablePointer<Reason>
    private var reasonCount = 0
    private var otherReasons: UInt64 = 0
    private let intervals: UnsafeMutablePointer<LoadIntervalCounts>
    private(set) var intervalCount = 0
    private var failures = InlineArray<6, UInt64>(repeating: 0)

    init(entryCount: Int) {
        self.entryCount = entryCount
        unsafe cells = .allocate(capacity: entryCount * LoadKind.count)
        unsafe cells.initialize(repeating: LoadCell(), count: entryCount * LoadKind.count)
        unsafe statuses = .allocate(capacity: 1000)
        unsafe statuses.initialize(repeating: 0, count: 1000)
        unsafe reasons = .allocate(capacity: LoadTotals.reasonCountMax)
        unsafe reasons.initialize(repeating: Reason(), count: LoadTotals.reasonCountMax)
        unsafe intervals = .allocate(capacity: LoadTotals.intervalCountMax)
        unsafe intervals.initialize(repeating: LoadIntervalCounts(), count: LoadTotals.intervalCountMax)
    }
    deinit {
        unsafe cells.deallocate()
        unsafe statuses.deallocate()
        unsafe reasons.deallocate()
        unsafe intervals.deallocate()
    }

    @inline(__always) private func cell(_ draw: LoadDraw) -> UnsafeMutablePointer<LoadCell> {
        precondition(draw.entry >= 0 && draw.entry < entryCount)
        return unsafe cells + draw.entry * LoadKind.count + Int(draw.kind.rawValue)
    }
    @inline(__always) mutating func sent(_ draw: LoadDraw) { unsafe cell(draw).pointee.sent &+= 1 }
    @inline(__always) mutating func answered(_ draw: LoadDraw, status: Int) {
        let place = min(max(status, 0), 999)
        unsafe statuses[place] = statuses[place] &+ 1
        if status < 300 { unsafe cell(draw).pointee.accepted &+= 1 } else { unsafe cell(draw).pointee.refused &+= 1 }
    }
    @inline(__always) mutating func failed(_ draw: LoadDraw, _ result: LoadResult) {
        unsafe cell(draw).pointee.failed &+= 1
        failures[Int(result.rawValue)] &+= 1
    }
    /// Counts the `"reason":"…"` of an answer's body, or its status where it has none.
    mutating func refused(status: Int, answer: ByteView) {
        let key: StaticString = "\"reason\":\""
        let found = unsafe sluice_bytes_find(
            answer.base, answer.count, UnsafeRawPointer(key.utf8Start), key.utf8CodeUnitCount)
        var start = 0
        var length = 0
        if found >= 0 {
            start = found + key.utf8CodeUnitCount
            while start + length < answer.count, length < LoadTotals.reasonBytesMax, answer[start + length] != 0x22 {
                length += 1
            }
        }
        for index in 0..<reasonCount where unsafe reasons[index].length == length {
            if length == 0, unsafe reasons[index].status != status { continue }
            var isSame = true
            for place in 0..<length where unsafe reasons[index].text[place] != answer[start + place] { isSame = false }
            if isSame {
                unsafe reasons[index].count = reasons[index].count &+ 1
                return
            }
        }
        guard reasonCount < LoadTotals.reasonCountMax else {
            otherReasons &+= 1
            return
        }
        for place in 0..<length { unsafe reasons[reasonCount].text[place] = answer[start + place] }
        unsafe reasons[reasonCount].length = length
        unsafe reasons[reasonCount].status = status
        unsafe reasons[reasonCount].count = 1
        reasonCount += 1
    }
    mutating func close(_ interval: LoadIntervalCounts) {
        guard intervalCount < LoadTotals.intervalCountMax else { return }
        unsafe intervals[intervalCount] = interval
        intervalCount += 1
    }

    /// Allocates; after the run.
    func write(to report: inout LoadReport) {
        report.cells = (0..<entryCount).map { entry in
            (0..<LoadKind.count).map { unsafe cells[entry * LoadKind.count + $0] }
        }
        report.statuses = (0..<1000).filter { unsafe statuses[$0] > 0 }.map { unsafe ($0, statuses[$0]) }
        report.reasons = (0..<reasonCount).map { index in
            let reason = unsafe reasons[index]
            let text = String(decoding: (0..<reason.length).map { reason.text[$0] }, as: UTF8.self)
            return (reason.length == 0 ? "status_\(reason.status)" : text, reason.count)
        }
        if otherReasons > 0 { report.reasons.append(("other", otherReasons)) }
        report.failures = LoadResult.allCases.map { ($0, failures[Int($0.rawValue)]) }.filter { $0.1 > 0 }
        report.intervals = (0..<intervalCount).map { unsafe intervals[$0] }
    }
}
