// The threads that ask token endpoints for access tokens, and the seam by which the dispatcher has them asked. A thread
// is made when there is something to ask and none is free; no tenant has more than half of them, so that one whose
// token endpoint does not answer does not keep the others waiting.
//
// Invariants: an order is answered exactly once, except after `stop`, when nobody asks any more; where a request goes
// is resolved, checked and connected to as `CheckedTarget` has it.
import FastPath
import Foundation
import Synchronization

package protocol TokenPort: AnyObject, SendableMetatype {
    func ask(_ credentials: ClientCredentials)
    func nextAnswer() -> TokenAnswer?
    /// May say true for nothing, never false for something.
    var hasAnswer: Bool { get }
}

package struct TokenAnswer: Sendable {
    package let credentials: ClientCredentials
    package let result: Result<GrantedToken, TokenFailure>

    package init(_ credentials: ClientCredentials, _ result: Result<GrantedToken, TokenFailure>) {
        self.credentials = credentials
        self.result = result
    }
}

package final class TokenWorkers: TokenPort, @unchecked Sendable {
    package typealias Exchange = @Sendable (ClientCredentials) throws(TokenFailure) -> GrantedToken
    package static let threadCountMax = 4
    package static let tenantThreadCountMax = 2
    private static let deadlineMillis: UInt64 = 10_000

    private struct Shared {
        var questions: [ClientCredentials] = []
        var answers: [TokenAnswer] = []
        /// Requests that are being made, by tenant.
        var running: [TenantID: Int] = [:]
        var threadCount = 0
        var idleCount = 0
        var isStopping = false

        /// The one that waits longest among those whose tenant has none out, else among those whose tenant may have
        /// another: two tenants with many clients that hang must not keep a third waiting for all of them.
        mutating func next() -> ClientCredentials? {
            let place =
                questions.firstIndex { running[$0.tenant] == nil }
                ?? questions.firstIndex { running[$0.tenant, default: 0] < tenantThreadCountMax }
            guard let place else { return nil }
            let question = questions.remove(at: place)
            running[question.tenant, default: 0] += 1
            return question
        }
    }
    private let condition = NSCondition()
    /// Only inside the condition's lock.
    private var shared = Shared()
    private let answerCount = Atomic<Int>(0)
    private let wakeup: Wakeup
    private let exchange: Exchange

    /// `wakeup` is the dispatcher's.
    package init(wakeup: Wakeup, exchange: @escaping Exchange = TokenWorkers.request) {
        self.wakeup = wakeup
        self.exchange = exchange
    }
    /// Requests that are out end by their deadline.
    package func stop() {
        condition.lock()
        shared.isStopping = true
        condition.broadcast()
        condition.unlock()
    }

    // MARK: The dispatcher's side

    package func ask(_ credentials: ClientCredentials) {
        condition.lock()
        shared.questions.append(credentials)
        let wantsThread = shared.idleCount < shared.questions.count && shared.threadCount < TokenWorkers.threadCountMax
        if wantsThread { shared.threadCount += 1 }
        condition.signal()
        condition.unlock()
        guard wantsThread else { return }
        let thread = Thread { [self] in run() }
        thread.name = "tokens"
        thread.start()
    }
    package var hasAnswer: Bool { answerCount.load(ordering: .acquiring) > 0 }
    package func nextAnswer() -> TokenAnswer? {
        guard hasAnswer else { return nil }
        condition.lock()
        let answer = shared.answers.isEmpty ? nil : shared.answers.removeFirst()
        condition.unlock()
        if answer != nil { answerCount.subtract(1, ordering: .acquiringAndReleasing) }
        return answer
    }

    // MARK: The threads

    private func run() {
        while let credentials = nextQuestion() {
            let result: Result<GrantedToken, TokenFailure>
            do throws(TokenFailure) { result = .success(try exchange(credentials)) } catch { result = .failure(error) }
            condition.lock()
            let left = shared.running[credentials.tenant, default: 1] - 1
            shared.running[credentials.tenant] = left > 0 ? left : nil
            shared.answers.append(TokenAnswer(credentials, result))
            // One of the tenant's may have waited for this.
            condition.broadcast()
            condition.unlock()
            answerCount.add(1, ordering: .acquiringAndReleasing)
            wakeup.signal()
        }
    }
    private func nextQuestion() -> ClientCredentials? {
        condition.lock()
        defer { condition.unlock() }
        while !shared.isStopping {
            if let next = shared.next() { return next }
            shared.idleCount += 1
            condition.wait()
            shared.idleCount -= 1
        }
        return nil
    }

    /// Asks the token endpoint. Blocks.
    @Sendable package static func request(_ credentials: ClientCredentials) throws(TokenFailure) -> GrantedToken {
        let (address, environment) = (credentials.address, credentials.environment)
        let target: ExchangeTarget
        do throws(CheckedTargetFailure) {
            target = try ExchangeTarget(to: address, environment.rules, environment.proxy, tls: credentials.tls)
        } catch {
            switch error {
            case .unresolved(let what), .unusable(let what): throw TokenFailure(.nameNotResolved, detail: what)
            case .refused(let what): throw TokenFailure(.addressRefused, detail: what)
            }
        }
        let request = TokenRequest.bytes(credentials.settings, address, version: environment.version)
        let answer: ExchangeAnswer
        do throws(ExchangeFailure) {
            answer = try CheckedExchange.run(
                target, request: request, answerBytesMax: TokenRequest.answerBytesMax, deadlineMillis: deadlineMillis)
        } catch { throw TokenFailure(exchange: error) }
        return try TokenRequest.token(in: answer, credentials.settings)
    }
}
