// The verifiers that run on worker threads, by the number that an order names them with, so that no pointer to one
// crosses a ring.
//
// Invariant: a number is given once in the life of a registry; it is known exactly as long as its lease, which the
// snapshot that uses it owns. An order whose number is no longer known belongs to a configuration that has gone.
import FastPath
import Synchronization

package final class VerifierRegistry: Sendable {
    private struct State {
        var lastID: UInt32 = 0
        var verifiers: [UInt32: any RequestVerifier] = [:]
    }
    private let state = Mutex(State())
    /// What all of them share: a reload does not fetch again, and no verifier's thread waits for the network.
    package let certificates = CertificateResolver(mode: .background)

    package init() {}
    package func register(_ verifier: any RequestVerifier) -> VerifierLease {
        let id = state.withLock { state in
            // 0 means "verified on the loop".
            state.lastID += 1
            state.verifiers[state.lastID] = verifier
            return state.lastID
        }
        return VerifierLease(id: id, registry: self)
    }
    func verifier(_ id: UInt32) -> (any RequestVerifier)? { state.withLock { $0.verifiers[id] } }
    fileprivate func retire(_ id: UInt32) { state.withLock { _ = $0.verifiers.removeValue(forKey: id) } }
    package var count: Int { state.withLock { $0.verifiers.count } }
}

/// Keeps a verifier known; when the last reference goes, so does the verifier.
package final class VerifierLease: Sendable {
    package let id: UInt32
    private let registry: VerifierRegistry

    fileprivate init(id: UInt32, registry: VerifierRegistry) {
        self.id = id
        self.registry = registry
    }
    deinit { registry.retire(id) }
}
