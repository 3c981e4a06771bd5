// Something in memory that is to last: lines of a file in the data folder, read once after a start, put behind each
// other, and written anew when most of them say nothing any more.
//
// Invariants: nothing is looked at before the file was read; the file is touched on a queue of its own, and neither
// read nor written nor decoded with the lock held: who has no turn at the disk does not wait for it, and none of
// Swift's threads does. What is read of the file at a time is bounded, but for a line.
// Safety: the C strings of `rename` live through the call.
import Engine
import Foundation
import Synchronization

package protocol LastingContents: Sendable {
    /// A line of a file; they come in their order. One that was cut off says nothing.
    mutating func read(_ line: [UInt8], nowMillis: Int64)
    /// All that is to be in a file that is written anew.
    func lines(nowMillis: Int64) -> [String]
}

package final class LastingLines<Contents: LastingContents>: Sendable {
    /// After an error of the file; until then what is kept is in memory alone.
    package static var retryMillis: Int64 { 60_000 }

    private struct State {
        var contents: Contents
        /// The file is read when it is first asked for: the folder is ours by then.
        var isLoaded = false
    }
    private struct File {
        /// Nil when the last try failed.
        var handle: FileHandle?
        var byteCount = 0
        /// When it was written anew.
        var byteCountThen = 0
        var triedMillis: Int64 = 0
        /// Of what was read and is not written to yet.
        var end: LineFile.End?
    }
    private struct Pending: Sendable {
        let lines: Data
        let waiter: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>
    private let pending = Mutex<[Pending]>([])
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue: DispatchQueue
    private let path: String?
    /// What the contents take at most, about: at twice of that the file is written anew.
    private let bytesMax: Int
    /// A line is on disk when `write` returns, and not only with the system.
    private let syncs: Bool
    let nowMillis: @Sendable () -> Int64

    /// `folder` nil: in memory alone.
    package init(
        _ contents: Contents, folder: String?, fileName: String, bytesMax: Int, syncs: Bool,
        nowMillis: @escaping @Sendable () -> Int64
    ) {
        path = folder.map { $0 + "/" + fileName }
        queue = DispatchQueue(label: "sluice.\(fileName)", qos: .utility)
        state = Mutex(State(contents: contents))
        self.bytesMax = bytesMax
        self.syncs = syncs
        self.nowMillis = nowMillis
    }

    package func with<Value: Sendable, Failure: Error>(
        _ use: (inout Contents) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        try state.withLock { state throws(Failure) in try use(&state.contents) }
    }

    /// Reads the file before anybody asks: of one that is large, the first call does not wait for all of it.
    package func prepare() {
        guard let path else { return }
        queue.async { [self] in if read(path) { goOn(path) } }
    }
    /// The first call waits until the file is read, others with it. False when it cannot be read, which is not taken
    /// for an empty one: what it would tell to be done would be done again.
    package func load() async -> Bool {
        guard let path, !state.withLock({ $0.isLoaded }) else { return true }
        return await withCheckedContinuation { continuation in
            queue.async { [self] in
                let isRead = read(path)
                continuation.resume(returning: isRead)
                if isRead { goOn(path) }
            }
        }
    }
    private func read(_ path: String) -> Bool {
        let (isLoaded, empty) = state.withLock { ($0.isLoaded, $0.contents) }
        guard !isLoaded else { return true }
        let now = nowMillis()
        var contents = empty
        guard let end = LineFile.read(path, { contents.read($0, nowMillis: now) }) else { return false }
        file.withLock { $0.end = end }
        // Nothing came meanwhile: every call waits for this.
        state.withLock { [contents] in $0 = State(contents: contents, isLoaded: true) }
        return true
    }
    /// Writes behind what was read, or anew when that is much more than is kept. One that is not there is made when
    /// there is something to write.
    private func goOn(_ path: String) {
        let isLong = file.withLock { file in
            guard let end = file.end.take(), end.byteCount > 0 else { return false }
            file = File(handle: LineFile.append(path, after: end), byteCount: end.byteCount)
            return file.handle == nil || file.byteCount > 2 * bytesMax
        }
        if isLong { rewrite(path, nowMillis()) }
    }

    /// Puts lines of what is in the contents already behind the others; those of many calls go together. They are in
    /// the file when it returns.
    package func write(_ lines: [String]) async {
        await withCheckedContinuation { write(lines, waiter: $0) }
    }
    /// The same, and nobody waits.
    func writeLater(_ lines: [String]) { write(lines, waiter: nil) }
    private func write(_ lines: [String], waiter: CheckedContinuation<Void, Never>?) {
        guard path != nil, !lines.isEmpty else {
            waiter?.resume()
            return
        }
        let data = Data(lines.map { $0 + "\n" }.joined().utf8)
        pending.withLock { $0.append(Pending(lines: data, waiter: waiter)) }
        queue.async { [self] in writePending() }
    }
    private func writePending() {
        let waiting = pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
        guard !waiting.isEmpty, let path else { return }
        defer { for one in waiting { one.waiter?.resume() } }
        let now = nowMillis()
        let isDue = file.withLock { file in
            file.handle == nil
                ? now - file.triedMillis >= Self.retryMillis : file.byteCount > 2 * max(bytesMax, file.byteCountThen)
        }
        // What is written anew has these lines in it.
        guard !isDue else { return rewrite(path, now) }
        file.withLock { file in
            guard let handle = file.handle else { return }
            let data = waiting.reduce(into: Data()) { $0 += $1.lines }
            do {
                try handle.write(contentsOf: data)
                if syncs { try handle.synchronize() }
                file.byteCount += data.count
            } catch {
                // It is in memory still; what is lost is that it lasts over a restart.
                file = File(triedMillis: now)
            }
        }
    }
    /// Another file takes the place of the old one in one step, so that whenever the process ends one of them is there.
    private func rewrite(_ path: String, _ now: Int64) {
        let contents = state.withLock { $0.contents }
        let data = Data(contents.lines(nowMillis: now).map { $0 + "\n" }.joined().utf8)
        let draft = path + ".new"
        try? FileManager.default.removeItem(atPath: draft)
        file.withLock { file in
            try? file.handle?.close()
            file = File(triedMillis: now)
            guard let handle = PrivateFile.make(draft) else { return }
            do {
                try handle.write(contentsOf: data)
                try handle.synchronize()
                guard unsafe rename(draft, path) == 0 else { return }
                try PrivateFile.syncFolder(of: path)
            } catch { return }
            file = File(handle: handle, byteCount: data.count, byteCountThen: data.count, triedMillis: now)
        }
    }
}
