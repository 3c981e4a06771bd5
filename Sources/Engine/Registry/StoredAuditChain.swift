// The audit log as a chain: the digest of an entry covers the entry and the digest of the one before it, so an entry
// that was changed, taken out or moved is found by whoever reads the log again.
//
// What the log alone cannot show is that its end was cut off, or all of it written anew: for that, note elsewhere what
// a verification says is the end, and give it to the next (`AuditEnd`). Each entry also has the digest of the one
// before, so that the chain can be followed from wherever retention has cut its old end.
import FastPath
import Foundation
import GRDB

/// An entry as it is stored.
struct ChainedEntry {
    static let start = [UInt8](repeating: 0, count: 32)

    let number: Int64
    /// The digest of the entry before.
    let previous: [UInt8]
    private let columns: [String?]
    var digest: [UInt8] {
        var bytes = previous
        for column in ["\(number)"] + columns {
            // A length before each, so that no two entries have the same bytes; nothing is told from an empty text.
            bytes += Array("\(column?.utf8.count ?? -1):".utf8) + Array((column ?? "").utf8)
        }
        return Digest.sha256(bytes)
    }

    init(_ entry: AuditEntry, number: Int64, changes: String, after previous: [UInt8]) {
        self.number = number
        self.previous = previous
        columns = [
            "\(entry.timeMillis)", entry.actor, entry.requestID, entry.action.rawValue,
            entry.kind.map { "\($0.rawValue)" }, "\(entry.tenant.number)", entry.resource, entry.name, changes,
        ]
    }
    /// Nil when a column has what nobody writes there.
    init?(_ row: Row, after previous: [UInt8]) {
        guard let number = Int64.fromDatabaseValue(row["number"]) else { return nil }
        self.number = number
        self.previous = previous
        var columns: [String?] = []
        for name in ["time", "actor", "request", "action", "kind", "tenant", "resource", "name", "changes"] {
            switch (row[name] as DatabaseValue).storage {
            case .null: columns.append(nil)
            case .int64(let number): columns.append("\(number)")
            case .string(let text): columns.append(text)
            case .double, .blob: return nil
            }
        }
        self.columns = columns
    }
}

/// Where an earlier verification found the end.
package struct AuditEnd: Equatable, Sendable {
    package let number: Int64
    package let digest: [UInt8]

    /// `NUMBER:DIGEST`, as the verification says it.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[0]), number >= 0,
            let digest = TextEncoding.bytes(of: String(parts[1]), as: .hex), digest.count == ChainedEntry.start.count
        else { return nil }
        self.number = number
        self.digest = digest
    }
}

package enum AuditProblem: Error, Equatable, Sendable, CustomStringConvertible {
    case changed(Int64)
    case missing(Int64)
    /// It does not follow the entry before it: one of the two stood elsewhere.
    case moved(Int64)
    /// It is sound and another one than an earlier verification saw.
    case rewritten(Int64)
    /// The end that was noted is older than the oldest entry that is kept.
    case notComparable(Int64)
    case notChained

    package var description: String {
        switch self {
        case .changed(let number): "entry \(number) is not as it was written"
        case .missing(let number): "entry \(number) is missing"
        case .moved(let number): "entry \(number) does not follow the one before it"
        case .rewritten(let number): "entry \(number) is another one than the end that was noted"
        case .notComparable(let number):
            "entry \(number), the end that was noted, is no longer kept: nothing says that this is the same log"
        case .notChained: "the log is of an earlier version; the next start of the gateway makes it a chain"
        }
    }
}

package struct AuditVerdict: Sendable {
    package var entryCount = 0
    /// 0 = none.
    package var lastNumber: Int64 = 0
    /// Of the last entry; covers all of them.
    package var digest = ChainedEntry.start
    /// The first that was found.
    package var problem: AuditProblem?
    package init() {}
    package var digestText: String { TextEncoding.hex(digest) }
}

