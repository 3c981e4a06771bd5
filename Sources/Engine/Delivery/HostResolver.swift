// Host names of endpoints and the addresses behind them: asked for off the dispatcher's thread, kept for a while, asked
// for again after failures. One answer serves all endpoints of a host.
//
// Invariants: `look` never waits; a host is asked for once at a time; what a lane waits for comes as a reply, whatever
// the resolver says. The addresses are checked by whoever uses them, each time (design 2.1).
//
// `getaddrinfo` tells no time to live, so answers hold for a minute; while a new one is fetched the old one serves.

import FastPath
import Foundation
import Synchronization

/// What is known of a host.
package enum HostAnswer: Sendable {
    /// `version` changes with every answer.
    case addresses([SocketAddress], version: UInt64)
    case failed(String)
    /// A reply will name the host.
    case pending
}

package protocol HostLookup: AnyObject, SendableMetatype {
    func look(_ host: String, port: UInt16, now: UInt64) -> HostAnswer
    /// Its addresses did not answer: ask again soon, even if the answer is fresh.
    func distrust(_ host: String, port: UInt16)
    /// A host whose answer has come since the last call.
    func nextReply() -> String?
    /// May say true for nothing, never false for something.
    var hasReply: Bool { get }
}

package final class HostResolver: HostLookup, @unchecked Sendable {
    package static let answerNanos: UInt64 = 60_000_000_000
    /// A host that did not resolve is asked for again after this.
    package static let failureNanos: UInt64 = 5_000_000_000
    private static let distrustNanos: UInt64 = 5_000_000_000
    private static let threadCount = 4
    private static let hostCountMax = 65_536

    private struct Known {
        var addresses: [SocketAddress] = []
        var failure: String?
        var askedAt: UInt64 = 0
        var isAsked = false
        var version: UInt64 = 0
        var distrusted = false
        var hasAnswer: Bool { failure != nil || !addresses.isEmpty }
    }
    private struct Shared {
        var questions: [(host: String, port: UInt16)] = []
        var answers: [(host: String, result: Result<[SocketAddress], ResolveError>)] = []
        var threadCount = 0
        var isStopping = false
    }
    /// The dispatcher's thread alone.
    private var known: [String: Known] = [:]
    private var replies: [String] = []
    /// Counts all answers, so that a host that was forgotten in between never has a version twice.
    private var answersTaken: UInt64 = 0
    private let condition = NSCondition()
    /// Only inside the condition's lock.
    private var shared = Shared()
    private let answerCount = Atomic<Int>(0)
    private let wakeup: Wakeup
    private let resolve: @Sendable (String, UInt16) throws(ResolveError) -> [SocketAddress]

    /// `wakeup` is the dispatcher's.
    package init(
        wakeup: Wakeup,
        resolve: @escaping @Sendable (String, UInt16) throws(ResolveError) -> [SocketAddress] = {
            (host, port) throws(ResolveError) in try Resolver.resolve(host: host, port: port)
        }
    ) {
        self.wakeup = wakeup
        self.resolve = resolve
    }
    /// Threads that wait for a name server end when it answers or gives up.
    package func stop() {
        condition.lock()
        shared.isStopping = true
        condition.broadcast()
        condition.unlock()
    }

    // MARK: The dispatcher's side

    package func look(_ host: String, port: UInt16, now: UInt64) -> HostAnswer {
        takeAnswers()
        let key = HostResolver.key(host, port)
        if known.count >= HostResolver.hostCountMax, known[key] == nil { known.removeAll() }
        var entry = known[key] ?? Known()
        let age = now &- entry.askedAt
        let isOld =
            entry.failure != nil
            ? age >= HostResolver.failureNanos
            : age >= HostResolver.answerNanos || entry.distrusted && age >= HostResolver.distrustNanos
        if !entry.isAsked, !entry.hasAnswer || isOld {
            entry.isAsked = true
            entry.askedAt = now
            entry.distrusted = false
            ask(host, port)
        }
        known[key] = entry
        if !entry.addresses.isEmpty { return .addresses(entry.addresses, version: entry.version) }
        if let failure = entry.failure, !entry.isAsked { return .failed(failure) }
        return .pending
    }
    package func distrust(_ host: String, port: UInt16) { known[HostResolver.key(host, port)]?.distrusted = true }
    package func nextReply() -> String? {
        takeAnswers()
        return replies.popLast()
    }
    package var hasReply: Bool { answerCount.load(ordering: .acquiring) > 0 || !replies.isEmpty }

    private func takeAnswers() {
        guard answerCount.load(ordering: .acquiring) > 0 else { return }
        condition.lock()
        let answers = shared.answers
        shared.answers.removeAll()
        condition.unlock()
        answerCount.subtract(answers.count, ordering: .acquiringAndReleasing)
        for (key, result) in answers {
            var entry = known[key] ?? Known()
            entry.isAsked = false
            answersTaken += 1
            entry.version = answersTaken
            switch result {
            case .success(let addresses):
                entry.addresses = HostResolver.interleaved(addresses)
                entry.failure = nil
            case .failure(let error):
                // Addresses that served before serve on while the name server is away.
                if entry.addresses.isEmpty { entry.failure = HostResolver.text(of: error) }
            }
            known[key] = entry
            replies.append(String(key[..<(key.lastIndex(of: ":") ?? key.endIndex)]))
        }
    }
    private static func key(_ host: String, _ port: UInt16) -> String { "\(host):\(port)" }

    // MARK: The threads

    private func ask(_ host: String, _ port: UInt16) {
        condition.lock()
        shared.questions.append((host, port))
        let wantsThread = shared.threadCount < HostResolver.threadCount
        if wantsThread { shared.threadCount += 1 }
        condition.signal()
        condition.unlock()
        guard wantsThread else { return }
        let thread = Thread { [self] in run() }
        thread.name = "resolver"
        thread.start()
    }
    private func run() {
        while true {
            condition.lock()
            while shared.questions.isEmpty, !shared.isStopping { condition.wait() }
            guard !shared.isStopping else {
                condition.unlock()
                return
            }
            let (host, port) = shared.questions.removeFirst()
            condition.unlock()
            let result: Result<[SocketAddress], ResolveError>
            do throws(ResolveError) { result = .success(try resolve(host, port)) } catch { result = .failure(error) }
            condition.lock()
            shared.answers.append((HostResolver.key(host, port), result))
            condition.unlock()
            answerCount.add(1, ordering: .acquiringAndReleasing)
            wakeup.signal()
        }
    }
    static func text(of error: ResolveError) -> String {
        switch error {
        case .failed(let why): why
        case .noAddress: "no address"
        }
    }
    /// The family of the first address first, then in turns (RFC 8305, section 4); at most eight.
    static func interleaved(_ addresses: [SocketAddress]) -> [SocketAddress] {
        guard let first = addresses.first else { return [] }
        var mine = addresses.filter { $0.address.family == first.address.family }[...]
        var others = addresses.filter { $0.address.family != first.address.family }[...]
        var order: [SocketAddress] = []
        while order.count < 8, !mine.isEmpty || !others.isEmpty {
            if let next = mine.popFirst() { order.append(next) }
            if let next = others.popFirst() { order.append(next) }
        }
        return order
    }
}
