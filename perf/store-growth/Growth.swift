// Inserts finished deliveries into the real store, as a dispatcher's batches would, and asks what an operator asks.
//
//   store-growth FOLDER ROWS [ROWS_A_SLICE] [ENDPOINTS]
//
// Rates count the store's own time. One JSON object on standard output, progress on standard error.

import Engine
import FastPath
import Foundation

@main
struct Growth {
    private static let chunkCount = 20
    private static let dropCountMax = 5
    private static let questionCount = 300

    private let store: SQLiteStore
    private let sliceRows: Int
    private let wanted: Int
    private let endpointCount: UInt32
    private var traffic: Traffic
    private var result = GrowthResult()
    private var slowestSeconds = 0.0

    static func main() throws {
        let numbers = CommandLine.arguments.dropFirst(2).compactMap { Int($0) }
        guard CommandLine.arguments.count >= 3, let rows = numbers.first, rows > 0 else {
            FileHandle.standardError.write(Data("store-growth FOLDER ROWS [ROWS_A_SLICE] [ENDPOINTS]\n".utf8))
            exit(2)
        }
        var limits = HistoryLimits()
        if numbers.count > 1 { limits.sliceRowsMax = Int64(numbers[1]) }
        do {
            let folder = CommandLine.arguments[1]
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            var growth = Growth(
                store: try SQLiteStore(folder: folder, logIdentity: 1, limits: limits),
                sliceRows: Int(limits.sliceRowsMax), wanted: rows,
                endpointCount: numbers.count > 2 ? UInt32(numbers[2]) : 20_000)
            try growth.run()
        } catch {
            FileHandle.standardError.write(Data("store-growth: \(error)\n".utf8))
            exit(1)
        }
    }
    private init(store: SQLiteStore, sliceRows: Int, wanted: Int, endpointCount: UInt32) {
        self.store = store
        self.sliceRows = sliceRows
        self.wanted = wanted
        self.endpointCount = endpointCount
        traffic = Traffic(endpointCount: endpointCount)
    }

    private mutating func run() throws {
        let chunk = max(wanted / Growth.chunkCount, Traffic.batchRows)
        while traffic.rowCount < wanted {
            result.rates.append(try write(chunk))
            progress()
        }
        result.slowestBatchMillis = slowestSeconds * 1000
        store.awaitBackground()
        try ask()
        try drop()
        result.rows = traffic.rowCount
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        print(String(decoding: try encoder.encode(result), as: UTF8.self))
    }
    /// Rows a second of the time that the store took.
    private mutating func write(_ count: Int) throws -> Double {
        var used = 0.0
        let start = traffic.rowCount
        while traffic.rowCount - start < count {
            let batch = traffic.batch()
            let seconds = try Growth.seconds { try store.apply(batch) }
            used += seconds
            slowestSeconds = max(slowestSeconds, seconds)
        }
        return Double(traffic.rowCount - start) / used
    }
    private func progress() {
        let text = "\(traffic.rowCount) rows, \(Int(result.rates.last ?? 0)) a second\n"
        FileHandle.standardError.write(Data(text.utf8))
    }

    private mutating func ask() throws {
        var listings: [Double] = []
        var attempts: [Double] = []
        for _ in 0..<Growth.questionCount {
            var query = DeliveryQuery()
            query.endpoint = EndpointID(.random(in: 1...endpointCount))
            query.failedOnly = true
            query.limit = 50
            var rows: [DeliveryRow] = []
            listings.append(try Growth.seconds { rows = try store.rows(query).rows } * 1000)
            if !rows.allSatisfy({ $0.endpoint == query.endpoint && $0.attempts > 1 }) { result.isComplete = false }
            result.failedFound += rows.count

            let sequence = traffic.retriedSequence(.random(in: 0..<traffic.sequence))
            var found: [AttemptRow] = []
            attempts.append(try Growth.seconds { found = try store.attempts(sequence: sequence) } * 1000)
            if found.count < 2 { result.isComplete = false }
        }
        result.note(listings: listings, attempts: attempts)
    }
    /// The oldest slices go, one at a time, each between a batch of writing before it and one behind it.
    private mutating func drop() throws {
        var ratios: [Double] = []
        for number in 1...max(1, min(wanted / sliceRows - 1, Growth.dropCountMax)) {
            // An index that is being made would be measured instead.
            store.awaitBackground()
            let before = try write(sliceRows / 10)
            let newest = traffic.millis(row: number * sliceRows) + Traffic.batchMillis
            let dropping = try Growth.seconds { _ = try store.prune(before: newest + 1, oldest: 0, limit: 1000) }
            ratios.append(try write(sliceRows / 10) / before)
            result.dropMillis = max(result.dropMillis, dropping * 1000)
        }
        result.noteDrops(ratios)
        store.awaitBackground()
        result.rowsLeft = try StoreCheck.run(folder: store.database.folder) { 0 }.historyRows
        if result.rowsLeft >= traffic.rowCount { result.isComplete = false }
    }
    private static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        return try clock.measure(body) / .seconds(1)
    }
}

