// The audit log as a chain: what was written is sound, and whatever is done to it afterwards is found.
import Engine
import FastPath
import Foundation
import GRDB
import TestSupport
import Testing

@Suite struct AuditChainTests {
    private let folder = TemporaryFolder()

    private func open() throws -> DatabaseQueue {
        let queue = try DatabaseQueue(path: folder.path + "/store.sqlite")
        var migrator = DatabaseMigrator()
        RegistryMigration.register(in: &migrator)
        try migrator.migrate(queue)
        return queue
    }
    private func entry(_ name: String) -> AuditEntry {
        AuditEntry(
            timeMillis: 1_000, actor: "key_1", requestID: name.isEmpty ? nil : "r", action: .update, kind: .endpoint,
            tenant: .main, resource: "ep_1", name: name, changes: [FieldChange(field: "url", before: "a", after: "b")])
    }
    private func filled(_ count: Int = 6) throws -> DatabaseQueue {
        let queue = try open()
        let store = try SQLiteRegistryStore(queue)
        try store.record([entry("0"), entry("1")])
        for number in 2..<count { try store.record([entry("\(number)")]) }
        return queue
    }
    private func problem(_ queue: DatabaseQueue, entryCountMax: Int = 100) throws -> AuditProblem? {
        try queue.read { try AuditChain.verify($0, entryCountMax: entryCountMax).problem }
    }

    @Test func whatWasWrittenIsSoundAndItsEndMovesOn() throws {
        let queue = try filled()
        let before = try queue.read { try AuditChain.verify($0, entryCountMax: 100) }
        #expect(before.problem == nil && before.entryCount == 6 && before.lastNumber == 6)
        try SQLiteRegistryStore(queue).record([entry("next")])
        let after = try AuditChain.verify(folder: folder.path)
        #expect(after.problem == nil && after.lastNumber == 7 && after.digestText != before.digestText)
        #expect(after.digestText.count == 64)
    }
    @Test(arguments: [
        "actor = 'key_2'", "time = 999", "name = 'x'", "changes = '[]'", "request = NULL", "request = ''",
        "kind = NULL", "tenant = 2", "action = 'delete'", "resource = 'ep_2'", "digest = zeroblob(32)",
        "digest = NULL", "digest = 'x'", "time = 'x'", "time = 1.5", "tenant = zeroblob(4)", "actor = x'ff'",
    ])
    func aChangedEntryIsFound(_ change: String) throws {
        let queue = try filled()
        try queue.write { try $0.execute(sql: "UPDATE audit SET \(change) WHERE number = 3") }
        #expect(try problem(queue) == .changed(3))
    }
    @Test(arguments: [Int64(1), 3, 6])
    func anEntryThatIsMissingIsFoundWhereverItStood(_ number: Int64) throws {
        let queue = try filled()
        try queue.write { try $0.execute(sql: "DELETE FROM audit WHERE number = ?", arguments: [number]) }
        #expect(try problem(queue) == .missing(number))
    }
    @Test func entriesThatChangedPlacesAreFound() throws {
        let queue = try filled()
        try queue.write { db in
            try db.execute(
                sql: """
                    UPDATE audit SET number = 100 WHERE number = 3;
                    UPDATE audit SET number = 3 WHERE number = 4;
                    UPDATE audit SET number = 4 WHERE number = 100;
                    """)
        }
        #expect(try problem(queue) == .moved(3))
    }
    @Test func aLogWhoseOldEndRetentionTookIsSound() throws {
        let queue = try filled(8)
        try queue.write { try $0.execute(sql: "DELETE FROM audit WHERE number <= 4") }
        #expect(try problem(queue, entryCountMax: 4) == nil)
        #expect(try problem(queue, entryCountMax: 5) == .missing(4), "retention leaves more than that")
    }
    @Test func anEndThatWasNotedTellsWhatTheLogAloneCannot() throws {
        let queue = try filled()
        let seen = try queue.read { try AuditChain.verify($0, entryCountMax: 100) }
        let known = try #require(AuditEnd("\(seen.lastNumber):\(seen.digestText.uppercased())"))
        func problem() throws -> AuditProblem? {
            try queue.read { try AuditChain.verify($0, known: known, entryCountMax: 100).problem }
        }
        #expect(try problem() == nil)
        try SQLiteRegistryStore(queue).record([entry("next")])
        #expect(try problem() == nil, "it has grown since")
        let cut = "DELETE FROM audit WHERE number > 4; UPDATE sqlite_sequence SET seq = 4 WHERE name = 'audit'"
        try queue.write { try $0.execute(sql: cut) }
        #expect(try self.problem(queue) == nil)
        #expect(try problem() == .missing(5))
        for name in ["other", "6"] { try SQLiteRegistryStore(queue).record([entry(name)]) }
        #expect(try self.problem(queue) == nil)
        #expect(try problem() == .rewritten(6))
    }
    @Test func anEndThatIsNoLongerKeptIsComparedAsLongAsItCanBe() throws {
        let queue = try filled(8)
        let ends = try (1...8).map { last in
            let digest = try queue.read { db in
                try #require(try Data.fetchOne(db, sql: "SELECT digest FROM audit WHERE number = \(last)"))
            }
            let text = digest.map { String(Int($0) + 256, radix: 16).suffix(2) }.joined()
            return try #require(AuditEnd("\(last):\(text)"))
        }
        try queue.write { try $0.execute(sql: "DELETE FROM audit WHERE number <= 4") }
        func problem(_ known: AuditEnd) throws -> AuditProblem? {
            try queue.read { try AuditChain.verify($0, known: known, entryCountMax: 4).problem }
        }
        let expected: [AuditProblem?] = [.notComparable(1), .notComparable(2), .notComparable(3)]
        #expect(try ends.map(problem) == expected + [nil, nil, nil, nil, nil])
        let other = try #require(AuditEnd("4:" + String(repeating: "0", count: 64)))
        #expect(try problem(other) == .rewritten(4))
    }
    @Test func anEndIsANumberAndADigest() {
        let digest = String(repeating: "0a", count: 32)
        #expect(AuditEnd("6:" + digest)?.number == 6)
        for text in ["", "6", ":", "6:", "x:" + digest, "-1:" + digest, "6:" + digest + "0", "6:" + digest + ":"] {
            #expect(AuditEnd(text) == nil, "\(text)")
        }
    }
    @Test func aLogOfAnEarlierVersionBecomesAChain() throws {
        let queue = try DatabaseQueue(path: folder.path + "/store.sqlite")
        var migrator = DatabaseMigrator()
        RegistryMigration.register(in: &migrator)
        try migrator.migrate(queue, upTo: "4-keys")
        try queue.write { db in
            for number in 1...3 {
                try db.execute(
                    sql: """
                        INSERT INTO audit (time, actor, action, tenant, resource, name, changes)
                        VALUES (?, 'api', 'create', 1, 'ep_1', 'a', '[]')
                        """, arguments: [number])
            }
        }
        #expect(try problem(queue) == .notChained)
        try migrator.migrate(queue)
        #expect(try problem(queue) == nil)
        try SQLiteRegistryStore(queue).record([entry("new")])
        #expect(try problem(queue) == nil)
    }
}
