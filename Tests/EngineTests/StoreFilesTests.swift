// The files of the SQLite store: slices, crashes between them, damage, versions, rights, and the rebuild.

import Engine
import FastPath
import Foundation
import GRDB
import TestSupport
import Testing

private typealias Sample = StoreSample

private func open(
    _ folder: TemporaryFolder, log: UInt64 = 7, rows: Int64 = 2_000_000, events: UInt64 = 0
) throws -> SQLiteStore {
    var limits = HistoryLimits()
    limits.sliceRowsMax = rows
    limits.keptMillis = 8000
    return try SQLiteStore(folder: folder.path, logIdentity: log, limits: limits) { events }
}
private func registry(_ folder: TemporaryFolder, events: UInt64 = 0) throws -> SQLiteRegistryStore {
    let writer = try open(folder, events: events).writer
    let secrets = try SecretStore.open(writer, MasterKeySource(.dataFolder, folder: folder.path))
    return SQLiteRegistryStore(writer, secrets: secrets)
}
private func error(_ body: () throws -> Void) -> StoreError? {
    do {
        try body()
        return nil
    } catch { return error as? StoreError }
}

@Test func everythingIsThereAfterAReopen() throws {
    let folder = TemporaryFolder()
    let row = Sample.row(1, 4, .pending, due: 77)
    do {
        let store = try open(folder)
        try store.begin([Sample.endpoint(1)], at: Sample.place(4), isDurable: true)
        try store.apply(Sample.batch([row, Sample.row(1, 3, .delivered)]) { $0.shared = Sample.place(5) })
    }
    let store = try open(folder, events: 9)
    #expect(try store.snapshot().marks.map(\.resume) == [Sample.place(4)])
    #expect(try store.snapshot().shared == Sample.place(5))
    #expect(try store.pending(endpoint: Sample.endpoint(1), from: .first, limit: 9) == [row])
    #expect(try Sample.everything(store).map(\.place.sequence) == [4, 3])
}

@Test func onlyTheOwnerMayReadTheFiles() throws {
    let folder = TemporaryFolder()
    let store = try open(folder)
    try store.apply(Sample.batch([Sample.row(1, 1, .delivered), Sample.row(1, 2, .pending)]))
    let history = folder.sliceNames.map { "history/\($0)" }
    #expect(history.count == 1)
    for name in ["store.sqlite", "store.sqlite-wal"] + history {
        let rights = try FileManager.default.attributesOfItem(atPath: folder.file(name))[.posixPermissions] as? Int
        #expect(rights == 0o600, "\(name)")
    }
}

// MARK: - Slices

@Test func slicesAreClosedByRowsAndByTimeAndDroppedWhole() throws {
    let folder = TemporaryFolder()
    let store = try open(folder, rows: 10)
    // By rows: ten in a slice.
    for number in 1...25 as ClosedRange<UInt64> {
        try store.apply(Sample.batch([Sample.row(1, number, .delivered, updated: Int64(number))], now: 100))
    }
    #expect(folder.sliceNames.count == 3)
    // By time: an eighth of eight seconds.
    try store.apply(Sample.batch([Sample.row(1, 26, .delivered, updated: 1200)], now: 1200))
    #expect(folder.sliceNames.count == 4)
    _ = try store.prune(before: 21, oldest: 0, limit: 10)
    store.awaitBackground()
    #expect(folder.sliceNames.count == 2)
    #expect(try Sample.everything(store).map(\.place.sequence) == (21...26).reversed())
    // The one that is written goes as well when all of it is old, and the next batch begins a new one.
    _ = try store.prune(before: 9000, oldest: 0, limit: 10)
    store.awaitBackground()
    #expect(folder.sliceNames.isEmpty)
    try store.apply(Sample.batch([Sample.row(1, 27, .delivered)]))
    #expect(try store.recorded(endpoint: Sample.endpoint(1), from: 0) == [27])
}

