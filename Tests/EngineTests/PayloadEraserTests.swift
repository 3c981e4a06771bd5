// Content taken out of a real log: one event with the request that it came in, all messages of a tenant, what an
// earlier run has left; and the dispatcher's readers, which stand in the middle of it.
//
// Safety: tables of elements lie in memory that is given back when the test is over.

import Engine
import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct PayloadEraserTests {
    private final class Setting {
        let temporary = TestSupport.TemporaryFolder()
        let log: RealLog
        var path: String { temporary.path + "/log" }
        private(set) var expunged: ExpungedContent
        private(set) var eraser: PayloadEraser

        init() throws {
            log = try RealLog(path: temporary.path + "/log")
            expunged = try ExpungedContent(folder: temporary.path, before: 0)
            eraser = PayloadEraser(folder: log.folder, tail: log.tail, expunged: expunged, delivery: nil)
        }
        func restart() throws {
            expunged = try ExpungedContent(folder: temporary.path, before: 0)
            eraser = PayloadEraser(folder: log.folder, tail: log.tail, expunged: expunged, delivery: nil)
        }
        func message(_ keys: [String], tenant: UInt32 = 1) throws {
            try log.append(keys, tenant: tenant) { $0.sourceNumber = SourceID.messages.number }
        }
        var erased: [UInt64] {
            get throws {
                var found: [UInt64] = []
                let summary = try LogCheck.run(path: path) { record, _ in
                    if record.isErased { found.append(record.sequence) }
                    return true
                }
                #expect(summary.isSound)
                return found
            }
        }
        /// In how many files of the folder these words stand.
        func count(of words: String) throws -> Int {
            let files = try FileManager.default.subpathsOfDirectory(atPath: temporary.path)
            return try files.count { name in
                var isFolder: ObjCBool = false
                let file = temporary.path + "/" + name
                guard FileManager.default.fileExists(atPath: file, isDirectory: &isFolder), !isFolder.boolValue else {
                    return false
                }
                return try Data(contentsOf: URL(fileURLWithPath: file)).range(of: Data(words.utf8)) != nil
            }
        }
    }

    @Test func oneEventGoesAndItsNeighboursStay() throws {
        let setting = try Setting()
        try setting.log.append(["first-one", "second-one", "third-one"])
        #expect(try setting.eraser.erase(2) && setting.eraser.erase(2), "twice is once")
        #expect(try setting.erased == [2])
        #expect(try setting.count(of: "second-one") == 0 && setting.count(of: "first-one") == 1)
        #expect(try !setting.eraser.erase(4) && !setting.eraser.erase(99), "what is not there is not erased")
    }
    @Test func anEventOfARequestTakesTheRequestAlong() throws {
        let setting = try Setting()
        var tables: [UnsafeMutableBufferPointer<UInt8>] = []
        defer { for table in tables { table.deallocate() } }
        func elements(_ ranges: [Range<Int>]) -> ByteView {
            var table = ElementTable()
            for range in ranges { table.append(body: range, key: nil, eventType: Array("part".utf8)) }
            let block = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: table.bytes.count)
            _ = block.update(fromContentsOf: table.bytes)
            tables.append(block)
            return ByteView(UnsafePointer(block.baseAddress!), count: block.count)
        }
        // Two requests of several events in one group, and one that is an event itself.
        let parts = [[0..<7, 8..<15], [0..<7], []]
        var next = 0
        try setting.log.append(["piece-1 piece-2", "piece-4", "piece-6"]) { event in
            if !parts[next].isEmpty { event.elements = elements(parts[next]) }
            next += 1
        }
        #expect(try setting.eraser.erase(2))
        #expect(try setting.erased == [2, 3], "the other event of it stays")
        #expect(try setting.count(of: "piece-2") == 0 && setting.count(of: "piece-1") == 1)
        #expect(try setting.eraser.erase(5))
        #expect(try setting.erased == [2, 3, 4, 5], "a request goes with all of its events, and with no other's")
        #expect(try setting.count(of: "piece-4") == 0)
        #expect(try setting.eraser.erase(3))
        #expect(try setting.erased == [1, 2, 3, 4, 5])
        #expect(try setting.count(of: "piece-6") == 1)
    }
    @Test func whatCannotBeAnnouncedIsNotSaidToBeHidden() throws {
        let setting = try Setting()
        try setting.log.append(["still-here"])
        let announcement = setting.path + "/log/" + LogErasures.fileName
        try FileManager.default.createDirectory(atPath: announcement, withIntermediateDirectories: false)
        do {
            _ = try setting.eraser.erase(1)
            Issue.record("erased")
        } catch PayloadEraser.Failure.unannounced {}
        try FileManager.default.removeItem(atPath: announcement)
        #expect(try setting.erased.isEmpty && setting.count(of: "still-here") == 1)
        #expect(try setting.eraser.erase(1))
        #expect(try setting.count(of: "still-here") == 0)
    }
    @Test func labelsOfMessagesStay() throws {
        let setting = try Setting()
        try setting.message(["named-so"])
        #expect(try setting.eraser.erase(1))
        var keys: [String] = []
        _ = try LogCheck.run(path: setting.path) { record, _ in
            keys.append(record.key.text)
            #expect(record.isErased && record.body.count == 0 && record.fieldLines.count > 0)
            return true
        }
        #expect(keys == ["named-so"])
    }
    @Test func allMessagesOfATenantGoInBatchesAndNothingElse() throws {
        let setting = try Setting()
        for round in 0..<40 {
            try setting.message((0..<5).map { "mine-\(round)-\($0)" }, tenant: 7)
            try setting.message(["other-\(round)"], tenant: 8)
            try setting.log.append(["webhook-\(round)"], tenant: 7)
        }
        let last: UInt64 = 200
        #expect(try setting.expunged.add(messagesOf: TenantID(7), through: last) == 0)
        var counts: [Int] = []
        try setting.eraser.eraseMessages(of: TenantID(7), through: last, countedBehind: 70) { counts.append($0) }
        #expect(counts == counts.sorted() && counts.count > 2)
        var kept: [UInt64] = []
        var gone = 0
        _ = try LogCheck.run(path: setting.path) { record, _ in
            let isOwn = record.tenantNumber == 7 && record.sourceNumber == SourceID.messages.number
            #expect(record.isErased == (isOwn && record.sequence <= last))
            if record.isErased { gone += record.sequence > 70 ? 1 : 0 } else { kept.append(record.sequence) }
            return true
        }
        #expect(counts.last == gone)
        #expect(setting.expunged.tenantsLeft.isEmpty && setting.expunged.erasedThrough(of: TenantID(7)) == last)
        // The next time begins where this one ended.
        #expect(try setting.expunged.add(messagesOf: TenantID(7), through: 280) == last)
        var again = 0
        try setting.eraser.eraseMessages(of: TenantID(7), through: 280) { again = $0 }
        #expect(again == 56)
    }
    @Test func whatWasLeftIsErasedAfterTheStart() throws {
        let setting = try Setting()
        for round in 0..<30 { try setting.message((0..<5).map { "mine-\(round)-\($0)" }, tenant: 7) }
        try setting.message(["single"])
        _ = try setting.expunged.add(messagesOf: TenantID(7), through: 150)
        struct Stop: Error {}
        #expect(throws: Stop.self) {
            try setting.eraser.eraseMessages(of: TenantID(7), through: 150) { _ in throw Stop() }
        }
        #expect(try setting.erased.count < 150)
        // A line of an earlier version, for one message.
        let file = URL(fileURLWithPath: setting.temporary.path + "/expunged")
        try (Data(contentsOf: file) + Data("m 151\n".utf8)).write(to: file)
        try setting.restart()
        #expect(setting.expunged.messagesLeft == [151])
        let expunged = setting.expunged
        // A stop leaves the rest to the next start.
        try setting.eraser.finish { expunged.messagesLeft.isEmpty }
        #expect(!setting.expunged.tenantsLeft.isEmpty)
        try setting.eraser.finish { false }
        #expect(try setting.erased == Array(1...151))
        #expect(setting.expunged.messagesLeft.isEmpty && setting.expunged.tenantsLeft.isEmpty)
    }
    @Test func theDispatchersReadersHandOutNothingOfWhatIsErased() throws {
        let setting = try Setting()
        try setting.log.append((1...20).map { "key-\($0)" })
        let readers = LogReaders(folder: setting.log.folder, tail: setting.log.tail)
        func read(_ sequence: UInt64) throws -> (isErased: Bool, bytes: Int) {
            guard case .event(let event) = readers.read(at: EventLocation(sequence: sequence, position: 0)) else {
                throw RealLog.Refused(verdict: "no event \(sequence)")
            }
            #expect(event.place.sequence == sequence)
            return (event.isErased, event.body.count)
        }
        for sequence in UInt64(1)...5 { #expect(try read(sequence) == (false, 200)) }
        // The one that it has just handed out, and one that it has read ahead.
        #expect(try setting.eraser.erase(5) && setting.eraser.erase(7))
        #expect(try read(5) == (true, 0))
        #expect(try read(6) == (false, 200))
        #expect(try read(7) == (true, 0))
        #expect(try read(8) == (false, 200))
    }
    /// Readers of every kind while one event after the other is erased under them.
    @Test func whoeverReadsMeanwhileMeetsEventsOrErasedOnes() throws {
        let setting = try Setting()
        for round in 0..<60 { try setting.log.append((0..<5).map { "key-\(round * 5 + $0 + 1)" }, bodyBytes: 900) }
        let (folder, tail) = (setting.log.folder, setting.log.tail)
        let path = setting.path
        let group = DispatchGroup()
        let isOver = Flag()
        for kind in 0..<3 {
            DispatchQueue.global().async(group: group) {
                let beside = kind == 2 ? try? LogFolder(path: path, access: .readOnly) : folder
                guard let beside else {
                    Issue.record("the folder cannot be read")
                    return
                }
                while !isOver.isSet {
                    var reader = LogReader(folder: beside, from: 1, bufferBytes: kind == 0 ? 4096 : 1 << 20)
                    var next: UInt64 = 1
                    while case .record(let record, _) = reader.next(through: tail.snapshot) {
                        let isWhole = record.key.text == "key-\(next)" && record.body.count == 900
                        guard record.sequence == next, record.isErased ? record.body.count == 0 : isWhole else {
                            Issue.record("reader \(kind) met \(record.sequence) for \(next)")
                            return
                        }
                        next += 1
                    }
                    guard next == 301 else {
                        Issue.record("reader \(kind) came to \(next)")
                        return
                    }
                }
            }
        }
        for sequence in stride(from: UInt64(2), through: 300, by: 3) { #expect(try setting.eraser.erase(sequence)) }
        isOver.set()
        group.wait()
        #expect(try setting.erased.count == 100)
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}
