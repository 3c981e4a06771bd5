// The answers to POSTs that came with an `idempotency-key`, so that one which is sent again is answered as the first
// one was and does nothing: for twelve hours, per caller, key and address. Only 2xx are kept; after anything else the
// key is free. While the first call runs, a second one waits for it.
//
// On disk they are lines of a file in the data folder, read at a start and appended to, so that a restart forgets
// nothing; after a power cut the last moments may be missing, and such a call is then done again. What has a secret in
// it stays in memory. Bounded by number and by bytes; the oldest go first.
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
        var file: FileHandle?
        var fileByteCount = 0
    }
    private let state = Mutex(State())
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
        for _ in 0..<KeptAnswers.waitCountMax {
            switch turn(scope) {
            case .kept(let reply): return reply
            case .first:
                do {
                    let reply = try await make()
                    end(scope, reply)
                    return reply
                } catch {
                    end(scope, nil)
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
            if !state.isLoaded { load(&state, now) }
            if let kept = state.kept[scope], now - kept.millis < KeptAnswers.ageMillisMax { return .kept(kept.reply) }
            return state.running.insert(scope).inserted ? .first : .running
        }
    }
    private func end(_ scope: Scope, _ reply: SvixReply?) {
        let now = nowMillis()
        state.withLock { state in
            state.running.remove(scope)
            guard let reply, (200..<300).contains(reply.status) else { return }
            let line = KeptAnswers.line(scope, now, reply)
            KeptAnswers.keep(scope, Kept(millis: now, reply: reply, byteCount: line.count), in: &state, now)
            if !reply.isSecret { append(line, to: &state) }
        }
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
    private func append(_ line: Data, to state: inout State) {
        guard let path else { return }
        // Twice of what may be kept: it is written anew, which takes a moment and comes seldom.
        if state.fileByteCount > 2 * KeptAnswers.bytesMax { rewrite(path, &state) }
        do {
            try state.file?.write(contentsOf: line)
            state.fileByteCount += line.count
        } catch {
            // The answer is in memory still; what is lost is its repetition over a restart.
            state.file = nil
        }
    }
    private func load(_ state: inout State, _ now: Int64) {
        state.isLoaded = true
        guard let path else { return }
        let data = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
        let decoder = JSONDecoder()
        // A line that was cut off is the last one, and says nothing.
        for text in data.split(separator: UInt8(ascii: "\n")) {
            guard let line = try? decoder.decode(Line.self, from: text), now - line.millis < KeptAnswers.ageMillisMax,
                let digest = TextEncoding.bytes(of: line.scope, as: .hex)
            else { continue }
            let kept = Kept(millis: line.millis, reply: SvixReply(line.status, line.body), byteCount: text.count + 1)
            KeptAnswers.keep(Scope(digest: digest), kept, in: &state, now)
        }
        rewrite(path, &state)
    }
    private func rewrite(_ path: String, _ state: inout State) {
        var data = Data()
        for scope in state.order[state.first...] {
            guard let kept = state.kept[scope], !kept.reply.isSecret else { continue }
            data.append(KeptAnswers.line(scope, kept.millis, kept.reply))
        }
        let draft = path + ".new"
        let files = FileManager.default
        try? state.file?.close()
        state.file = nil
        guard files.createFile(atPath: draft, contents: data, attributes: [.posixPermissions: 0o600]) else { return }
        do {
            if files.fileExists(atPath: path) { try files.removeItem(atPath: path) }
            try files.moveItem(atPath: draft, toPath: path)
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: path))
            try file.seekToEnd()
            (state.file, state.fileByteCount) = (file, data.count)
        } catch { state.file = nil }
    }
}
