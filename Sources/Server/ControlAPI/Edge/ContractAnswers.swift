// The answers of the contract edge to calls that may come again, by tenant and key: for a day, over restarts. Only what
// succeeded is kept; after anything else the key is free. A second call while the first one runs is told so. And the
// signed requests among those calls, which are good for one key each (`SignedRequests`).
//
// They last in a file (`LastingLines`): a signed request is in it before it is worked on, an answer before it is given,
// unless the log knows the call anyway. What has a secret in it is there without the secret.
//
// Invariant: a key stands for one request of one tenant.
import Engine
import FastPath
import Foundation

package final class ContractAnswers: Sendable {
    package static let fileName = "contract-answers.jsonl"
    package static let countMax = 131_072
    package static let bytesMax = 64 << 20

    package struct Claim: Equatable, Sendable {
        let tenant: String
        let key: String
        /// Of the request that the key stands for.
        let digest: [UInt8]
        /// How long its answer is kept; 0 = not at all.
        let millis: Int64
        /// Of a signed request: it is good for this key and no other.
        package var requestID: String? {
            didSet { signed = requestID.flatMap { SignedRequests.Name(digest: AnswerScope("\(tenant) \($0)").digest) } }
        }
        /// The log tells a repetition of it, also when its answer is forgotten.
        package var isLogged = false

        package init(tenant: String, key: String, digest: [UInt8], millis: Int64) {
            (self.tenant, self.key, self.digest, self.millis) = (tenant, key, digest, millis)
            scope = AnswerScope("\(tenant) \(key)")
        }
        fileprivate let scope: AnswerScope
        fileprivate private(set) var signed: SignedRequests.Name?
        /// What a signed request is good for: its key, on a route of one kind.
        fileprivate var bond: UInt64 { SignedRequests.word(scope.digest.prefix(8)) ^ (isLogged ? 1 : 0) }
    }
    package enum Turn: Equatable, Sendable {
        case first
        case kept(status: Int, text: String?)
        case running
        case conflict
    }

    /// A line of the file: of an answer, or of a signed request, whose name is shorter.
    fileprivate struct Line: Codable {
        var scope: String
        var digest: String
        var end: Int64
        var status: Int
        var text: String?

        static func of(_ name: SignedRequests.Name, _ key: UInt64, _ end: Int64, isDone: Bool) -> String {
            JSONText.of(
                Line(
                    scope: TextEncoding.hex(name.bytes), digest: TextEncoding.hex(SignedRequests.bytes(of: key)),
                    end: end, status: isDone ? 1 : 0))
        }
    }
    fileprivate struct Kept: KeptAnswer {
        var endMillis: Int64
        var digest: [UInt8]
        var status: Int
        var text: String?
        /// Of the file, where that is another text.
        var lasting: String?
        var byteCount: Int { 320 + (text?.utf8.count ?? 0) + (lasting?.utf8.count ?? 0) }

        func line(_ scope: AnswerScope) -> String? {
            JSONText.of(
                Line(
                    scope: scope.text, digest: TextEncoding.hex(digest), end: endMillis, status: status,
                    text: lasting ?? text))
        }
    }
    private let answers: LastingLines<Contents>

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil, signedCountMax: Int = SignedRequests.countMax,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        answers = LastingLines(
            Contents(signed: SignedRequests(countMax: signedCountMax)), folder: folder,
            fileName: ContractAnswers.fileName, bytesMax: ContractAnswers.bytesMax, syncs: true, nowMillis: nowMillis)
    }

    /// Reads what the file has before anybody asks. Once the folder is ours.
    package func prepare() { answers.prepare() }
    package func begin(_ claim: Claim) async throws -> Turn {
        guard await answers.load() else {
            throw EdgeRefusal(.unavailable, "what was answered before cannot be read at the moment; try again")
        }
        let now = answers.nowMillis()
        let (turn, isDone) = try answers.with { contents throws(EdgeRefusal) in try contents.begin(claim, now) }
        if let isDone, let name = claim.signed {
            // A crash must not leave it free for another key.
            await answers.write([Line.of(name, claim.bond, now + SignedRequests.lifeMillis, isDone: isDone)])
        }
        return turn
    }
    /// It was refused: the key is free. `isOpen`: what became of it is not known, so it stays bound to its key.
    package func release(_ claim: Claim, isOpen: Bool = false) {
        answers.with { contents in
            contents.shelf.end(claim.scope)
            if let name = claim.signed { contents.signed.release(name, isOpen: isOpen) }
        }
    }
    /// `lasting`: what is kept on disk in place of `text`. On disk when it returns, unless the log knows the call.
    package func keep(_ claim: Claim, status: Int, text: String?, lasting: String? = nil) async {
        let now = answers.nowMillis()
        let signedEnd = now + SignedRequests.lifeMillis
        let kept = Kept(
            endMillis: now + claim.millis, digest: claim.digest, status: status, text: text, lasting: lasting)
        answers.with { contents in
            contents.shelf.end(claim.scope)
            if claim.millis > 0 { contents.shelf.keep(claim.scope, kept, now: now) }
            guard let name = claim.signed else { return }
            contents.signed.set(name, .done, key: claim.bond, endMillis: signedEnd)
        }
        var lines: [String] = []
        if claim.millis > 0, let line = kept.line(claim.scope) { lines.append(line) }
        if let name = claim.signed { lines.append(Line.of(name, claim.bond, signedEnd, isDone: true)) }
        guard !claim.isLogged || claim.signed == nil else { return answers.writeLater(lines) }
        await answers.write(lines)
    }
}

