// All slices of a data folder's history: which one is written, when the next begins, which are dropped, who reads.
//
// History is written before store.sqlite says that a delivery is finished. A crash in between leaves a finished row of
// a delivery that is still open; each batch has a number that both files keep, and a slice that is ahead of
// store.sqlite tells the next start to take those open ones back (SQLiteStore). Reading, an open row hides a finished
// one, and a row of a newer slice one of an older.
//
// Writes come from the store's thread alone. The index by endpoint of a closed slice, and the removal of files, which
// takes a while for large ones, are done on a queue beside it.

import Dispatch
import Foundation
import GRDB
import Logging
import Synchronization

package struct HistoryLimits: Sendable {
    /// A slice is closed after so many rows…
    package var sliceRowsMax: Int64 = 2_000_000
    /// …or after an eighth of this time: what is kept longer than wanted is at most that eighth.
    package var keptMillis: Int64 = 30 * 86_400_000
    package var sliceMillisMax: Int64 { max(keptMillis / 8, 1) }
    /// Connections kept open for readers, three descriptors each.
    package var readerCountMax = 32
    /// Rows of one file that a page of a listing looks at when they do not match: some tens of milliseconds.
    package var lookedRowsMax = ListingQuery.lookedMax

    package init() {}
}

final class HistorySlices: @unchecked Sendable {
    static let folderName = "history"
    private static let fileSuffix = ".sqlite"

    private let folder: String
    private let limits: HistoryLimits
    private let logger: Logger
    /// By number.
    private let slices: Mutex<[HistorySlice]>
    private let readers = Mutex<[Int: Reader]>([:])
    private let background = DispatchQueue(label: "sluice.history", qos: .utility)
    private let indexing = Mutex<(queue: DatabaseQueue?, isStopping: Bool)>((nil, false))
    /// The writing thread's.
    private var writer: SliceWriter?
    private var nextNumber = 1

    private struct Reader {
        let queue: DatabaseQueue
        var lastUse: UInt64
    }