@Test func oneAnswerGivenAThousandTimesIsKeptOnce() throws {
    let folder = TemporaryFolder()
    let store = try open(folder)
    let answer = String(repeating: "service unavailable ", count: 200)
    for round in 0..<10 as Range<UInt64> {
        let sequences = round * 100 + 1...round * 100 + 100
        try store.apply(
            Sample.batch(sequences.map { Sample.row(1, $0, .dead) }) {
                $0.attempts = sequences.map { Sample.attempt(1, $0, 1, ended: 1, answer: answer) }
            })
    }
    let count = { try store.database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM answer") } }
    #expect(try count() == 1)
    #expect(try store.attempts(sequence: 1000).first?.answer.count == 4000)
    while try store.prune(before: 0, oldest: .max, limit: 300).goesOn {}
    #expect(try count() == 0)
}

// MARK: - Crashes

/// store.sqlite refuses the last statement of each batch, when history has been written.
private func refuseBatches(_ store: SQLiteStore) throws {
    try store.database.write {
        try $0.execute(
            sql: """
                CREATE TRIGGER refuse BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'refused'); END
                """)
    }
}

@Test func aBatchThatFailsBehindHistoryIsWrittenAgain() throws {
    let folder = TemporaryFolder()
    let store = try open(folder)
    try store.apply(Sample.batch([Sample.row(1, 1, .pending, updated: 1)]))
    try refuseBatches(store)
    let batch = Sample.batch([Sample.row(1, 1, .delivered, updated: 2), Sample.row(1, 2, .delivered)]) {
        $0.shared = Sample.place(3)
    }
    #expect(throws: StoreError.self) { try store.apply(batch) }
    #expect(try store.rows(sequence: 1).map(\.state) == [.pending])
    #expect(try store.snapshot().shared == nil)
    try store.database.write { try $0.execute(sql: "DROP TRIGGER refuse") }
    try store.apply(batch)
    #expect(try Sample.everything(store).map(\.state) == [.delivered, .delivered])
    #expect(try store.snapshot().shared == Sample.place(3))
    #expect(try store.counts(endpoint: Sample.endpoint(1)).pending == 0)
}

@Test func aCrashBetweenHistoryAndStoreRepeatsNothingThatIsDone() throws {
    let folder = TemporaryFolder()
    do {
        let store = try open(folder)
        try store.apply(
            Sample.batch([Sample.row(1, 1, .pending, updated: 1), Sample.row(1, 5, .pending, updated: 1)]) {
                $0.attempts = [Sample.attempt(1, 1, 1, ended: 1, answer: "busy")]
            })
        try refuseBatches(store)
        let batch = Sample.batch([Sample.row(1, 1, .delivered, updated: 2), Sample.row(1, 2, .delivered)])
        #expect(throws: StoreError.self) { try store.apply(batch) }
        // Gone without another word.
    }
    let bare = try DatabaseQueue(path: folder.file("store.sqlite"))
    try bare.write { try $0.execute(sql: "DROP TRIGGER refuse") }
    try bare.close()
    let store = try open(folder)
    #expect(try store.pending(endpoint: Sample.endpoint(1), from: .first, limit: 9).map(\.place.sequence) == [5])
    #expect(try store.recorded(endpoint: Sample.endpoint(1), from: 0) == [1, 2, 5])
    #expect(try store.attempts(sequence: 1).map(\.number) == [1])
    // And a replay that comes later is not taken for what the crash left.
    try store.apply(Sample.batch([Sample.row(1, 2, .pending, updated: 0)]))
    #expect(try open(folder).rows(sequence: 2).map(\.state) == [.pending])
}

// MARK: - Two logs

@Test func twoLogsShareAStoreAndSeeOnlyTheirOwn() throws {
    let folder = TemporaryFolder()
    let logs: [(UInt64, DeliveryState)] = [(7, .pending), (.max, .dead)]
    for (log, state) in logs {
        let store = try open(folder, log: log)
        try store.begin([Sample.endpoint(1)], at: Sample.place(log % 100), isDurable: true)
        try store.apply(
            Sample.batch([Sample.row(1, 1, state), Sample.row(1, 2, .delivered, updated: Int64(log % 1000))]) {
                $0.attempts = [Sample.attempt(1, 1, 1, ended: Int64(log % 1000))]
                $0.shared = Sample.place(log % 50)
            })
    }
    let (first, second) = (try open(folder, log: 7), try open(folder, log: .max))
    #expect(try first.rows(sequence: 1).map(\.state) == [.pending])
    #expect(try second.rows(sequence: 1).map(\.state) == [.dead])
    #expect(try first.rows(sequence: 2).map(\.updatedMillis) == [7])
    #expect(try second.rows(sequence: 2).map(\.updatedMillis) == [Int64(UInt64.max % 1000)])
    #expect(try first.attempts(sequence: 1).count == 1)
    #expect(try first.oldestPending() == 1 && second.oldestPending() == nil)
    #expect(try first.snapshot().marks.map(\.resume) == [Sample.place(7)])
    #expect(try first.snapshot().shared == Sample.place(7))
    try second.forget([Sample.endpoint(1)])
    #expect(try first.counts(endpoint: Sample.endpoint(1)).pending == 1)
}

// MARK: - Damage, loss, versions

@Test func aMissingStoreBesideALogWithEventsIsNotForgotten() throws {
    let folder = TemporaryFolder()
    do { _ = try open(folder) }
    for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: folder.file("store.sqlite\(suffix)"))
    }
    let found = error { _ = try open(folder, events: 12) }
    #expect(found == .storeMissing(events: 12))
    #expect(found?.description.contains("sluice store rebuild") == true)
    #expect(found?.description.contains("12 events") == true)
    // An empty file is no better, and a log without events is a first start.
    #expect(FileManager.default.createFile(atPath: folder.file("store.sqlite"), contents: nil))
    #expect(error { _ = try open(folder, events: 12) } == .storeMissing(events: 12))
    #expect(try open(folder, events: 0).snapshot().shared == nil)
}

