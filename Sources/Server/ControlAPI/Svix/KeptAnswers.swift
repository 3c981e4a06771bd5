// The answers to POSTs that came with an `idempotency-key`, so that one which is sent again is answered as the first
// one was and does nothing: for twelve hours, per caller, key and address. Only 2xx are kept; after anything else the
// key is free. While the first call runs, a second one waits for it.
//
// They last over restarts (`LastingLines`); after a power cut the last moments may be missing, and such a call is
// then done again. What has a secret in it stays in memory.
import Engine
import Foundation

package final class KeptAnswers: Sendable {
    package static let countMax = 65_536
    package static let bytesMax = 16 << 20
    package static let ageMillisMax: Int64 = 12 * 3_600_000
    private static let waitMillis = 50
    private static let waitCountMax = 100
    package static let fileName = "idempotency.jsonl"
    package static let retryMillis = LastingLines<Contents>.retryMillis

    fileprivate struct Kept: KeptAnswer {
        var millis: Int64
        var reply: SvixReply
        var byteCount: Int
        var endMillis: Int64 { millis + KeptAnswers.ageMillisMax }

        struct Line: Codable {
            var scope: String
            var millis: Int64
            var status: Int
            var body: JSONValue?

            static func of(_ reply: SvixReply, _ scope: AnswerScope, millis: Int64) -> String {
                JSONText.of(Line(scope: scope.text, millis: millis, status: reply.status, body: reply.body))
            }
        }
        func line(_ scope: AnswerScope) -> String? {
            reply.isSecret ? nil : Line.of(reply, scope, millis: millis)
        }
    }
    fileprivate struct Contents: LastingContents {
        var shelf = AnswerShelf<Kept>(AnswerBounds(countMax: KeptAnswers.countMax, bytesMax: KeptAnswers.bytesMax))

        mutating func read(_ text: [UInt8], nowMillis now: Int64) {
            guard let line = try? JSONValueDecoder().decode(Kept.Line.self, from: text),
                let scope = AnswerScope(hex: line.scope)
            else { return }
            let kept = Kept(
                millis: line.millis, reply: SvixReply(line.status, line.body), byteCount: text.count + 1)
            if now < kept.endMillis { shelf.keep(scope, kept, now: now) }
        }
        func lines(nowMillis: Int64) -> [String] { shelf.lines }
    }
    private enum Turn {
        case kept(SvixReply)
        case first
        case running
    }
    private let answers: LastingLines<Contents>

    /// `folder` nil: in memory alone.
    package init(
        folder: String? = nil,
        nowMillis: @escaping @Sendable () -> Int64 = { Int64(Date().timeIntervalSince1970 * 1000) }
    ) {
        answers = LastingLines(
            Contents(), folder: folder, fileName: KeptAnswers.fileName, bytesMax: KeptAnswers.bytesMax, syncs: false,
            nowMillis: nowMillis)
    }

    /// Reads what the file has before anybody asks. Once the folder is ours.
    package func prepare() { answers.prepare() }
    package func once(_ scope: AnswerScope, _ make: () async throws -> SvixReply) async throws -> SvixReply {
        guard await answers.load() else {
            throw SvixError(503, "unavailable", "what was answered before cannot be read at the moment; try again")
        }
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
    private func turn(_ scope: AnswerScope) -> Turn {
        let now = answers.nowMillis()
        return answers.with { contents in
            if let kept = contents.shelf.answer(scope, now: now) { return .kept(kept.reply) }
            return contents.shelf.begin(scope) ? .first : .running
        }
    }
    private func end(_ scope: AnswerScope, _ reply: SvixReply?) async {
        guard let reply, (200..<300).contains(reply.status) else { return answers.with { $0.shelf.end(scope) } }
        let now = answers.nowMillis()
        let line = Kept.Line.of(reply, scope, millis: now)
        let kept = Kept(millis: now, reply: reply, byteCount: line.utf8.count + 1)
        answers.with { contents in
            contents.shelf.end(scope)
            contents.shelf.keep(scope, kept, now: now)
        }
        if !reply.isSecret { await answers.write([line]) }
    }
}

extension AnswerScope {
    package init(_ parts: [String]) { self.init(parts.map { "\($0.utf8.count):\($0)" }.joined()) }
    init(_ call: Call, _ key: String) {
        self.init([call.caller.principal.name, call.caller.principal.tenant ?? "", call.target, key])
    }
}
