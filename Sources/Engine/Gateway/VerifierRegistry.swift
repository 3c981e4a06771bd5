// What is done on worker threads, by the number that an order names them with, so that no pointer to one
// crosses a ring.
//
// Invariant: a number is given once in the life of a registry; it is known exactly as long as its lease, which the
// snapshot that uses it owns. An order whose number is no longer known belongs to a configuration that has gone.
import FastPath
import Synchronization

package final class VerifierRegistry: Sendable {
    private struct State {
        var lastID: UInt32 = 0
        var duties: [UInt32: WorkerDuty] = [:]
    }
    private let state = Mutex(State())
    /// What looks at publications; nil while the gateway does not run.
    private let desk = Mutex<(any PublicationDesk)?>(nil)
    /// Versions of the registry of sources and keys.
    package let publishers = PublisherAccess()
    /// The number of that work; no registered duty gets as far.
    static let publications = UInt32.max
    /// What all of them share: a reload does not fetch again, and no verifier's thread waits for the network.
    package let certificates = CertificateResolver(mode: .background)

    package init() {}
    package func register(_ duty: WorkerDuty) -> VerifierLease {
        let id = state.withLock { state in
            precondition(state.lastID < VerifierRegistry.publications - 1)
            // 0 means "the loop does it".
            state.lastID += 1
            state.duties[state.lastID] = duty
            return state.lastID
        }
        return VerifierLease(id: id, registry: self)
    }
    package func setDesk(_ desk: (any PublicationDesk)?) { self.desk.withLock { $0 = desk } }
    func publicationDesk() -> (any PublicationDesk)? { desk.withLock { $0 } }
    func duty(_ id: UInt32) -> WorkerDuty? { state.withLock { $0.duties[id] } }
    fileprivate func retire(_ id: UInt32) { state.withLock { _ = $0.duties.removeValue(forKey: id) } }
    package var count: Int { state.withLock { $0.duties.count } }
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