package enum AuditChain {
    /// Of a data folder; works beside a running gateway. `known`: the end that an earlier verification found.
    package static func verify(folder: String, known: AuditEnd? = nil) throws -> AuditVerdict {
        let file = StoreDatabase.fileName
        return try StoreCheck.read(folder + "/" + file, file: file) { try verify($0, known: known) }
    }
    /// `entryCountMax`: what retention leaves; a log that does not begin with its first entry has as many.
    package static func verify(
        _ db: Database, known: AuditEnd? = nil, entryCountMax: Int = AuditBounds.entryCountMax
    ) throws -> AuditVerdict {
        var verdict = AuditVerdict()
        guard try db.columns(in: "audit").contains(where: { $0.name == "digest" }) else {
            verdict.problem = .notChained
            return verdict
        }
        let rows = try Row.fetchCursor(db, sql: "SELECT * FROM audit ORDER BY number")
        var first: Int64?
        while let row = try rows.next() {
            let number: Int64 = row["number"]
            guard let previous = Data.fromDatabaseValue(row["previous"]),
                let digest = Data.fromDatabaseValue(row["digest"])
            else {
                verdict.problem = .changed(number)
                return verdict
            }
            if first != nil, number != verdict.lastNumber + 1 {
                verdict.problem = .missing(verdict.lastNumber + 1)
                return verdict
            }
            let isFollowing =
                first == nil ? number > 1 || Array(previous) == ChainedEntry.start : Array(previous) == verdict.digest
            guard isFollowing else {
                verdict.problem = .moved(number)
                return verdict
            }
            guard ChainedEntry(row, after: Array(previous))?.digest == Array(digest) else {
                verdict.problem = .changed(number)
                return verdict
            }
            if let known, number == known.number, Array(digest) != known.digest {
                verdict.problem = .rewritten(number)
                return verdict
            }
            if let known, first == nil, known.number > 0, known.number < number {
                // Of the entry right before the oldest one the digest is left.
                guard known.number == number - 1 else {
                    verdict.problem = .notComparable(known.number)
                    return verdict
                }
                guard Array(previous) == known.digest else {
                    verdict.problem = .rewritten(known.number)
                    return verdict
                }
            }
            first = first ?? number
            verdict.entryCount += 1
            verdict.lastNumber = number
            verdict.digest = Array(digest)
        }
        let written = try Int64.fetchOne(db, sql: "SELECT seq FROM sqlite_sequence WHERE name = 'audit'") ?? 0
        if let first, first > 1, verdict.entryCount < entryCountMax { verdict.problem = .missing(first - 1) }
        let end = max(written, known?.number ?? 0)
        if end > verdict.lastNumber { verdict.problem = .missing(verdict.lastNumber + 1) }
        return verdict
    }

    /// Makes a chain of what an earlier version wrote.
    static func adopt(_ db: Database) throws {
        let update = try db.makeStatement(sql: "UPDATE audit SET previous = ?, digest = ? WHERE number = ?")
        var previous = ChainedEntry.start
        for row in try Row.fetchAll(db, sql: "SELECT * FROM audit ORDER BY number") {
            guard let entry = ChainedEntry(row, after: previous) else { throw RegistryStoreError.unreadable }
            let digest = entry.digest
            try update.execute(arguments: [Data(previous), Data(digest), entry.number])
            previous = digest
        }
    }
    /// The number and the predecessor's digest of the next entry.
    static func end(_ db: Database) throws -> (number: Int64, previous: [UInt8]) {
        let count = try db.cachedStatement(sql: "SELECT seq FROM sqlite_sequence WHERE name = 'audit'")
        let newest = try db.cachedStatement(sql: "SELECT digest FROM audit ORDER BY number DESC LIMIT 1")
        let written = try Int64.fetchOne(count) ?? 0
        let last = try Data.fetchOne(newest)
        return (written + 1, last.map { Array($0) } ?? ChainedEntry.start)
    }
}
