// The answers of the contract edge to calls that may come again, by tenant and key: for a day, over restarts. Only what
// succeeded is kept; after anything else the key is free. A second call while the first one runs is told so.
//
// On disk they are lines of a file in the data folder, synced before the first call is answered, many at once; read
// when the first key comes. What has a secret in it is there without the secret. Bounded by number and bytes: the
// oldest go first.
//
// Invariants: a key stands for one request of one tenant; the file is touched on a queue of its own, and never with the
// lock held.
// Safety: the C strings of `rename` live through the call.
import Engine
import FastPath
import Foundation
import Synchronization

package final class ContractAnswers: Sendable {
    package static let fileName = "contract-answers.jsonl"
    package static let countMax = 131_072
    package static let bytesMax = 64 << 20
    /// After an error; until then what is kept is in memory alone.
    private static let retryMillis: Int64 = 60_000

    package struct Claim: Equatable, Sendable {
        let tenant: String
        let key: String
        /// Of the request that the key stands for.
        let digest: [UInt8]
        /// How long.
        let millis: Int64
        /// Of a signed request: it is good for this key and no other.
        package var requestID: String?

        package init(tenant: String, key: String, digest: [UInt8], millis: Int64) {
            (self.tenant, self.key, self.digest, self.millis) = (tenant, key, digest, millis)
        }
        fileprivate var scope: Scope { Scope(tenant, key) }
        fileprivate var nonce: Scope? { requestID.map { Scope(tenant, $0) } }
    }
    package enum Turn: Equatable, Sendable {
        case first
        case kept(status: Int, text: String?)
        case running
        case conflict
    }

    fileprivate struct Scope: Hashable, Sendable {
        let digest: [UInt8]
        init(_ tenant: String, _ key: String) { digest = Digest.sha256(Array("\(tenant) \(key)".utf8)) }
        init(digest: [UInt8]) { self.digest = digest }
    }
    private struct Kept: Sendable {
        var endMillis: Int64
        var digest: [UInt8]
        var status: Int
        var text: String?
        /// Of the file, where that is another text.
        var lasting: String?
        var byteCount: Int
    }
    private struct State {
        var kept: [Scope: Kept] = [:]
        /// The oldest first; those before `first` are gone.
        var order: [Scope] = []
        var first = 0
        var byteCount = 0
        var running: Set<Scope> = []
        var isLoaded = false
    }
    private struct File {
        /// Nil when the last try failed.
        var handle: FileHandle?
        var byteCount = 0
        var triedMillis: Int64 = 0
    }
    private struct Pending: Sendable {
        let line: Data
        let waiter: CheckedContinuation<Void, Never>
    }
    private let state = Mutex(State())
    private let pending = Mutex<[Pending]>([])
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue = DispatchQueue(label: "sluice.contract-answers", qos: .utility)
    private let path: String?
    private let nowMillis: @Sendable () -> Int64

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        path = folder.map { $0 + "/" + ContractAnswers.fileName }
        self.nowMillis = nowMillis
    }

    // MARK: a call

    package func begin(_ claim: Claim) async throws -> Turn {
        try await load()
        let now = nowMillis()
        return state.withLock { state in
            if let kept = state.kept[claim.scope], now < kept.endMillis {
                return kept.digest == claim.digest ? .kept(status: kept.status, text: kept.text) : .conflict
            }
            if let nonce = claim.nonce {
                if let kept = state.kept[nonce], now < kept.endMillis { return .conflict }
                if state.running.contains(nonce) { return .running }
            }
            guard state.running.insert(claim.scope).inserted else { return .running }
            if let nonce = claim.nonce { state.running.insert(nonce) }
            return .first
        }
    }
    /// It was refused: the key is free.
    package func release(_ claim: Claim) {
        state.withLock { state in
            state.running.remove(claim.scope)
            if let nonce = claim.nonce { state.running.remove(nonce) }
        }
    }
    /// `lasting`: what is kept on disk in place of `text`. On disk when it returns.
    package func keep(_ claim: Claim, status: Int, text: String?, lasting: String? = nil) async {
        let now = nowMillis()
        let end = now + claim.millis
        var data = ContractAnswers.line(claim.scope, claim.digest, end, status, lasting ?? text)
        state.withLock { state in
            state.running.remove(claim.scope)
            let kept = Kept(
                endMillis: end, digest: claim.digest, status: status, text: text, lasting: lasting,
                byteCount: data.count + 128)
            ContractAnswers.keep(claim.scope, kept, in: &state, now)
            guard let nonce = claim.nonce else { return }
            state.running.remove(nonce)
            let used = Kept(endMillis: end, digest: [], status: 0, text: nil, byteCount: 160)
            ContractAnswers.keep(nonce, used, in: &state, now)
        }
        if let nonce = claim.nonce { data += ContractAnswers.line(nonce, [], end, 0, nil) }
        guard path != nil else { return }
        let line = data
        await withCheckedContinuation { continuation in
            pending.withLock { $0.append(Pending(line: line, waiter: continuation)) }
            queue.async { [self] in write() }
        }
    }
    private static func keep(_ scope: Scope, _ kept: Kept, in state: inout State, _ now: Int64) {
        if let old = state.kept.updateValue(kept, forKey: scope) { state.byteCount -= old.byteCount }
        state.order.append(scope)
        state.byteCount += kept.byteCount
        while state.first < state.order.count {
            let oldest = state.order[state.first]
            let isOver = state.kept[oldest].map { now >= $0.endMillis } ?? true
            guard isOver || state.kept.count > countMax || state.byteCount > bytesMax else { break }
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
        var digest: String
        var end: Int64
        var status: Int
        var text: String?
    }
    private static func line(_ scope: Scope, _ digest: [UInt8], _ end: Int64, _ status: Int, _ text: String?) -> Data {
        let line = Line(
            scope: TextEncoding.hex(scope.digest), digest: TextEncoding.hex(digest), end: end, status: status,
            text: text)
        return Data((JSONText.of(line) + "\n").utf8)
    }
    /// All that wait, with one sync.
    private func write() {
        let waiting = pending.withLock { pending in
            defer { pending = [] }
            return pending
        }
        guard !waiting.isEmpty, let path else { return }
        defer { for one in waiting { one.waiter.resume() } }
        let now = nowMillis()
        let isDue = file.withLock { file in
            file.handle == nil
                ? now - file.triedMillis >= ContractAnswers.retryMillis
                : file.byteCount > 2 * ContractAnswers.bytesMax
        }
        // What is written anew has these lines in it.
        guard !isDue else { return rewrite(path, now) }
        file.withLock { file in
            guard let handle = file.handle else { return }
            let data = waiting.reduce(into: Data()) { $0 += $1.line }
            do {
                try handle.write(contentsOf: data)
                try handle.synchronize()
                file.byteCount += data.count
            } catch {
                // The answers are in memory still; what is lost is their repetition over a restart.
                file = File(triedMillis: now)
            }
        }
    }
    private func load() async throws {
        guard let path, !state.withLock({ $0.isLoaded }) else { return }
        let isLoaded = await withCheckedContinuation { continuation in
            queue.async { [self] in continuation.resume(returning: read(path)) }
        }
        guard isLoaded else {
            throw EdgeRefusal(.unavailable, "what was answered before cannot be read at the moment; try again")
        }
    }
    /// False when the file cannot be read: a call that comes again would be done again.
    private func read(_ path: String) -> Bool {
        guard !state.withLock({ $0.isLoaded }) else { return true }
        let now = nowMillis()
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            guard (error as? CocoaError)?.code == .fileReadNoSuchFile else { return false }
            state.withLock { $0.isLoaded = true }
            rewrite(path, now)
            return true
        }
        let decoder = JSONDecoder()
        var loaded = State()
        for bytes in data.split(separator: UInt8(ascii: "\n")) {
            // A line that was cut off is the last one, and says nothing.
            guard let line = try? decoder.decode(Line.self, from: bytes), now < line.end,
                let scope = TextEncoding.bytes(of: line.scope, as: .hex),
                let digest = line.digest.isEmpty ? [] : TextEncoding.bytes(of: line.digest, as: .hex)
            else { continue }
            let kept = Kept(
                endMillis: line.end, digest: digest, status: line.status, text: line.text,
                byteCount: bytes.count + 128)
            ContractAnswers.keep(Scope(digest: scope), kept, in: &loaded, now)
        }
        loaded.isLoaded = true
        // Nothing came meanwhile: every call waits for this.
        state.withLock { [loaded] state in state = loaded }
        rewrite(path, now)
        return true
    }
    /// Another file takes the place of the old one in one step, so that whenever the process ends one of them is there.
    private func rewrite(_ path: String, _ now: Int64) {
        let kept = state.withLock { state in
            state.order[state.first...].compactMap { scope in state.kept[scope].map { (scope, $0) } }
        }
        var data = Data()
        for (scope, one) in kept {
            data += ContractAnswers.line(scope, one.digest, one.endMillis, one.status, one.lasting ?? one.text)
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
