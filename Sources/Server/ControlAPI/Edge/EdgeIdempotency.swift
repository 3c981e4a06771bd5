// Whether a call was made before: then it is answered as it was, or refused, and nothing is done again.
import Engine
import FastPath
import HTTPTypes
import Hummingbird

extension Edge {
    package struct IdempotencyChecker: EdgeMiddleware {
        static let header = HTTPField.Name("X-Idempotency-Key")!
        static let replayed = HTTPField.Name("Idempotent-Replayed")!
        let answers: ContractAnswers

        package init(answers: ContractAnswers) { self.answers = answers }

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.isMutation, let traits = exchange.traits, exchange.needsEnvelope else { return nil }
            var given: String?
            if let text = exchange.fields[IdempotencyChecker.header] {
                guard ContractID.isUUID(text) else {
                    throw EdgeRefusal(.invalidHeader, "`X-Idempotency-Key` must be a UUID")
                }
                given = text.lowercased()
            }
            let own = exchange.requestID.lowercased()
            let key: String
            let seconds: Int
            switch traits.repetition {
            case .none: return nil
            case .always(let most): (key, seconds) = (given ?? own, most)
            case .whenAsked(let most):
                guard given != nil || exchange.isProven else { return nil }
                (key, seconds) = (given ?? own, given == nil ? 0 : most)
            }
            if seconds > 0 { exchange.key = key }
            var claim = ContractAnswers.Claim(
                tenant: exchange.tenant, key: key, digest: try await IdempotencyChecker.digest(of: &exchange),
                millis: Int64(seconds) * 1000)
            // What was signed is good for one key: a request that was captured is not another one under another key.
            if exchange.isProven { claim.requestID = own }
            claim.isLogged = traits.isIngest
            switch try await answers.begin(claim) {
            case .first:
                exchange.claim = claim
                return nil
            case .kept(let status, let text):
                return IdempotencyChecker.repeated(status, text, isIngest: traits.isIngest)
            case .running:
                var refusal = EdgeRefusal(
                    .idempotencyConflict, "a request with this key is still being worked on; try again")
                refusal.retryAfterSeconds = 1
                throw refusal
            case .conflict:
                let message =
                    claim.requestID == nil
                    ? "the key was used for another request within the last day"
                    : "the request was made before, or its key was used for another one within the last day"
                throw EdgeRefusal(.idempotencyConflict, message)
            }
        }
        /// What the key stands for: method, path, query and bytes.
        private static func digest(of exchange: inout EdgeExchange) async throws -> [UInt8] {
            let head = "\(exchange.method) \(exchange.request.uri.string)\n"
            return Digest.sha256(Array(head.utf8) + (try await exchange.body()))
        }
        private static func repeated(_ status: Int, _ text: String?, isIngest: Bool) -> EdgeReply {
            guard let text else {
                var reply = EdgeReply(status)
                reply.fields[replayed] = "true"
                return reply
            }
            guard isIngest else {
                var reply = EdgeReply(status, .json(text))
                reply.fields[replayed] = "true"
                return reply
            }
            return EdgeReply(status, .json(ContractIngest.asDuplicate(text)))
        }
        package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {
            guard let claim = exchange.claim else { return }
            guard (200..<300).contains(reply.status) else {
                return answers.release(claim, isOpen: reply.status >= 500)
            }
            await answers.keep(claim, status: reply.status, text: reply.text, lasting: reply.keptText)
        }
    }
}