    init(folder: String, limits: HistoryLimits, logger: Logger) throws {
        self.folder = folder + "/" + HistorySlices.folderName
        self.limits = limits
        self.logger = logger
        try FileManager.default.createDirectory(
            atPath: self.folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        slices = Mutex([])
        var found: [HistorySlice] = []
        for number in try HistorySlices.numbers(self.folder) {
            nextNumber = number + 1
            if let slice = try open(number) { found.append(slice) }
        }
        // A slice that a restart found with many rows is closed, so that lanes that look for what they had sent find
        // an index soon.
        if let last = found.last, last.rowCount < limits.sliceRowsMax / 8, !last.isIndexed {
            do { writer = try SliceWriter(last) } catch {
                try setAsideDamaged(last.number, error)
                found.removeLast()
            }
        }
        slices.withLock { [found] in $0 = found }
        for slice in found where !slice.isIndexed && slice !== writer?.slice { index(slice) }
    }
    private static func numbers(_ folder: String) throws -> [Int] {
        try FileManager.default.contentsOfDirectory(atPath: folder).compactMap { name in
            name.hasSuffix(fileSuffix) ? Int(name.dropLast(fileSuffix.count)) : nil
        }.sorted()
    }
    private func path(_ number: Int) -> String {
        let digits = String(number)
        let zeros = String(repeating: "0", count: max(0, 8 - digits.count))
        return folder + "/" + zeros + digits + HistorySlices.fileSuffix
    }
    private func name(_ number: Int) -> String {
        HistorySlices.folderName + "/" + (path(number) as NSString).lastPathComponent
    }
    /// Nil for a file without rows and for a damaged one: history is not what a start depends on.
    private func open(_ number: Int) throws -> HistorySlice? {
        do {
            if let slice = try HistorySlice(opening: path(number), number: number) { return slice }
            SQLiteFile.remove(path(number))
            return nil
        } catch {
            try setAsideDamaged(number, error)
            return nil
        }
    }
    private func setAsideDamaged(_ number: Int, _ error: any Error) throws {
        guard StoreError.isDamage(error) else { throw StoreError.of(error, file: name(number)) }
        try setAside(number, error)
    }
    private func setAside(_ number: Int, _ error: any Error) throws {
        try SQLiteFile.move(path(number), to: path(number) + ".damaged")
        logger.warning(
            "a file of the delivery history is damaged; it was set aside and its deliveries are not listed any more",
            metadata: ["file": "\(name(number)).damaged", "error": "\(error)"])
    }

    // MARK: Writing

    func write(_ batch: FinishedBatch) throws {
        guard !batch.rows.isEmpty else { return }
        do { try writeOnce(batch) } catch {
            guard StoreError.isDamage(error), let damaged = writer?.slice else {
                throw StoreError.of(error, file: writer.map { name($0.slice.number) } ?? HistorySlices.folderName)
            }
            // What cannot be written any more must not hold up deliveries.
            writer?.close()
            writer = nil
            forgetSlice(damaged)
            try setAside(damaged.number, error)
            try StoreError.translating(name(nextNumber)) { try writeOnce(batch) }
        }
    }
    private func writeOnce(_ batch: FinishedBatch) throws {
        if let slice = writer?.slice, isFull(slice, nowMillis: batch.nowMillis) { closeCurrent() }
        try (writer ?? begin(nowMillis: batch.nowMillis)).write(batch)
    }
    private func isFull(_ slice: HistorySlice, nowMillis: Int64) -> Bool {
        let rows = slice.rowCount
        return rows >= limits.sliceRowsMax
            || rows > 0
                && nowMillis.subtractingReportingOverflow(slice.startedMillis).partialValue
                    >= limits.sliceMillisMax
    }
    private func begin(nowMillis: Int64) throws -> SliceWriter {
        let number = nextNumber
        // A crash while it was made.
        SQLiteFile.remove(path(number))
        let slice = try HistorySlice(making: path(number), number: number, nowMillis: nowMillis)
        let next = try SliceWriter(slice)
        nextNumber += 1
        writer = next
        slices.withLock { $0.append(slice) }
        return next
    }
    private func closeCurrent() {
        guard let last = writer else { return }
        writer = nil
        // The last connection that closes writes the rest of the WAL back, which takes some time.
        index(last.slice)
        background.async { last.close() }
    }

    // MARK: Beside the writer

    private func index(_ slice: HistorySlice) {
        background.async { [self] in
            do {
                let queue: DatabaseQueue? = try indexing.withLock { state in
                    if state.isStopping || slice.isDropped { return nil }
                    var configuration = HistorySlice.configuration
                    configuration.label = "history index"
                    state.queue = try DatabaseQueue(path: slice.path, configuration: configuration)
                    return state.queue
                }
                guard let queue else { return }
                defer { indexing.withLock { $0.queue = nil } }
                try slice.makeIndex(queue)
            } catch {
                if indexing.withLock({ $0.isStopping }) { return }
                logger.warning(
                    "a history file has no index: questions about one endpoint are slow until the next start",
                    metadata: ["file": "\(name(slice.number))", "error": "\(error)"])
            }
        }
    }
    /// Until what is under way beside the writer is done.
    func awaitBackground() { background.sync {} }
    func close() {
        indexing.withLock { state in
            state.isStopping = true
            state.queue?.interrupt()
        }
        awaitBackground()
        writer?.close()
        writer = nil
        readers.withLock { $0.removeAll() }
    }

    /// Drops every slice whose newest row is older than `before`. On the writing thread.
    func drop(before: Int64) {
        for slice in all {
            guard let newest = slice.newestMillis, newest < before else { continue }
            if writer?.slice === slice {
                writer?.close()
                writer = nil
            }
            forgetSlice(slice)
            let path = slice.path
            background.async { SQLiteFile.remove(path) }
        }
    }
    private func forgetSlice(_ slice: HistorySlice) {
        slices.withLock { $0.removeAll { $0 === slice } }
        readers.withLock { readers in
            slice.markDropped()
            readers[slice.number] = nil
        }
    }

    // MARK: Reading

    /// By number, the newest last.
    var all: [HistorySlice] { slices.withLock { $0 } }
    /// Slices that may have rows of the log in the range, the newest events first.
    func slices(of identity: UInt64, in sequences: ClosedRange<UInt64>) -> [HistorySlice] {
        all.compactMap { slice in slice.span(identity).map { (slice, $0.sequences) } }
            .filter { $0.1.overlaps(sequences) }
            .sorted { ($0.1.upperBound, $0.0.number) > ($1.1.upperBound, $1.0.number) }
            .map(\.0)
    }
    /// Nil when the slice has nothing of the log, or was dropped meanwhile.
    func read<R>(_ slice: HistorySlice, _ identity: UInt64, _ body: (HistoryTable, Database) throws -> R) throws -> R? {
        guard let table = slice.table(identity) else { return nil }
        return try StoreError.translating(name(slice.number)) {
            guard let queue = try reader(slice) else { return nil }
            return try queue.read { try body(table, $0) }
        }
    }
    private func reader(_ slice: HistorySlice) throws -> DatabaseQueue? {
        try readers.withLock { readers in
            let now = DispatchTime.now().uptimeNanoseconds
            if let known = readers[slice.number] {
                readers[slice.number]?.lastUse = now
                return known.queue
            }
            // Asked under the lock that `forgetSlice` takes: opening would make the file again. Who reads another slice
            // meanwhile waits for this one file to be opened, and for none of its rows.
            if slice.isDropped { return nil }
            if readers.count >= limits.readerCountMax,
                let oldest = readers.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                readers[oldest.key] = nil
            }
            var configuration = HistorySlice.configuration
            configuration.label = "history reader"
            let queue = try DatabaseQueue(path: slice.path, configuration: configuration)
            readers[slice.number] = Reader(queue: queue, lastUse: now)
            return queue
        }
    }
}
