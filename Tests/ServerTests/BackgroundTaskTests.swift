// Background tasks: their turns, their bounds, what is kept of them over a restart.
import Engine
import Foundation
import Server
import Synchronization
import TestSupport
import Testing

@Suite struct BackgroundTaskTests {
    /// Holds work until it is let go.
    private final class Gate: Sendable {
        private let state = Mutex((isOpen: false, entered: [String]()))
        var entered: [String] { state.withLock { $0.entered } }
        func open() { state.withLock { $0.isOpen = true } }
        func work(_ name: String) -> BackgroundWork {
            { progress in
                self.state.withLock { $0.entered.append(name) }
                while !self.state.withLock({ $0.isOpen }) {
                    try progress.say(["by": .text(name)])
                    Thread.sleep(forTimeInterval: 0.001)
                }
                return ["name": .text(name)]
            }
        }
    }
    private func wait(_ what: String, until holds: () throws -> Bool) throws {
        for _ in 0..<10_000 {
            if try holds() { return }
            Thread.sleep(forTimeInterval: 0.002)
        }
        Issue.record("waited in vain for \(what)")
    }
    private func all(_ tasks: BackgroundTasks, _ tenant: String? = nil) throws -> [BackgroundTask] {
        try tasks.page(SvixPaging(isAscending: true), tenant: tenant, status: nil, kind: nil).data
    }