private struct Contents: LastingContents {
    var shelf = AnswerShelf<ContractAnswers.Kept>(
        AnswerBounds(countMax: ContractAnswers.countMax, bytesMax: ContractAnswers.bytesMax))
    var signed: SignedRequests

    /// Second: what is to be on disk of a signed request, which is done already, or not yet.
    mutating func begin(
        _ claim: ContractAnswers.Claim, _ now: Int64
    ) throws(EdgeRefusal) -> (ContractAnswers.Turn, Bool?) {
        if let kept = shelf.answer(claim.scope, now: now) {
            guard kept.digest == claim.digest else { return (.conflict, nil) }
            let isNew = try bindRepetition(claim, now)
            return (.kept(status: kept.status, text: kept.text), isNew ? true : nil)
        }
        if let turn = try turn(ofSigned: claim, now) { return (turn, nil) }
        guard shelf.begin(claim.scope) else { return (.running, nil) }
        guard let name = claim.signed else { return (.first, nil) }
        let former = signed.begin(name, key: claim.bond, endMillis: now + SignedRequests.lifeMillis)
        return (.first, former == .done)
    }
    /// One that was signed anew for a key that has its answer did nothing, and may not do it under another key. True
    /// when nobody knew it.
    private mutating func bindRepetition(_ claim: ContractAnswers.Claim, _ now: Int64) throws(EdgeRefusal) -> Bool {
        guard let name = claim.signed else { return false }
        switch signed.verdict(on: name, key: claim.bond, nowMillis: now) {
        case .first: break
        case .again, .running, .otherKey: return false
        case .full(let millis): throw Contents.full(millis)
        }
        signed.set(name, .done, key: claim.bond, endMillis: now + SignedRequests.lifeMillis)
        return true
    }
    /// Of a signed request that is not the first of its kind; nil for all others.
    private mutating func turn(
        ofSigned claim: ContractAnswers.Claim, _ now: Int64
    ) throws(EdgeRefusal) -> ContractAnswers.Turn? {
        guard let name = claim.signed else { return nil }
        switch signed.verdict(on: name, key: claim.bond, nowMillis: now) {
        case .first: return nil
        case .again(let isDone): return isDone && !claim.isLogged ? .conflict : nil
        case .running: return .running
        case .otherKey: return .conflict
        case .full(let millis): throw Contents.full(millis)
        }
    }
    private static func full(_ millis: Int64) -> EdgeRefusal {
        var refusal = EdgeRefusal(.unavailable, "too many signed requests within ten minutes; try again")
        refusal.retryAfterSeconds = Int(millis / 1000) + 1
        return refusal
    }

    mutating func read(_ text: [UInt8], nowMillis now: Int64) {
        guard let line = try? JSONValueDecoder().decode(ContractAnswers.Line.self, from: text), now < line.end,
            let digest = line.digest.isEmpty ? [] : TextEncoding.bytes(of: line.digest, as: .hex),
            let scope = AnswerScope(hex: line.scope)
        else { return }
        guard scope.digest.count == 16 || digest.isEmpty else {
            let kept = ContractAnswers.Kept(
                endMillis: line.end, digest: digest, status: line.status, text: line.text)
            return shelf.keep(scope, kept, now: now)
        }
        // Of a signed request; one without a key was written by an earlier version, and is good for none.
        guard let name = SignedRequests.Name(digest: scope.digest) else { return }
        let isDone = line.status == 1 || digest.isEmpty
        signed.set(name, isDone ? .done : .open, key: SignedRequests.word(digest), endMillis: line.end)
    }
    func lines(nowMillis now: Int64) -> [String] {
        let open = signed.entries.filter { $0.value.standing != .free && now < $0.value.endMillis }
        return shelf.lines
            + open.map { name, entry in
                ContractAnswers.Line.of(name, entry.key, entry.endMillis, isDone: entry.standing == .done)
            }
    }
}
