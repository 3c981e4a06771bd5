// Answers to calls that may come again, as both surfaces that have them keep them: in memory, and as lines of a file in
// the data folder that is read when the first key comes and written anew when most of it says nothing any more. Bounded
// by number and by bytes; the oldest go first.
//
// Invariants: an answer is found until its end and no longer; a scope runs at most once at a time; the file is touched
// on a queue of its own, and never with the lock held: who has no turn at the disk does not wait for it, and none of
// Swift's threads does.
// Safety: the C strings of `rename` live through the call.
import Engine
import FastPath
import Foundation
import Synchronization

/// Who called what with which key.
package struct AnswerScope: Hashable, Sendable {
    private let digest: [UInt8]

    package init(_ text: String) { digest = Digest.sha256(Array(text.utf8)) }
    /// Of its `text`; nil when it is none.
    init?(hex: String) {
        guard let digest = TextEncoding.bytes(of: hex, as: .hex) else { return nil }
        self.digest = digest
    }
    var text: String { TextEncoding.hex(digest) }
}

package protocol LastingAnswer: Sendable {
    var endMillis: Int64 { get }
    /// What it takes in memory, about.
    var byteCount: Int { get }
    /// Without its line feed; nil where it must not be on disk.
    func line(_ scope: AnswerScope) -> String?
    /// Nil for what is no such line; one that was cut off is the last one, and says nothing.
    static func read(_ line: Data) -> (AnswerScope, Self)?
}

package struct AnswerBounds: Sendable {
    /// After an error of the file; until then what is kept is in memory alone.
    package static let retryMillis: Int64 = 60_000
    var countMax: Int
    var bytesMax: Int
}

/// What is kept and what runs. Passive.
struct AnswerShelf<Answer: LastingAnswer>: Sendable {
    let bounds: AnswerBounds
    private var kept: [AnswerScope: Answer] = [:]
    /// The oldest first; those before `first` are gone.
    private var order: [AnswerScope] = []
    private var first = 0
    private var byteCount = 0
    private var running: Set<AnswerScope> = []

    init(_ bounds: AnswerBounds) { self.bounds = bounds }

    func answer(_ scope: AnswerScope, now: Int64) -> Answer? {
        kept[scope].flatMap { now < $0.endMillis ? $0 : nil }
    }
    func isRunning(_ scope: AnswerScope) -> Bool { running.contains(scope) }
    /// False when it runs already.
    mutating func begin(_ scope: AnswerScope) -> Bool { running.insert(scope).inserted }
    mutating func end(_ scope: AnswerScope) { running.remove(scope) }
    mutating func keep(_ scope: AnswerScope, _ answer: Answer, now: Int64) {
        if let old = kept.updateValue(answer, forKey: scope) { byteCount -= old.byteCount }
        order.append(scope)
        byteCount += answer.byteCount
        while first < order.count {
            let oldest = order[first]
            let isOver = kept[oldest].map { now >= $0.endMillis } ?? true
            guard isOver || kept.count > bounds.countMax || byteCount > bounds.bytesMax else { break }
            first += 1
            if let gone = kept.removeValue(forKey: oldest) { byteCount -= gone.byteCount }
        }
        if first > 1024, first * 2 > order.count {
            order.removeFirst(first)
            first = 0
        }
    }
    /// The oldest first.
    var lines: [String] { order[first...].compactMap { scope in kept[scope].flatMap { $0.line(scope) } } }
}

final class LastingAnswers<Answer: LastingAnswer>: Sendable {
    private struct State {
        var shelf: AnswerShelf<Answer>
        /// The file is read when the first key comes: the folder is ours by then.
        var isLoaded = false
    }
    private struct File {
        /// Nil when the last try failed.
        var handle: FileHandle?
        var byteCount = 0
        var triedMillis: Int64 = 0
    }
    private struct Pending: Sendable {
        let lines: Data
        let waiter: CheckedContinuation<Void, Never>
    }
    private let state: Mutex<State>
    private let pending = Mutex<[Pending]>([])
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue: DispatchQueue
    private let path: String?
    private let bounds: AnswerBounds
    /// A line is on disk when `write` returns, and not only with the system.
    private let syncs: Bool
    let nowMillis: @Sendable () -> Int64

    /// `folder` nil: in memory alone.
    init(
        folder: String?, fileName: String, bounds: AnswerBounds, syncs: Bool,
        nowMillis: @escaping @Sendable () -> Int64
    ) {
        path = folder.map { $0 + "/" + fileName }
        queue = DispatchQueue(label: "sluice.\(fileName)", qos: .utility)
        state = Mutex(State(shelf: AnswerShelf(bounds)))
        self.bounds = bounds
        self.syncs = syncs
        self.nowMillis = nowMillis
    }

    func withShelf<Value: Sendable>(_ use: (inout AnswerShelf<Answer>) -> Value) -> Value {
        state.withLock { use(&$0.shelf) }
    }

    /// The first call reads the file, and others wait for it. False when it cannot be read, which is not taken for an
    /// empty one: a call that comes again would be done again.
    func load() async -> Bool {
        guard let path, !state.withLock({ $0.isLoaded }) else { return true }
        return await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: read(path)) }
        }
    }
    private func read(_ path: String) -> Bool {
        guard !state.withLock({ $0.isLoaded }) else { return true }
        let now = nowMillis()
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            guard (error as? CocoaError)?.code == .fileReadNoSuchFile else { return false }
            data = Data()
        }
        let found = data.split(separator: UInt8(ascii: "\n")).compactMap { Answer.read($0) }
        // Nothing came meanwhile: every call waits for this.
        state.withLock { state in
            for (scope, answer) in found where now < answer.endMillis {
                state.shelf.keep(scope, answer, now: now)
            }
            state.isLoaded = true
        }
        rewrite(path, now)
        return true
    }
    /// Puts lines of what is on the shelf already behind the others; those of many calls go together.
    func write(_ lines: [String]) async {
        guard path != nil, !lines.isEmpty else { return }
        let data = Data(lines.map { $0 + "\n" }.joined().utf8)
        await withCheckedContinuation { continuation in
            pending.withLock { $0.append(Pending(lines: data, waiter: continuation)) }
            queue.async { [self] in writePending() }
        }
    }
    private func writePending() {
        let waiting = pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
        guard !waiting.isEmpty, let path else { return }
        defer { for one in waiting { one.waiter.resume() } }
        let now = nowMillis()
        // Twice of what may be kept: it is written anew, which takes a moment and comes seldom.
        let isDue = file.withLock { file in
            file.handle == nil
                ? now - file.triedMillis >= AnswerBounds.retryMillis : file.byteCount > 2 * bounds.bytesMax
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
                // The answers are in memory still; what is lost is their repetition over a restart.
                file = File(triedMillis: now)
            }
        }
    }
    /// Another file takes the place of the old one in one step, so that whenever the process ends one of them is there.
    private func rewrite(_ path: String, _ now: Int64) {
        let shelf = state.withLock { $0.shelf }
        let data = Data(shelf.lines.map { $0 + "\n" }.joined().utf8)
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
            file = File(handle: handle, byteCount: data.count, triedMillis: now)
        }
    }
}