@Test(arguments: ["head", "end"])
func aDamagedStoreIsCalledDamaged(_ part: String) throws {
    let folder = TemporaryFolder()
    do {
        let store = try open(folder)
        try store.apply(Sample.batch((1...2000).map { Sample.row(1, $0, .pending) }))
    }
    let path = folder.file("store.sqlite")
    let bytes = try Data(contentsOf: URL(filePath: path))
    let damaged = part == "head" ? Data("no database at all ".utf8) + bytes.dropFirst(19) : bytes.prefix(8192)
    try damaged.write(to: URL(filePath: path))
    guard case .storeDamaged(let reason)? = error({ _ = try open(folder, events: 3) }) else {
        Issue.record("it must be called damaged")
        return
    }
    let text = StoreError.storeDamaged(reason: reason).description
    #expect(text.contains("sluice store rebuild") && !text.contains("free") && !text.contains(folder.path))
}

@Test func aDamagedSliceIsSetAsideAndTheRestGoesOn() throws {
    let folder = TemporaryFolder()
    do {
        let store = try open(folder, rows: 2)
        for number in 1...5 as ClosedRange<UInt64> {
            try store.apply(Sample.batch([Sample.row(1, number, .delivered)]))
        }
        store.awaitBackground()
    }
    try Data("no database at all, but long enough to be read as a header".utf8).write(
        to: URL(filePath: folder.file("history/\(folder.sliceNames[0])")))
    let store = try open(folder, rows: 2)
    #expect(try Sample.everything(store).map(\.place.sequence) == [5, 4, 3])
    let all = try FileManager.default.contentsOfDirectory(atPath: folder.file("history"))
    #expect(all.contains { $0.hasSuffix(".sqlite.damaged") })
}

@Test func filesOfANewerVersionAreRefusedByName() throws {
    let folder = TemporaryFolder()
    do {
        let store = try open(folder)
        try store.apply(Sample.batch([Sample.row(1, 1, .delivered)]))
    }
    let slice = "history/\(folder.sliceNames[0])"
    for (name, sql) in [
        (slice, "PRAGMA user_version = 99"),
        ("store.sqlite", "INSERT INTO grdb_migrations VALUES ('9-from-the-future')"),
    ] {
        let bare = try DatabaseQueue(path: folder.file(name))
        try bare.writeWithoutTransaction { try $0.execute(sql: sql) }
        try bare.close()
        let found = error { _ = try open(folder) }
        #expect(found == .newerFormat(file: name) && found?.description.contains("newer version") == true)
    }
}

