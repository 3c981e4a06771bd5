// The answers of the contract edge to calls that may come again, by tenant and key: for a day, over restarts. Only what
// succeeded is kept; after anything else the key is free. A second call while the first one runs is told so. And the
// signed requests among those calls, which are good for one key each (`SignedRequests`).
//
// On disk they are lines of a file in the data folder, many synced at once: a signed request before it is worked on, an
// answer before it is given, unless the log knows the call anyway; read when the first key comes. What has a secret
// in it is there without the secret. Answers are bounded by number and bytes: the oldest go first.
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
        /// How long its answer is kept; 0 = not at all.
        let millis: Int64
        /// Of a signed request: it is good for this key and no other.
        package var requestID: String?
        /// The log tells a repetition of it, also when its answer is forgotten.
        package var isLogged = false

        package init(tenant: String, key: String, digest: [UInt8], millis: Int64) {
            (self.tenant, self.key, self.digest, self.millis) = (tenant, key, digest, millis)
        }
        fileprivate var scope: Scope { Scope(tenant, key) }
        /// What a signed request is good for: its key, on a route of one kind.
        fileprivate var bond: UInt64 { scope.word ^ (isLogged ? 1 : 0) }
        fileprivate var signed: SignedRequests.Name? {
            requestID.flatMap { SignedRequests.Name(digest: Scope(tenant, $0).digest) }
        }
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
        /// As a signed request remembers its key.
        var word: UInt64 { SignedRequests.word(digest.prefix(8)) }
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
        var signed: SignedRequests
        var isLoaded = false
    }
    private struct File {
        /// Nil when the last try failed.
        var handle: FileHandle?
        var byteCount = 0
        /// When it was written anew.
        var byteCountThen = 0
        var triedMillis: Int64 = 0
    }
    private struct Pending: Sendable {
        let line: Data
        let waiter: CheckedContinuation<Void, Never>?
    }
    private let state: Mutex<State>
    private let signedCountMax: Int
    private let pending = Mutex<[Pending]>([])
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue = DispatchQueue(label: "sluice.contract-answers", qos: .utility)
    private let path: String?
    private let nowMillis: @Sendable () -> Int64

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil, signedCountMax: Int = SignedRequests.countMax,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        path = folder.map { $0 + "/" + ContractAnswers.fileName }
        self.signedCountMax = signedCountMax
        state = Mutex(State(signed: SignedRequests(countMax: signedCountMax)))
        self.nowMillis = nowMillis
    }

    // MARK: a call

    package func begin(_ claim: Claim) async throws -> Turn {
        try await load()
        let now = nowMillis()
        let (key, end) = (claim.bond, now + SignedRequests.lifeMillis)
        // Second: what is to be on disk of a signed request, which is done already, or not yet.
        let (turn, isDone) = try state.withLock { state throws(EdgeRefusal) -> (Turn, Bool?) in
            if let kept = state.kept[claim.scope], now < kept.endMillis {
                guard kept.digest == claim.digest else { return (.conflict, nil) }
                let isNew = try ContractAnswers.bindRepetition(claim, in: &state, now)
                return (.kept(status: kept.status, text: kept.text), isNew ? true : nil)
            }
            if let turn = try ContractAnswers.turn(of: claim, in: &state, now) { return (turn, nil) }
            guard state.running.insert(claim.scope).inserted else { return (.running, nil) }
            guard let name = claim.signed else { return (.first, nil) }
            return (.first, state.signed.begin(name, key: key, endMillis: end) == .done)
        }
        if let isDone, let name = claim.signed {
            // A crash must not leave it free for another key.
            await write(ContractAnswers.line(name, key, end, isDone: isDone))
        }
        return turn
    }
    /// One that was signed anew for a key that has its answer did nothing, and may not do it under another key. True
    /// when nobody knew it.
    private static func bindRepetition(
        _ claim: Claim, in state: inout State, _ now: Int64
    ) throws(EdgeRefusal) -> Bool {
        guard let name = claim.signed else { return false }
        switch state.signed.verdict(on: name, key: claim.bond, nowMillis: now) {
        case .first: break
        case .again, .running, .otherKey: return false
        case .full(let millis): throw ContractAnswers.full(millis)
        }
        state.signed.set(name, .done, key: claim.bond, endMillis: now + SignedRequests.lifeMillis)
        return true
    }
    /// Of a signed request that is not the first of its kind; nil for all others.
    private static func turn(
        of claim: Claim, in state: inout State, _ now: Int64
    ) throws(EdgeRefusal) -> Turn? {
        guard let name = claim.signed else { return nil }
        switch state.signed.verdict(on: name, key: claim.bond, nowMillis: now) {
        case .first: return nil
        case .again(let isDone): return isDone && !claim.isLogged ? .conflict : nil
        case .running: return .running
        case .otherKey: return .conflict
        case .full(let millis): throw ContractAnswers.full(millis)
        }
    }
    private static func full(_ millis: Int64) -> EdgeRefusal {
        var refusal = EdgeRefusal(.unavailable, "too many signed requests within ten minutes; try again")
        refusal.retryAfterSeconds = Int(millis / 1000) + 1
        return refusal
    }
    /// It was refused: the key is free. `isOpen`: what became of it is not known, so it stays bound to its key.
    package func release(_ claim: Claim, isOpen: Bool = false) {
        state.withLock { state in
            state.running.remove(claim.scope)
            if let name = claim.signed { state.signed.release(name, isOpen: isOpen) }
        }
    }
    /// `lasting`: what is kept on disk in place of `text`. On disk when it returns, unless the log knows the call.
    package func keep(_ claim: Claim, status: Int, text: String?, lasting: String? = nil) async {
        let now = nowMillis()
        let end = now + claim.millis
        var data = Data()
        if claim.millis > 0 { data += ContractAnswers.line(claim.scope, claim.digest, end, status, lasting ?? text) }
        let kept = Kept(
            endMillis: end, digest: claim.digest, status: status, text: text, lasting: lasting,
            byteCount: data.count + 128)
        let signedEnd = now + SignedRequests.lifeMillis
        state.withLock { state in
            state.running.remove(claim.scope)
            if claim.millis > 0 { ContractAnswers.keep(claim.scope, kept, in: &state, now) }
            guard let name = claim.signed else { return }
            state.signed.set(name, .done, key: claim.bond, endMillis: signedEnd)
        }
        if let name = claim.signed { data += ContractAnswers.line(name, claim.bond, signedEnd, isDone: true) }
        guard !claim.isLogged || claim.signed == nil else { return write(data, waiter: nil) }
        await write(data)
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
    private static func line(_ name: SignedRequests.Name, _ key: UInt64, _ end: Int64, isDone: Bool) -> Data {
        let line = Line(
            scope: TextEncoding.hex(name.bytes), digest: TextEncoding.hex(SignedRequests.bytes(of: key)), end: end,
            status: isDone ? 1 : 0)
        return Data((JSONText.of(line) + "\n").utf8)
    }
    /// On disk when it returns.
    private func write(_ line: Data) async {
        await withCheckedContinuation { write(line, waiter: $0) }
    }
    private func write(_ line: Data, waiter: CheckedContinuation<Void, Never>?) {
        guard path != nil else {
            waiter?.resume()
            return
        }
        pending.withLock { $0.append(Pending(line: line, waiter: waiter)) }
        queue.async { [self] in writePending() }
    }
    /// All that wait, with one sync.
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
                ? now - file.triedMillis >= ContractAnswers.retryMillis
                : file.byteCount > 2 * max(ContractAnswers.bytesMax, file.byteCountThen)
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
        var loaded = State(signed: SignedRequests(countMax: signedCountMax))
        for bytes in data.split(separator: UInt8(ascii: "\n")) {
            // A line that was cut off is the last one, and says nothing.
            guard let line = try? decoder.decode(Line.self, from: bytes), now < line.end,
                let scope = TextEncoding.bytes(of: line.scope, as: .hex),
                let digest = line.digest.isEmpty ? [] : TextEncoding.bytes(of: line.digest, as: .hex)
            else { continue }
            if scope.count == 16 || digest.isEmpty {
                // Of a signed request; one without a key was written by an earlier version, and is good for none.
                guard let name = SignedRequests.Name(digest: scope) else { continue }
                let isDone = line.status == 1 || digest.isEmpty
                loaded.signed.set(
                    name, isDone ? .done : .open, key: SignedRequests.word(digest), endMillis: line.end)
                continue
            }
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
        let (kept, signed) = state.withLock { state in
            let kept = state.order[state.first...].compactMap { scope in state.kept[scope].map { (scope, $0) } }
            return (kept, state.signed.entries)
        }
        var data = Data()
        for (scope, one) in kept {
            data += ContractAnswers.line(scope, one.digest, one.endMillis, one.status, one.lasting ?? one.text)
        }
        for (name, one) in signed where one.standing != .free && now < one.endMillis {
            data += ContractAnswers.line(name, one.key, one.endMillis, isDone: one.standing == .done)
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
            file = File(handle: handle, byteCount: data.count, byteCountThen: data.count, triedMillis: now)
        }
    }
}
