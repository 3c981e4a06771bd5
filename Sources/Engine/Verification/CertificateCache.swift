// Fetched certificates, kept by their address, and the fetches that are under way or wanted.
//
// Invariants: at most `countMax` addresses are kept, and what failed goes before what serves; one fetch at a time; a
// failed address is not tried again for `failureSeconds`; at most `fetchesPerMinute` addresses that never served are
// asked for in a minute, so that whoever invents addresses costs little. An address that has served is fetched again
// outside that budget, in front of the others, and serves while its certificate is valid: nobody can take a known
// certificate away by asking for unknown ones. If these fail, anyone stops the verification of a provider's events.

import FastPath
import Foundation
import Synchronization

/// What a verifier does for a certificate that is not here.
package enum CertificateFetchMode: Sendable {
    /// Fetches it and waits: for commands and for whoever verifies again.
    case blocking
    /// Has it fetched by a thread of its own and answers at once: for the threads that all requests share.
    case background
    /// Takes what is here: for a closer look at what was refused.
    case cachedOnly
}

package final class CertificateCache: Sendable {
    private struct Entry {
        var answer: CertificateLookup
        /// Nil exactly when the address has not served: the fetch failed, or what came is not trusted.
        var leaf: Certificate?
        /// Not fetched again before.
        var untilSeconds: UInt64
        /// The last fetch failed; `leaf` may be of one before it.
        var hasFailed: Bool

        func isDue(_ nowSeconds: UInt64) -> Bool {
            nowSeconds >= untilSeconds || (!hasFailed && leaf.map { !$0.isValid(atSeconds: nowSeconds) } ?? false)
        }
        func serving(_ nowSeconds: UInt64) -> CertificateLookup {
            leaf?.isValid(atSeconds: nowSeconds) ?? true ? answer : .unavailable
        }
    }
    private struct Wanted {
        let url: PinnedURL
        let nowSeconds: UInt64
        let hasServed: Bool
    }
    private struct State {
        var entries: [PinnedURL: Entry] = [:]
        /// For the thread, next first; those that have served stand in front.
        var wanted: [Wanted] = []
        /// Somebody fetches, and what.
        var fetching: PinnedURL?
        var minute: UInt64 = 0
        var fetchesInMinute = 0
        /// True exactly from the start of the thread to its last look at `wanted`.
        var isRunning = false
        /// Ended, or about to, when `isRunning` is false.
        var thread: LoopThread?
        var isClosed = false
    }
    static let countMax = 64
    static let keptSeconds: UInt64 = 86_400
    static let failureSeconds: UInt64 = 60
    static let fetchesPerMinute = 20
    /// Addresses that have not served and wait for the thread.
    static let wantedMax = 16

    private let fetcher: any CertificateFetcher
    private let trust: CertificateTrust
    private let state = Mutex(State())

    package init(fetcher: any CertificateFetcher, trust: CertificateTrust) {
        self.fetcher = fetcher
        self.trust = trust
    }

    func keys(at url: PinnedURL, nowSeconds: UInt64, _ mode: CertificateFetchMode) -> CertificateLookup {
        let (answer, mustFetch) = state.withLock { state -> (CertificateLookup, Bool) in
            let entry = state.entries[url]
            let answer = entry?.serving(nowSeconds) ?? .unavailable
            guard mode != .cachedOnly, !state.isClosed, entry?.isDue(nowSeconds) ?? true else { return (answer, false) }
            let wanted = Wanted(url: url, nowSeconds: nowSeconds, hasServed: entry?.leaf != nil)
            if mode == .background {
                ask(wanted, &state)
                return (answer, false)
            }
            guard state.fetching == nil, mayFetch(wanted, &state) else { return (answer, false) }
            state.fetching = url
            return (answer, true)
        }
        return mustFetch ? fetch(url, nowSeconds) : answer
    }

    /// Takes one of the minute's fetches, where it takes one.
    private func mayFetch(_ wanted: Wanted, _ state: inout State) -> Bool {
        if wanted.hasServed { return true }
        if state.minute != wanted.nowSeconds / 60 {
            state.minute = wanted.nowSeconds / 60
            state.fetchesInMinute = 0
        }
        guard state.fetchesInMinute < CertificateCache.fetchesPerMinute else { return false }
        state.fetchesInMinute += 1
        return true
    }

    // MARK: the thread

    private func ask(_ wanted: Wanted, _ state: inout State) {
        guard state.fetching != wanted.url, !state.wanted.contains(where: { $0.url == wanted.url }) else { return }
        let waiting = state.wanted.count { !$0.hasServed }
        guard wanted.hasServed || waiting < CertificateCache.wantedMax, mayFetch(wanted, &state) else { return }
        state.wanted.insert(wanted, at: wanted.hasServed ? state.wanted.count - waiting : state.wanted.count)
        guard !state.isRunning else { return }
        // The last one has nothing left to do but to end.
        state.thread?.join()
        state.thread = nil
        do throws(ThreadStartError) {
            state.thread = try LoopThread(name: "certificates") { [self] in run() }
            state.isRunning = true
        } catch {
            // Asked for again when the next request wants it.
            state.wanted = []
        }
    }
    /// Until nothing is wanted any more. Its start holds the lock, so it sees `isRunning`.
    private func run() {
        while let next = nextWanted() { _ = fetch(next.url, next.nowSeconds) }
    }
    private func nextWanted() -> Wanted? {
        state.withLock { state in
            guard !state.wanted.isEmpty else {
                state.isRunning = false
                return nil
            }
            let next = state.wanted.removeFirst()
            state.fetching = next.url
            return next
        }
    }
    /// From now on nothing is fetched; what is under way comes to its end.
    func close() {
        state.withLock { state in
            state.isClosed = true
            state.wanted = []
        }
    }
    func open() { state.withLock { $0.isClosed = false } }
    /// After `close`. A thread that still waits for the network then is left behind: it ends with its fetch or the
    /// process.
    func join(withinMillis: Int) {
        let end = ProcessResources.monotonicNanos + UInt64(withinMillis) * 1_000_000
        while state.withLock({ $0.isRunning }), ProcessResources.monotonicNanos < end {
            Thread.sleep(forTimeInterval: 0.005)
        }
        let ended = state.withLock { state -> LoopThread? in
            guard !state.isRunning else { return nil }
            defer { state.thread = nil }
            return state.thread
        }
        ended?.join()
    }

    // MARK: one fetch

    private func fetch(_ url: PinnedURL, _ nowSeconds: UInt64) -> CertificateLookup {
        let fresh = fetched(url, nowSeconds)
        return state.withLock { state in
            state.fetching = nil
            var entry = fresh
            if case .unavailable = fresh.answer, let old = state.entries[url], old.leaf != nil {
                // Not to be had just now: what served goes on to.
                entry.answer = old.answer
                entry.leaf = old.leaf
            }
            if state.entries.count >= CertificateCache.countMax, state.entries[url] == nil {
                let oldest = state.entries.min {
                    ($0.value.leaf == nil ? 0 : 1, $0.value.untilSeconds)
                        < ($1.value.leaf == nil ? 0 : 1, $1.value.untilSeconds)
                }
                if let oldest { state.entries[oldest.key] = nil }
            }
            state.entries[url] = entry
            return entry.serving(nowSeconds)
        }
    }
    private func fetched(_ url: PinnedURL, _ nowSeconds: UInt64) -> Entry {
        func failed(_ answer: CertificateLookup) -> Entry {
            Entry(
                answer: answer, leaf: nil, untilSeconds: nowSeconds + CertificateCache.failureSeconds, hasFailed: true)
        }
        guard let text = fetcher.certificates(host: url.host, path: url.path) else { return failed(.unavailable) }
        let certificates = Certificate.all(inPEM: String(decoding: text, as: UTF8.self))
        guard trust.accepts(certificates, nowSeconds: nowSeconds), let leaf = certificates.first,
            let key = try? leaf.publicKey(for: .rsaSHA256)
        else { return failed(.untrusted) }
        return Entry(
            answer: .keys([key]), leaf: leaf, untilSeconds: nowSeconds + CertificateCache.keptSeconds,
            hasFailed: false)
    }
}
