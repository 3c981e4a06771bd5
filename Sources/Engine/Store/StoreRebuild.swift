// A new store beside a log whose store was lost or cannot be read any more: on an operator's word alone, because it
// delivers events a second time. What was there is moved aside, never removed.
//
// History goes aside with the store: its rows name endpoints by numbers that the lost file gave, and a new one gives
// the same numbers to others, whose events would then count as delivered.

import FastPath
import Foundation
import GRDB

package enum StoreRebuild {
    package struct Report: Equatable, Sendable {
        /// Names in the data folder of what was moved aside.
        package var movedAside: [String] = []
        package var shared: EventLocation
    }

    /// All lanes of the new store go on at `shared`, those of new endpoints too, which all are: every event from there
    /// on is delivered to the endpoints that want it. Nobody else may have the folder open.
    package static func run(
        folder: String, logIdentity: UInt64, shared: EventLocation
    ) throws -> Report {
        var report = Report(shared: shared)
        let number = firstFree(folder)
        let path = folder + "/" + StoreDatabase.fileName
        if FileManager.default.fileExists(atPath: path) {
            let aside = "\(StoreDatabase.fileName).damaged-\(number)"
            try SQLiteFile.move(path, to: folder + "/" + aside)
            report.movedAside.append(aside)
        } else {
            // A write-ahead log without its database.
            SQLiteFile.remove(path)
        }
        let history = folder + "/" + HistorySlices.folderName
        if let names = try? FileManager.default.contentsOfDirectory(atPath: history), !names.isEmpty {
            let aside = "\(HistorySlices.folderName).damaged-\(number)"
            try FileManager.default.moveItem(atPath: history, toPath: folder + "/" + aside)
            report.movedAside.append(aside)
        }
        let store = try SQLiteStore(folder: folder, logIdentity: logIdentity)
        try store.markRebuilt(from: shared, nowMillis: Int64(Date().timeIntervalSince1970 * 1000))
        return report
    }
    private static func firstFree(_ folder: String) -> Int {
        var number = 1
        while [StoreDatabase.fileName, HistorySlices.folderName].contains(where: {
            FileManager.default.fileExists(atPath: "\(folder)/\($0).damaged-\(number)")
        }) { number += 1 }
        return number
    }
}