/// Deliveries as they come: each event goes to eight endpoints that follow each other, beginning anywhere; one event
/// in 97 needs a second attempt at its first endpoint.
private struct Traffic {
    static let batchRows = 2000
    static let batchMillis: Int64 = 25
    private static let fanOut: UInt64 = 8
    private static let retriedEvery: UInt64 = 97

    private static let startMillis: Int64 = 1_000_000
    private var nowMillis = Traffic.startMillis
    private(set) var sequence: UInt64 = 0
    private(set) var rowCount = 0
    private let endpointCount: UInt64

    init(endpointCount: UInt32) { self.endpointCount = UInt64(endpointCount) }

    /// When that many rows had been written.
    func millis(row: Int) -> Int64 {
        Traffic.startMillis + Int64((row + Traffic.batchRows - 1) / Traffic.batchRows) * Traffic.batchMillis
    }
    /// The event at or before this one that needed a second attempt.
    func retriedSequence(_ sequence: UInt64) -> UInt64 {
        max(sequence / Traffic.retriedEvery, 1) * Traffic.retriedEvery
    }
    mutating func batch() -> OutcomeBatch {
        var batch = OutcomeBatch()
        batch.rows.reserveCapacity(Traffic.batchRows)
        nowMillis += Traffic.batchMillis
        while batch.rows.count < Traffic.batchRows {
            sequence += 1
            let first = sequence &* 2_654_435_761 % endpointCount
            for number in 0..<Traffic.fanOut {
                let endpoint = EndpointID(UInt32((first + number) % endpointCount) + 1)
                let isRetried = number == 0 && sequence % Traffic.retriedEvery == 0
                batch.rows.append(
                    DeliveryRow(
                        endpoint: endpoint, place: EventLocation(sequence: sequence, position: sequence << 10),
                        state: .delivered, attempts: isRetried ? 2 : 1, status: 200, updatedMillis: nowMillis))
                if isRetried { batch.attempts += attempts(endpoint) }
            }
        }
        rowCount += batch.rows.count
        batch.nowMillis = nowMillis
        batch.shared = EventLocation(sequence: sequence, position: 0)
        return batch
    }
    private func attempts(_ endpoint: EndpointID) -> [AttemptRow] {
        [
            AttemptRow(
                endpoint: endpoint, sequence: sequence, number: 1, endedMillis: nowMillis - 5, status: 503,
                answer: Array("service unavailable".utf8)),
            AttemptRow(endpoint: endpoint, sequence: sequence, number: 2, endedMillis: nowMillis, status: 200),
        ]
    }
}

private struct GrowthResult: Encodable {
    var rows = 0
    var rowsLeft = 0
    /// Of each twentieth.
    var rates: [Double] = []
    var rateFirst = 0.0
    var rateLast = 0.0
    var slowestBatchMillis = 0.0
    var failedFound = 0
    var failedListingP50 = 0.0
    var failedListingP99 = 0.0
    var failedListingMax = 0.0
    var attemptsP50 = 0.0
    var attemptsP99 = 0.0
    var attemptsMax = 0.0
    /// Median of the rate behind a drop to the one before it.
    var rateKeptByDrop = 0.0
    /// The longest that the store's thread was busy with one.
    var dropMillis = 0.0
    var isComplete = true

    mutating func note(listings: [Double], attempts: [Double]) {
        // Medians of the first and the last fifth: a checkpoint more or less in one twentieth is chance.
        let part = max(rates.count / 5, 1)
        rateFirst = GrowthResult.quantile(Array(rates.prefix(part)), 0.5)
        rateLast = GrowthResult.quantile(Array(rates.suffix(part)), 0.5)
        failedListingP50 = GrowthResult.quantile(listings, 0.5)
        failedListingP99 = GrowthResult.quantile(listings, 0.99)
        failedListingMax = GrowthResult.quantile(listings, 1)
        attemptsP50 = GrowthResult.quantile(attempts, 0.5)
        attemptsP99 = GrowthResult.quantile(attempts, 0.99)
        attemptsMax = GrowthResult.quantile(attempts, 1)
    }
    mutating func noteDrops(_ ratios: [Double]) { rateKeptByDrop = GrowthResult.quantile(ratios, 0.5) }
    private static func quantile(_ values: [Double], _ part: Double) -> Double {
        values.sorted()[min(values.count - 1, Int(Double(values.count) * part))]
    }
}