    @Test func aTaskRunsIsLookedUpAndEnds() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        let begun = try tasks.begin(.recover, tenant: "app_1", gate.work("a"))
        #expect(begun.status == .running && begun.kind.rawValue == "endpoint.recover" && begun.id.count == 33)
        try wait("what it says") { try tasks.task(begun.id, tenant: nil)?.data["by"] == "a" }
        gate.open()
        try wait("its end") { try tasks.task(begun.id, tenant: "app_1")?.status == .finished }
        let ended = try #require(try tasks.task(begun.id, tenant: nil))
        #expect(ended.data == ["name": "a"] && ended.updatedMillis >= begun.updatedMillis)
        #expect(try tasks.task(begun.id, tenant: "app_2") == nil)
        #expect(try tasks.task("qtask_", tenant: nil) == nil)
    }
    @Test func aFailureSaysWhyAndNothingOfTheInside() throws {
        struct Inner: Error {}
        let tasks = BackgroundTasks()
        let said = try tasks.begin(.replay, tenant: nil) { _ in throw SvixError.notFound("it is gone") }
        let hidden = try tasks.begin(.replay, tenant: nil) { _ in throw Inner() }
        try wait("both") { try all(tasks).allSatisfy { $0.status == .failed } }
        #expect(try tasks.task(said.id, tenant: nil)?.data == ["error": "it is gone"])
        #expect(try tasks.task(hidden.id, tenant: nil)?.data == ["error": "an internal error; try again"])
    }
    @Test func aTenantHasOneRunningAndOthersPassIt() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        for name in ["a1", "a2", "a3"] { _ = try tasks.begin(.replay, tenant: "a", gate.work(name)) }
        for name in ["b", "c", "d", "e"] { _ = try tasks.begin(.replay, tenant: name, gate.work(name)) }
        try wait("four of them") { gate.entered.count == BackgroundTasks.runningMax }
        #expect(Set(gate.entered) == ["a1", "b", "c", "d"])
        gate.open()
        try wait("the end") { try all(tasks).allSatisfy { $0.status == .finished } }
        #expect(gate.entered.count == 7)
    }
    @Test func whatWaitsIsBoundedForEachTenant() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        _ = try tasks.begin(.replay, tenant: "a", gate.work("first"))
        for _ in 0..<BackgroundTasks.tenantWaitingMax { _ = try tasks.begin(.replay, tenant: "a") { _ in [:] } }
        do {
            _ = try tasks.begin(.replay, tenant: "a") { _ in [:] }
            Issue.record("one more was taken")
        } catch let error as SvixError { #expect(error.status == 429 && error.code == "rate_limited") }
        _ = try tasks.begin(.replay, tenant: "b") { _ in [:] }
        gate.open()
        try wait("the end") { try all(tasks).allSatisfy { $0.status == .finished } }
        #expect(try all(tasks, "a").count == BackgroundTasks.tenantWaitingMax + 1)
        _ = try tasks.begin(.replay, tenant: "a") { _ in [:] }
    }
    @Test func theOldestThatAreOverGoFirst() throws {
        let clock = Mutex<UInt64>(1_000_000_000_000_000_000)
        let tasks = BackgroundTasks(nowNanos: { clock.withLock { $0 } })
        let other = try tasks.begin(.replay, tenant: "b") { _ in [:] }
        var ids: [String] = []
        for number in 0..<(BackgroundTasks.tenantCountMax + 20) {
            ids.append(try tasks.begin(.replay, tenant: "a") { _ in [:] }.id)
            try wait("number \(number)") { try tasks.task(ids[number], tenant: nil)?.status == .finished }
        }
        #expect(ids == ids.sorted() && Set(ids).count == ids.count, "in one moment, too")
        var paging = SvixPaging(isAscending: true)
        paging.limit = SvixPaging.limitMax
        let first = try tasks.page(paging, tenant: "a", status: nil, kind: nil).data.first?.id
        #expect(first == ids[20])
        #expect(try tasks.task(other.id, tenant: "b") != nil, "a tenant pushes out its own alone")
        clock.withLock { $0 += UInt64(BackgroundTasks.ageMillisMax + 1) * 1_000_000 }
        let last = try tasks.begin(.replay, tenant: "c") { _ in [:] }
        #expect(try all(tasks).map(\.id) == [last.id])
    }
    @Test func whatATaskSaysIsBounded() throws {
        let tasks = BackgroundTasks()
        let long = String(repeating: "x", count: BackgroundTasks.dataBytesMax)
        let begun = try tasks.begin(.replay, tenant: nil) { _ in ["long": .text(long)] }
        try wait("its end") { try tasks.task(begun.id, tenant: nil)?.data["error"] != nil }
        #expect(try tasks.task(begun.id, tenant: nil)?.data["long"] == nil)
    }
    @Test func pagesGoBothWaysAndFilter() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        var ids: [String] = []
        for number in 0..<6 {
            ids.append(try tasks.begin(number % 2 == 0 ? .replay : .recover, tenant: "a") { _ in [:] }.id)
        }
        try wait("their end") { try all(tasks).allSatisfy { $0.status == .finished } }
        ids.append(try tasks.begin(.replay, tenant: "a", gate.work("running")).id)
        func page(
            _ iterator: String?, backward: Bool = false, status: BackgroundTask.Status? = nil,
            kind: BackgroundTask.Kind? = nil
        ) throws -> (ids: [String], isDone: Bool) {
            var paging = SvixPaging(isAscending: false)
            (paging.limit, paging.iterator, paging.isBackward) = (3, iterator, backward)
            let page = try tasks.page(paging, tenant: "a", status: status, kind: kind)
            return (page.data.map(\.id), page.isDone)
        }
        #expect(try page(nil) == ([ids[6], ids[5], ids[4]], false))
        #expect(try page(ids[4]) == ([ids[3], ids[2], ids[1]], false))
        #expect(try page(ids[1]) == ([ids[0]], true))
        #expect(try page(ids[3], backward: true) == ([ids[6], ids[5], ids[4]], true))
        #expect(try page(nil, kind: .recover) == ([ids[5], ids[3], ids[1]], true))
        #expect(try page(nil, status: .running) == ([ids[6]], true))
        gate.open()
    }
    @Test func aRestartKeepsWhatIsOverAndFailsWhatWasRunning() throws {
        let folder = TemporaryFolder()
        let gate = Gate()
        let before = BackgroundTasks(folder: folder.path)
        let over = try before.begin(.replay, tenant: "a") { _ in ["messagesSent": 3] }
        try wait("its end") { try before.task(over.id, tenant: nil)?.status == .finished }
        let left = try before.begin(.purge, tenant: "b", gate.work("left"))
        // As a kill would leave it: the half of a line behind.
        let path = folder.path + "/" + BackgroundTasks.fileName
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data("{\"id\":\"qtask".utf8))
        try handle.close()
        for _ in 0..<2 {
            let after = BackgroundTasks(folder: folder.path)
            #expect(try after.task(over.id, tenant: "a")?.data == ["messagesSent": 3])
            let failed = try #require(try after.task(left.id, tenant: "b"))
            #expect(failed.status == .failed && failed.data["error"] != nil)
        }
        gate.open()
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    private func line(_ id: String, _ tenant: String?, _ updatedMillis: Int64) -> String {
        var task = "{\"byteCount\":2,\"data\":{},\"id\":\"\(id)\",\"kind\":\"endpoint.replay\",\"status\":\"finished\","
        if let tenant { task += "\"tenant\":\"\(tenant)\"," }
        return task + "\"updatedMillis\":\(updatedMillis)}\n"
    }
    @Test func ofALongFileTheNewestOfEachTenantAreKept() throws {
        let folder = TemporaryFolder()
        let now: UInt64 = 1_800_000_000_000_000_000
        let millis = Int64(now / 1_000_000)
        func id(_ place: Int) -> String {
            SvixID.text(BackgroundTask.prefix, high: UInt32(now / 1_000_000_000) + UInt32(place), low: 0)
        }
        var text = ""
        let count = BackgroundTasks.tenantCountMax + 100
        for place in 0..<count { text += line(id(place), "a", millis) }
        text += line(id(count), "b", millis) + line(id(count + 1), "b", millis - BackgroundTasks.ageMillisMax - 1)
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/" + BackgroundTasks.fileName))
        let tasks = BackgroundTasks(folder: folder.path, nowNanos: { now })
        #expect(try tasks.task(id(100), tenant: "a") != nil && tasks.task(id(99), tenant: "a") == nil)
        #expect(try tasks.task(id(count), tenant: "b") != nil && tasks.task(id(count + 1), tenant: "b") == nil)
        // The clock was set back since: what begins now is the newest all the same.
        let begun = try tasks.begin(.replay, tenant: "b") { _ in [:] }
        #expect(begun.id > id(count + 1))
    }
    @Test func aFileThatCannotBeReadIsNotTakenForNone() throws {
        let folder = TemporaryFolder()
        let path = folder.path + "/" + BackgroundTasks.fileName
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        let tasks = BackgroundTasks(folder: folder.path)
        for _ in 0..<2 {
            do {
                _ = try tasks.begin(.replay, tenant: "a") { _ in [:] }
                Issue.record("it was begun")
            } catch let error as SvixError { #expect(error.status == 503) }
        }
        try FileManager.default.removeItem(atPath: path)
        _ = try tasks.begin(.replay, tenant: "a") { _ in [:] }
    }
    @Test func aPageEndsWhereItIsLong() throws {
        let tasks = BackgroundTasks()
        let long = String(repeating: "x", count: BackgroundTasks.pageBytesMax / 2)
        var ids: [String] = []
        for _ in 0..<5 { ids.append(try tasks.begin(.replay, tenant: "a") { _ in ["long": .text(long)] }.id) }
        // One by one: a page does not show all.
        try wait("their end") { try ids.allSatisfy { try tasks.task($0, tenant: "a")?.status == .finished } }
        var paging = SvixPaging(isAscending: true)
        var found: [[String]] = []
        while true {
            let page = try tasks.page(paging, tenant: "a", status: nil, kind: nil)
            found.append(page.data.map(\.id))
            guard !page.isDone, found.count < 9 else { break }
            paging.iterator = page.iterator
        }
        #expect(found == [Array(ids[..<2]), Array(ids[2..<4]), [ids[4]]])
    }
    @Test func whatIsDoneFirstIsDoneWithATurnAlone() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        let done = Mutex(0)
        func begin(_ tenant: String) throws -> BackgroundTask {
            try tasks.begin(
                .purge, tenant: tenant,
                after: {
                    done.withLock { number in
                        number += 1
                        return number
                    }
                }, { number in gate.work("\(number)") })
        }
        for _ in 0...BackgroundTasks.tenantWaitingMax { _ = try begin("a") }
        #expect(throws: SvixError.self) { try begin("a") }
        #expect(done.withLock { $0 } == BackgroundTasks.tenantWaitingMax + 1)
        _ = try begin("b")
        gate.open()
    }
    @Test func nobodyTakesATurnAwayWhileSomethingIsDoneFirst() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        _ = try tasks.begin(.replay, tenant: "a", gate.work("first"))
        try wait("the first") { gate.entered == ["first"] }
        for _ in 1..<BackgroundTasks.tenantWaitingMax { _ = try tasks.begin(.replay, tenant: "a") { _ in [:] } }
        // The last turn is taken before what is done first, and nobody else has it then.
        let last = try tasks.begin(
            .purge, tenant: "a",
            after: { #expect(throws: SvixError.self) { try tasks.begin(.replay, tenant: "a") { _ in [:] } } },
            { _ in { _ in ["messagesPurged": 1] } })
        gate.open()
        try wait("its end") { try tasks.task(last.id, tenant: nil)?.status == .finished }
    }
    @Test func whatFailsFirstEndsTheTaskAndGivesTheTurnBack() throws {
        let tasks = BackgroundTasks()
        for _ in 0..<BackgroundTasks.tenantWaitingMax * 2 {
            #expect(throws: SvixError.self) {
                let first: () throws -> Int = { throw SvixError.generic("the disk") }
                return try tasks.begin(.purge, tenant: "a", after: first, { _ in { _ in [:] } })
            }
        }
        #expect(try all(tasks).allSatisfy { $0.status == .failed && $0.data == ["error": "the disk"] })
    }
    @Test func whatBeganWhileTheProcessEndsIsSaidToHaveStopped() throws {
        let tasks = BackgroundTasks()
        let begun = try tasks.begin(
            .purge, tenant: "a", after: { tasks.end(withinMillis: 1) },
            { _ in
                { progress in
                    try progress.say([:])
                    return [:]
                }
            })
        try wait("its end") { try tasks.task(begun.id, tenant: nil)?.status == .failed }
    }
    @Test func whatWaitedIsOnDiskWithItsEnd() throws {
        let folder = TemporaryFolder()
        let gate = Gate()
        let before = BackgroundTasks(folder: folder.path)
        _ = try before.begin(.replay, tenant: "a", gate.work("running"))
        let waiting = try (0..<5).map { _ in try before.begin(.replay, tenant: "a", gate.work("waiting")).id }
        before.end()
        let after = BackgroundTasks(folder: folder.path)
        for id in waiting {
            let error = try after.task(id, tenant: nil)?.data["error"]
            #expect(error == "the gateway was stopped while the task ran; what it had done by then is done")
        }
    }
    @Test func anEndIsToldToWhatRunsAndWhatWaits() throws {
        let (tasks, gate) = (BackgroundTasks(), Gate())
        let running = try tasks.begin(.replay, tenant: "a", gate.work("running"))
        let waiting = try tasks.begin(.replay, tenant: "a", gate.work("waiting"))
        try wait("the first") { gate.entered == ["running"] }
        tasks.end()
        for id in [running.id, waiting.id] {
            #expect(try tasks.task(id, tenant: nil)?.status == .failed)
        }
        #expect(gate.entered == ["running"])
        #expect(throws: ControlError.self) { try tasks.begin(.replay, tenant: "a") { _ in [:] } }
    }
}
