// A data folder of the version before histories in slices (Tests/Fixtures/make_data_folder_v1.py made it) opens with
// every pending delivery, dead letter, delivered row and place. What it must hold is read from its own tables.

import Engine
import FastPath
import Foundation
import GRDB
import TestSupport
import Testing

/// The folder, and what its tables say before anything opens it.
private struct OldFolder {
    struct Endpoint: Decodable, FetchableRecord {
        let number: UInt32
        let name: String
        let sequence: UInt64
        let position: Int64
        let stop: Int?
        let stopped: Int64
        let removed: Int
    }
    struct Delivery: Decodable, FetchableRecord {
        let key: Int64
        let position: Int64
        let state: UInt8
        let attempts: UInt16
        let status: UInt16
        let result: UInt8
        let reason: UInt8?
        let due: Int64?
        let updated: Int64
        var endpoint: UInt32 { UInt32(key >> 48) }
        var sequence: UInt64 { UInt64(key) & (1 << 48 - 1) }
    }
    let folder = TemporaryFolder()
    let endpoints: [Endpoint]
    let deliveries: [Delivery]
    let written: Int64
    var data: String { folder.file("data") }

    init() throws {
        // Two, because reading changes a database's companions.
        for name in ["", "/copy"] {
            try FileManager.default.createDirectory(atPath: folder.path + name, withIntermediateDirectories: true)
            let tar = Process()
            tar.executableURL = URL(filePath: "/usr/bin/env")
            tar.arguments = ["tar", "xzf", Repository.fixture("data-folder-v1.tar.gz").path, "-C", folder.path + name]
            try tar.run()
            tar.waitUntilExit()
            try #require(tar.terminationStatus == 0)
        }
        let old = try DatabaseQueue(path: folder.file("copy/data/store.sqlite"))
        (endpoints, deliveries, written) = try old.read { db in
            (
                try Endpoint.fetchAll(db, sql: "SELECT * FROM endpoint ORDER BY number"),
                try Delivery.fetchAll(db, sql: "SELECT * FROM delivery ORDER BY key"),
                try Int64.fetchOne(db, sql: "SELECT written FROM clock") ?? 0
            )
        }
    }
    func open() throws -> SQLiteStore { try SQLiteStore(folder: data, logIdentity: 99) { 40 } }
    func rows(_ state: DeliveryState) -> [Delivery] { deliveries.filter { $0.state == state.rawValue } }
}

private func same(_ row: DeliveryRow, _ old: OldFolder.Delivery) -> Bool {
    row.endpoint == EndpointID(old.endpoint) && row.place.sequence == old.sequence
        && row.place.position == UInt64(bitPattern: old.position) && row.state.rawValue == old.state
        && row.attempts == old.attempts && row.status == old.status && row.result.rawValue == old.result
        && row.reason?.rawValue == old.reason && row.updatedMillis == old.updated
        && row.dueMillis == (old.due ?? 0)
}
private func check(_ store: SQLiteStore, _ old: [OldFolder.Delivery]) throws {
    for delivery in old {
        let rows = try store.rows(sequence: delivery.sequence).filter { $0.endpoint == EndpointID(delivery.endpoint) }
        #expect(rows.count == 1 && rows.allSatisfy { same($0, delivery) }, "\(delivery)")
    }
}

@Test func anOlderFolderKeepsWhatIsOpenAndEachPlace() throws {
    let old = try OldFolder()
    #expect(old.rows(.pending).count >= 2 && old.rows(.dead).count >= 2 && old.rows(.delivered).count >= 60)
    for _ in 0..<2 {
        let store = try old.open()
        let snapshot = try store.snapshot()
        #expect(snapshot.open.reduce(0) { $0 + $1.pending } == old.rows(.pending).count)
        #expect(snapshot.open.reduce(0) { $0 + $1.dead } == old.rows(.dead).count)
        try check(store, old.rows(.pending) + old.rows(.dead))
        #expect(snapshot.marks.map(\.endpoint.number) == old.endpoints.map(\.number))
        for (mark, endpoint) in zip(snapshot.marks, old.endpoints) {
            let place = EventLocation(sequence: endpoint.sequence, position: UInt64(bitPattern: endpoint.position))
            #expect(mark.resume == place)
        }
        #expect(snapshot.shared?.sequence == old.endpoints.filter { $0.removed == 0 }.map(\.sequence).max())
        let gone = old.endpoints.filter { $0.stop != nil }
        let states = snapshot.states.filter { $0.reason == .gone }
        #expect(gone.count == 1 && states.map(\.endpoint.number) == gone.map(\.number))
        #expect(states.map(\.sinceMillis) == gone.map(\.stopped))
        let removed = old.endpoints.filter { $0.removed != 0 && $0.stop == nil }
        #expect(removed.count == 1)
        #expect(snapshot.states.filter { $0.reason == .removed }.map(\.endpoint.number) == removed.map(\.number))
        #expect(snapshot.states.allSatisfy { $0.condition == .disabled })
        let names = try store.database.read {
            try String.fetchAll($0, sql: "SELECT name FROM endpoint_name_v1 ORDER BY number")
        }
        #expect(names == old.endpoints.map(\.name))
        // What stands behind a mark was sent, and is not sent as new.
        for endpoint in old.endpoints {
            let wanted = old.deliveries.filter { $0.endpoint == endpoint.number && $0.sequence >= endpoint.sequence }
            let found = try store.recorded(endpoint: EndpointID(endpoint.number), from: endpoint.sequence)
            #expect(found == wanted.map(\.sequence))
        }
    }
}

@Test func anOlderFoldersDeliveredRowsMoveIntoHistory() throws {
    let old = try OldFolder()
    do {
        let store = try old.open()
        // A delivery that is sent again meanwhile is not overwritten by its old row.
        let first = old.rows(.delivered)[0]
        var again = try #require(try DeliveryRow(old: first))
        again.updatedMillis += 5
        again.status = 204
        try store.apply(StoreSample.batch([again], now: old.written + 10))
        var rounds = 0
        while try store.prune(before: 0, oldest: 0, limit: 10).goesOn { rounds += 1 }
        #expect(rounds >= 5)
        #expect(try store.rows(sequence: first.sequence).contains(again))
        try check(store, Array(old.deliveries.filter { $0.state != first.state }))
        try check(store, Array(old.rows(.delivered).dropFirst()))
        let all = try StoreSample.everything(store)
        #expect(all.count == old.deliveries.count)
        let isLeft = try store.database.read { try $0.tableExists("delivery_v1") }
        #expect(!isLeft)
    }
    try check(try old.open(), Array(old.rows(.delivered).dropFirst()))
}

extension DeliveryRow {
    fileprivate init?(old: OldFolder.Delivery) throws {
        guard let state = DeliveryState(rawValue: old.state), let result = DeliveryResult(rawValue: old.result) else {
            return nil
        }
        self.init(
            endpoint: EndpointID(old.endpoint),
            place: EventLocation(sequence: old.sequence, position: UInt64(bitPattern: old.position)), state: state,
            attempts: old.attempts, status: old.status, result: result, updatedMillis: old.updated)
    }
}