/// Slices of format 1 have no host of an attempt: a closed one is read as it is, the newest is written on.
@Test func slicesOfTheFormatBeforeAreReadAndWrittenOn() throws {
    let folder = TemporaryFolder()
    func apply(_ store: SQLiteStore, _ number: UInt64, _ host: String?) throws {
        let last = Sample.attempt(1, number, 2 | AttemptCount.failover, ended: 1000, answer: "b", host: host)
        try store.apply(
            Sample.batch([Sample.row(1, number, .delivered)]) {
                $0.attempts = [Sample.attempt(1, number, 1, ended: 900, answer: "a"), last]
            })
    }
    do {
        let store = try open(folder, rows: 2)
        for number in 1...3 as ClosedRange<UInt64> { try apply(store, number, nil) }
        store.awaitBackground()
    }
    #expect(folder.sliceNames.count == 2)
    for name in folder.sliceNames {
        let bare = try DatabaseQueue(path: folder.file("history/\(name)"))
        try bare.writeWithoutTransaction {
            try $0.execute(sql: "ALTER TABLE attempt DROP COLUMN host; PRAGMA user_version = 1")
        }
        try bare.close()
    }
    let store = try open(folder)
    try apply(store, 4, "second.test")
    #expect(folder.sliceNames.count == 2, "the newest is written on")
    try apply(store, 5, "[::1]:8443")
    for (number, host) in [(1, nil), (3, nil), (4, "second.test"), (5, "[::1]:8443")] as [(UInt64, String?)] {
        let attempts = try store.attempts(sequence: number)
        #expect(attempts.map(\.host) == [nil, host] && attempts.map(\.answer) == [Array("a".utf8), Array("b".utf8)])
    }
}

@Test func aFolderThatCannotBeWrittenIsAMatterOfRights() throws {
    let folder = TemporaryFolder()
    try FileManager.default.createDirectory(atPath: folder.file("store.sqlite"), withIntermediateDirectories: true)
    guard case .cannotOpen(let file, _)? = error({ _ = try open(folder) }) else {
        Issue.record("it must be called a file that cannot be opened")
        return
    }
    #expect(file == "store.sqlite")
}

@Test func aRebuiltStoreDeliversFromThePlaceItWasGiven() throws {
    let folder = TemporaryFolder()
    do {
        let store = try open(folder)
        try store.apply(Sample.batch([Sample.row(1, 1, .delivered), Sample.row(1, 2, .pending)]))
    }
    var check = try StoreCheck.run(folder: folder.path) { 3 }
    #expect(check.problem == nil && check.historyProblems.isEmpty && check.pending == 1 && check.historyRows == 1)
    for number in 1...2 {
        try Data("no database at all, but long enough to be read as a header".utf8).write(
            to: URL(filePath: folder.file("store.sqlite")))
        check = try StoreCheck.run(folder: folder.path) { 3 }
        guard case .storeDamaged? = check.problem else {
            Issue.record("it must be called damaged")
            return
        }
        let report = try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: Sample.place(2))
        #expect(report.movedAside.contains("store.sqlite.damaged-\(number)") && !report.keepsRegistry)
        #expect(Set(TemporaryFolder.names(folder.path)).isSuperset(of: report.movedAside))
        let store = try open(folder, events: 3)
        #expect(try store.snapshot().shared == Sample.place(2) && store.snapshot().rebuiltFrom == Sample.place(2))
        #expect(try store.recorded(endpoint: Sample.endpoint(1), from: 0).isEmpty)
        #expect(try Sample.everything(store).isEmpty)
        try store.begin([Sample.endpoint(1)], at: Sample.place(2), isDurable: true)
        #expect(try store.snapshot().rebuiltFrom == nil)
    }
}

