// The answers to POSTs that came with an `idempotency-key`, so that one which is sent again is answered as the first
// one was and does nothing: for twelve hours, per caller, key and address. Only 2xx are kept; after anything else the
// key is free. While the first call runs, a second one waits for it.
//
// On disk they are lines of a file in the data folder, read at a start and appended to, so that a restart forgets
// nothing; after a power cut the last moments may be missing, and such a call is then done again. What has a secret in
// it stays in memory. Bounded by number and by bytes; the oldest go first.
//
// Invariant: the file is touched on a queue of its own, and never with the lock held: who has no turn at the disk does
// not wait for it, and none of Swift's threads does.
// Safety: the C strings of `rename` live through the call.
import Engine
import FastPath
import Foundation
import Synchronization

package final class KeptAnswers: Sendable {
    package static let countMax = 65_536
    package static let bytesMax = 16 << 20
    package static let ageMillisMax: Int64 = 12 * 3_600_000
    private static let waitMillis = 50
    private static let waitCountMax = 100
    package static let fileName = "idempotency.jsonl"

    /// Who called what with which key.
    package struct Scope: Hashable, Sendable {
        private let digest: [UInt8]

        package init(_ parts: [String]) {
            digest = Digest.sha256(Array(parts.map { "\($0.utf8.count):\($0)" }.joined().utf8))
        }
        init(_ call: Call, _ key: String) {
            self.init([call.caller.principal.name, call.caller.principal.tenant ?? "", call.target, key])
        }
        fileprivate init(digest: [UInt8]) { self.digest = digest }
        fileprivate var text: String { TextEncoding.hex(digest) }
    }
    private struct Kept: Sendable {
        var millis: Int64
        var reply: SvixReply
        var byteCount: Int
    }
    private struct State {
        var kept: [Scope: Kept] = [:]
        /// The oldest first; those before `first` are gone.
        var order: [Scope] = []
        var first = 0
        var byteCount = 0
        var running: Set<Scope> = []
        /// The file is read when the first key comes: the folder is ours by then.
        var isLoaded = false
    }
    private struct File {
        /// Nil when the last try failed.
        var handle: FileHandle?
        var byteCount = 0
        var triedMillis: Int64 = 0
    }
    /// After an error; until then what is kept is in memory alone.
    package static let retryMillis: Int64 = 60_000

    private let state = Mutex(State())
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue = DispatchQueue(label: "sluice.kept-answers", qos: .utility)
    private let path: String?
    private let nowMillis: @Sendable () -> Int64

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        path = folder.map { $0 + "/" + KeptAnswers.fileName }
        self.nowMillis = nowMillis
    }

    private enum Turn {
        case kept(SvixReply)
        case first
        case running
    }

    package func once(_ scope: Scope, _ make: () async throws -> SvixReply) async throws -> SvixReply {
        try await load()
        for _ in 0..<KeptAnswers.waitCountMax {
            switch turn(scope) {
            case .kept(let reply): return reply
            case .first:
                do {
                    let reply = try await make()
                    await end(scope, reply)
                    return reply
                } catch {
                    await end(scope, nil)
                    throw error
                }
            case .running: try await Task.sleep(for: .milliseconds(KeptAnswers.waitMillis))
            }
        }
        throw SvixError.conflict("a call with the same idempotency key is still running; try again")
    }
    private func turn(_ scope: Scope) -> Turn {
        let now = nowMillis()
        return state.withLock { state in
            if let kept = state.kept[scope], now - kept.millis < KeptAnswers.ageMillisMax { return .kept(kept.reply) }
            return state.running.insert(scope).inserted ? .first : .running
        }
    }
    private func end(_ scope: Scope, _ reply: SvixReply?) async {
        guard let reply, (200..<300).contains(reply.status) else {
            state.withLock { state in _ = state.running.remove(scope) }
            return
        }
        let now = nowMillis()
        let line = KeptAnswers.line(scope, now, reply)
        state.withLock { state in
            state.running.remove(scope)
            KeptAnswers.keep(scope, Kept(millis: now, reply: reply, byteCount: line.count), in: &state, now)
        }
        if let path, !reply.isSecret { await onQueue { [self] in append(line, path, now) } }
    }
    private static func keep(_ scope: Scope, _ kept: Kept, in state: inout State, _ now: Int64) {
        if let old = state.kept.updateValue(kept, forKey: scope) { state.byteCount -= old.byteCount }
        state.order.append(scope)
        state.byteCount += kept.byteCount
        while state.first < state.order.count {
            let oldest = state.order[state.first]
            let age = state.kept[oldest].map { now - $0.millis } ?? .max
            guard age >= ageMillisMax || state.kept.count > countMax || state.byteCount > bytesMax else { break }
            state.first += 1
            if let gone = state.kept.removeValue(forKey: oldest) { state.byteCount -= gone.byteCount }
        }
        if state.first > 1024, state.first * 2 > state.order.count {
            state.order.removeFirst(state.first)
            state.first = 0
        }
    }

    // MARK: the file

    private struct Line: Codable {
        var scope: String
        var millis: Int64
        var status: Int
        var body: JSONValue?
    }
    private static func line(_ scope: Scope, _ millis: Int64, _ reply: SvixReply) -> Data {
        Data((JSONText.of(Line(scope: scope.text, millis: millis, status: reply.status, body: reply.body)) + "\n").utf8)
    }
    private func onQueue<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: work()) }
        }
    }
    private func append(_ line: Data, _ path: String, _ now: Int64) {
        // Twice of what may be kept: it is written anew, which takes a moment and comes seldom.
        let isDue = file.withLock { file in
            file.handle == nil
                ? now - file.triedMillis >= KeptAnswers.retryMillis : file.byteCount > 2 * KeptAnswers.bytesMax
        }
        // What is written anew has this line in it.
        guard !isDue else { return rewrite(path, now) }
        file.withLock { file in
            guard let handle = file.handle else { return }
            do {
                try handle.write(contentsOf: line)
                file.byteCount += line.count
            } catch {
                // The answer is in memory still; what is lost is its repetition over a restart.
                file = File(triedMillis: now)
            }
        }
    }
    /// The first call reads the file, and others wait for it. What cannot be read is not taken for nothing: a call that
    /// comes again would be done again.
    private func load() async throws {
        guard let path, !state.withLock({ $0.isLoaded }) else { return }
        let isLoaded = await onQueue { [self] in
            guard !state.withLock({ $0.isLoaded }) else { return true }
            let now = nowMillis()
            guard let read = KeptAnswers.read(path, now) else { return false }
            state.withLock { state in
                for (scope, kept) in read { KeptAnswers.keep(scope, kept, in: &state, now) }
                state.isLoaded = true
            }
            rewrite(path, now)
            return true
        }
        guard isLoaded else {
            throw SvixError(503, "unavailable", "what was answered before cannot be read at the moment; try again")
        }
    }
    /// The newest that may be kept, in the order of time; nil when the file cannot be read.
    private static func read(_ path: String, _ now: Int64) -> [(Scope, Kept)]? {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            return (error as? CocoaError)?.code == .fileReadNoSuchFile ? [] : nil
        }
        let decoder = JSONDecoder()
        var found: [(Scope, Kept)] = []
        var byteCount = 0
        for text in data.split(separator: UInt8(ascii: "\n")).reversed() {
            guard found.count < countMax, byteCount < bytesMax else { break }
            // A line that was cut off is the last one, and says nothing.
            guard let line = try? decoder.decode(Line.self, from: text), now - line.millis < ageMillisMax,
                let digest = TextEncoding.bytes(of: line.scope, as: .hex)
            else { continue }
            byteCount += text.count + 1
            let kept = Kept(millis: line.millis, reply: SvixReply(line.status, line.body), byteCount: text.count + 1)
            found.append((Scope(digest: digest), kept))
        }
        return found.reversed()
    }
    /// Another file takes the place of the old one in one step, so that whenever the process ends one of them is there.
    private func rewrite(_ path: String, _ now: Int64) {
        let kept = state.withLock { state in
            state.order[state.first...].compactMap { scope in state.kept[scope].map { (scope, $0) } }
        }
        var data = Data()
        for (scope, kept) in kept where !kept.reply.isSecret {
            data.append(KeptAnswers.line(scope, kept.millis, kept.reply))
        }
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
