// Reads a store without changing it: nothing is made, migrated or moved, so it works beside a running gateway.

import Foundation
import GRDB

package enum StoreCheck {
    package struct Report: Equatable, Sendable {
        /// Why store.sqlite cannot be used; nil when it is sound, or not there because nothing has happened yet.
        package var problem: StoreError?
        /// What is wrong with files of the history, which nothing depends on.
        package var historyProblems: [String] = []
        package var pending = 0
        package var dead = 0
        package var historyRows = 0
    }
    private static let problemCountMax = 20

    /// Reads every page. `events` says how many events the folder's log holds. Errors of rights, space and version are
    /// thrown.
    package static func run(folder: String, events: () throws -> UInt64) throws -> Report {
        var report = Report()
        do {
            try readStore(folder, events, &report)
        } catch let error as StoreError {
            switch error {
            case .storeMissing, .storeDamaged: report.problem = error
            default: throw error
            }
        }
        let history = folder + "/" + HistorySlices.folderName
        let names = (try? FileManager.default.contentsOfDirectory(atPath: history)) ?? []
        for name in names.filter({ $0.hasSuffix(".sqlite") }).sorted() {
            do {
                try read(history + "/" + name, file: name) { db in
                    if let problem = try problems(db).first { report.historyProblems.append("\(name): \(problem)") }
                    report.historyRows += try Int.fetchOne(db, sql: "SELECT coalesce(sum(rows), 0) FROM log") ?? 0
                }
            } catch let error as StoreError { report.historyProblems.append(error.description) }
        }
        for name in names.filter({ $0.hasSuffix(".damaged") }).sorted() {
            report.historyProblems.append("\(name): was set aside by an earlier start")
        }
        return report
    }
    private static func readStore(
        _ folder: String, _ events: () throws -> UInt64, _ report: inout Report
    ) throws {
        let path = folder + "/" + StoreDatabase.fileName
        guard SQLiteFile.hasContent(path) else { return try expectNoEvents(events) }
        try read(path, file: StoreDatabase.fileName) { db in
            if try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") == 0 { try expectNoEvents(events) }
            if try Migrations.migrator.hasBeenSuperseded(db) {
                throw StoreError.newerFormat(file: StoreDatabase.fileName)
            }
            if let problem = try problems(db).first { throw StoreError.storeDamaged(reason: problem) }
            // A folder of an earlier version has its table under another name.
            let table = try ["open_delivery", "delivery"].first { try db.tableExists($0) }
            guard let table else { return }
            let count = "SELECT count(*) FROM \(table) WHERE state = ?"
            report.pending = try Int.fetchOne(db, sql: count, arguments: [DeliveryState.pending.rawValue]) ?? 0
            report.dead = try Int.fetchOne(db, sql: count, arguments: [DeliveryState.dead.rawValue]) ?? 0
        }
    }
    static func expectNoEvents(_ events: () throws -> UInt64) throws {
        let count = try events()
        if count > 0 { throw StoreError.storeMissing(events: count) }
    }
    static func read<R>(_ path: String, file: String, _ body: (Database) throws -> R) throws -> R {
        try StoreError.translating(file) {
            var configuration = Configuration()
            configuration.readonly = true
            configuration.busyMode = .timeout(5)
            let queue = try DatabaseQueue(path: path, configuration: configuration)
            defer { try? queue.close() }
            return try queue.read(body)
        }
    }
    private static func problems(_ db: Database) throws -> [String] {
        let lines = try String.fetchAll(db, sql: "PRAGMA quick_check(\(problemCountMax))")
        return lines == ["ok"] ? [] : lines
    }
}