/// Records name tenants by their numbers: another one's events must not become theirs.
@Test func aRebuiltStoreKeepsTheRegistryThatCanBeRead() throws {
    let folder = TemporaryFolder()
    var endpoint = EndpointConfiguration()
    endpoint.name = "made"
    endpoint.tenant = "globex"
    endpoint.url = "https://hooks.example.com/made"
    do {
        let service = RegistryService(
            store: try registry(folder), process: ProcessSettings(),
            verifiers: VerifierRegistry())
        try service.open()
        for name in ["acme", "globex"] {
            _ = try service.apply(.edits([.createTenant(name: name, uid: nil)]), actor: ChangeActor("t"))
        }
        _ = try service.apply(.edits([.createEndpoint(endpoint)]), actor: ChangeActor("t"))
    }
    let before = try registry(folder).load()
    let report = try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: Sample.place(2))
    #expect(report.keepsRegistry)
    let after = try registry(folder, events: 3).load()
    #expect(after.tenants == before.tenants && after.tenants.map(\.name) == ["default", "acme", "globex"])
    #expect(after.endpoints == before.endpoints && after.endpoints.map(\.name) == ["made"])
    #expect(after.lastNumbers == before.lastNumbers)
    #expect(try AuditChain.verify(folder: folder.path).problem == nil)
}

/// As a full disk, or a kill between the two moves, leaves it.
@Test func aRebuildThatWasCutOffIsMadeAgainWithItsRegistry() throws {
    let folder = TemporaryFolder()
    do {
        let service = RegistryService(
            store: try registry(folder), process: ProcessSettings(),
            verifiers: VerifierRegistry())
        try service.open()
        _ = try service.apply(.edits([.createTenant(name: "acme", uid: nil)]), actor: ChangeActor("t"))
    }
    for suffix in ["", "-wal", "-shm"] {
        let path = folder.file("store.sqlite" + suffix)
        guard FileManager.default.fileExists(atPath: path) else { continue }
        try FileManager.default.moveItem(atPath: path, toPath: folder.file("store.sqlite.damaged-1" + suffix))
    }
    try Data().write(to: URL(filePath: folder.file("rejected.sqlite")))
    let report = try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: Sample.place(2))
    #expect(report.keepsRegistry && report.movedAside.isEmpty)
    #expect(try registry(folder, events: 3).load().tenants.map(\.name) == ["default", "acme"])
    let store = try open(folder, events: 3)
    #expect(try store.snapshot().rebuiltFrom == Sample.place(2))
    #expect(!FileManager.default.fileExists(atPath: folder.file("store.rebuild")))
}
@Test func aRegistryWithADamagedRowIsNotRead() throws {
    let folder = TemporaryFolder()
    _ = try open(folder)
    let bare = try DatabaseQueue(path: folder.file("store.sqlite"))
    try bare.writeWithoutTransaction { db in
        try db.execute(
            sql: """
                PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT NOT NULL', 'name TEXT')
                WHERE name = 'registry_tenant'
                """)
    }
    try bare.close()
    let loose = try DatabaseQueue(path: folder.file("store.sqlite"))
    try loose.writeWithoutTransaction { db in
        try db.execute(
            sql: """
                UPDATE registry_tenant SET name = NULL;
                PRAGMA writable_schema = ON;
                UPDATE sqlite_schema SET sql = replace(sql, 'name TEXT', 'name TEXT NOT NULL')
                WHERE name = 'registry_tenant'
                """)
    }
    try loose.close()
    try Data().write(to: URL(filePath: folder.file("rejected.sqlite")))
    let report = try StoreRebuild.run(folder: folder.path, logIdentity: 7, shared: Sample.place(2))
    #expect(!report.keepsRegistry && report.movedAside == ["store.sqlite.damaged-1", "rejected.sqlite.damaged-1"])
}

/// What the log's retention asks for before it removes a segment: dead letters in it are not taken back.
@Test func whatWasMadeDurableOutlivesAPowerCut() throws {
    let store = MemoryStore(losesPower: true)
    var batch = OutcomeBatch()
    batch.rows = [StoreSample.row(1, 5, .dead)]
    try store.apply(batch)
    try store.makeDurable()
    batch.rows = [StoreSample.row(1, 6, .dead)]
    try store.apply(batch)
    store.cutPower { _ in 0 }
    #expect(try store.rows(sequence: 5).count == 1)
    #expect(try store.rows(sequence: 6).isEmpty)
    for kind in StoreKind.allCases {
        try withStore(kind) { store in
            try store.apply(batch)
            try store.makeDurable()
        }
    }
}
