// The answers of the contract edge to calls that may come again, by tenant and key: for a day, over restarts. Only what
// succeeded is kept; after anything else the key is free. A second call while the first one runs is told so.
//
// `LastingAnswers` keeps them; a line is on disk before its call is answered. What has a secret in it is there without
// the secret.
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
        /// How long.
        let millis: Int64
        /// Of a signed request: it is good for this key and no other.
        package var requestID: String?

        package init(tenant: String, key: String, digest: [UInt8], millis: Int64) {
            (self.tenant, self.key, self.digest, self.millis) = (tenant, key, digest, millis)
        }
        fileprivate var scope: AnswerScope { AnswerScope("\(tenant) \(key)") }
        fileprivate var nonce: AnswerScope? { requestID.map { AnswerScope("\(tenant) \($0)") } }
    }
    package enum Turn: Equatable, Sendable {
        case first
        case kept(status: Int, text: String?)
        case running
        case conflict
    }

    private struct Kept: LastingAnswer {
        var endMillis: Int64
        /// Empty for a request id that was used.
        var digest: [UInt8]
        var status: Int
        var text: String?
        /// Of the file, where that is another text.
        var lasting: String?
        var byteCount: Int { 256 + (text?.utf8.count ?? 0) + (lasting?.utf8.count ?? 0) }

        private struct Line: Codable {
            var scope: String
            var digest: String
            var end: Int64
            var status: Int
            var text: String?
        }
        func line(_ scope: AnswerScope) -> String? {
            JSONText.of(
                Line(
                    scope: scope.text, digest: TextEncoding.hex(digest), end: endMillis, status: status,
                    text: lasting ?? text))
        }
        static func read(_ line: Data) -> (AnswerScope, Kept)? {
            guard let read = try? JSONDecoder().decode(Line.self, from: line),
                let scope = AnswerScope(hex: read.scope),
                let digest = read.digest.isEmpty ? [] : TextEncoding.bytes(of: read.digest, as: .hex)
            else { return nil }
            return (scope, Kept(endMillis: read.end, digest: digest, status: read.status, text: read.text))
        }
    }
    private let answers: LastingAnswers<Kept>

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        answers = LastingAnswers(
            folder: folder, fileName: ContractAnswers.fileName,
            bounds: AnswerBounds(countMax: ContractAnswers.countMax, bytesMax: ContractAnswers.bytesMax), syncs: true,
            nowMillis: nowMillis)
    }

    package func begin(_ claim: Claim) async throws -> Turn {
        guard await answers.load() else {
            throw EdgeRefusal(.unavailable, "what was answered before cannot be read at the moment; try again")
        }
        let now = answers.nowMillis()
        return answers.withShelf { shelf in
            if let kept = shelf.answer(claim.scope, now: now) {
                return kept.digest == claim.digest ? .kept(status: kept.status, text: kept.text) : .conflict
            }
            if let nonce = claim.nonce {
                if shelf.answer(nonce, now: now) != nil { return .conflict }
                if shelf.isRunning(nonce) { return .running }
            }
            guard shelf.begin(claim.scope) else { return .running }
            if let nonce = claim.nonce { _ = shelf.begin(nonce) }
            return .first
        }
    }
    /// It was refused: the key is free.
    package func release(_ claim: Claim) {
        answers.withShelf { shelf in
            shelf.end(claim.scope)
            if let nonce = claim.nonce { shelf.end(nonce) }
        }
    }
    /// `lasting`: what is kept on disk in place of `text`. On disk when it returns.
    package func keep(_ claim: Claim, status: Int, text: String?, lasting: String? = nil) async {
        let now = answers.nowMillis()
        var kept = [
            (
                claim.scope,
                Kept(
                    endMillis: now + claim.millis, digest: claim.digest, status: status, text: text, lasting: lasting)
            )
        ]
        if let nonce = claim.nonce {
            kept.append((nonce, Kept(endMillis: now + claim.millis, digest: [], status: 0)))
        }
        answers.withShelf { [kept] shelf in
            for (scope, answer) in kept {
                shelf.end(scope)
                shelf.keep(scope, answer, now: now)
            }
        }
        await answers.write(kept.compactMap { scope, answer in answer.line(scope) })
    }
}
