// What a start waits for: a data folder that another process is about to let go of, and the words when it does not.

import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import Testing

/// Lines that were logged.
private final class LoggedLines: Sendable {
    private let stored = Mutex<[String]>([])
    func add(_ line: String) { stored.withLock { $0.append(line) } }
    var all: [String] { stored.withLock { $0 } }
    var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

    private struct Handler: LogHandler {
        let lines: LoggedLines
        var logLevel = Logger.Level.info
        var metadata: Logger.Metadata = [:]
        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }
        func log(event: LogEvent) {
            let fields = (event.metadata ?? [:]).map { "\($0.key)=\($0.value)" }.sorted().joined(separator: " ")
            lines.add("\(event.message) \(fields)")
        }
    }
}

@Suite struct StartWaitTests {
    private let lines = LoggedLines()

    private func withFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "sluice-wait-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    @Test func takesAFolderAsSoonAsItIsLetGoOf() throws {
        try withFolder { path in
            let other = try LogFolder(path: path, access: .exclusive)
            let component = DataFolderComponent(
                path: path, wait: BoundedWait(seconds: 60), logger: lines.logger)
            // Let go of only when the wait was told: so it was really waited for.
            let release = Thread { [lines] in
                while lines.all.isEmpty { Thread.sleep(forTimeInterval: 0.001) }
                other.unlock()
            }
            release.start()
            try component.start()
            #expect(lines.all.count == 1)
            let line = lines.all.first ?? ""
            #expect(line.contains("waiting") && line.contains("folder=\(path)"))
            #expect(line.contains("process \(ProcessInfo.processInfo.processIdentifier)"))
            component.stop()
            // Let go of at the stop, although the component is still there.
            let next = try LogFolder(path: path, access: .exclusive)
            next.unlock()
        }
    }

    @Test func refusesAFolderThatIsHeldTooLong() throws {
        try withFolder { path in
            let other = try LogFolder(path: path, access: .exclusive)
            let component = DataFolderComponent(
                path: path, wait: BoundedWait(seconds: 0), logger: lines.logger)
            var text = ""
            do { try component.start() } catch { text = "\(error)" }
            #expect(text.contains(path) && text.contains("using this data folder") && text.contains("`data:`"))
            #expect(text.contains("process \(ProcessInfo.processInfo.processIdentifier)"))
            other.unlock()
        }
    }

    @Test func waitsForNothingThatWaitingDoesNotMend() throws {
        struct Broken: Error {}
        var tries = 0
        var told = 0
        #expect(throws: Broken.self) {
            try BoundedWait(seconds: 60).run(isPassing: { _ in false }, onWait: { told += 1 }) {
                tries += 1
                throw Broken()
            }
        }
        #expect(tries == 1 && told == 0)
    }

    @Test func findsTheHolderOfALockInTheKernelsTable() {
        let table = """
            1: POSIX  ADVISORY  WRITE 11 00:2f:77 0 EOF
            2: FLOCK  ADVISORY  WRITE 22 00:2f:78 0 EOF
            2: -> FLOCK  ADVISORY  WRITE 33 00:2f:77 0 EOF
            3: FLOCK  ADVISORY  WRITE 44 00:2f:77 0 EOF
            4: FLOCK  ADVISORY  WRITE -1 00:2f:79 0 EOF
            """
        #expect(LockHolder.pid(inode: 77, in: table) == 44)
        #expect(LockHolder.pid(inode: 78, in: table) == 22)
        #expect(LockHolder.pid(inode: 79, in: table) == nil)
        #expect(LockHolder.pid(inode: 80, in: table) == nil)
    }

    @Test func waitsForAnAddressThatIsLetGoOf() throws {
        let busy = try Listener("127.0.0.1:0", isShared: false)
        try busy.activate()
        let component = ListenerComponent(
            addresses: [busy.text], loopCount: 1, wait: BoundedWait(seconds: 60), logger: lines.logger)
        let release = Thread { [lines] in
            while lines.all.isEmpty { Thread.sleep(forTimeInterval: 0.001) }
            busy.close()
        }
        release.start()
        try component.start()
        #expect(component.texts == [busy.text])
        #expect(lines.all.count == 1 && lines.all[0].contains(busy.text))
        component.stop()
    }

    @Test func refusesAnAddressThatStaysBusy() throws {
        let busy = try Listener("127.0.0.1:0", isShared: false)
        try busy.activate()
        let component = ListenerComponent(
            addresses: [busy.text], loopCount: 1, wait: BoundedWait(seconds: 0), logger: lines.logger)
        var text = ""
        do { try component.start() } catch { text = "\(error)" }
        #expect(text.contains(busy.text) && text.contains("in use"))
        busy.close()
    }
}
