// When each key was last used: exact in memory, on disk to the minute, so that a busy key costs one small write a
// minute and not one a call.
import Synchronization

/// Where last uses are kept. Not part of a change: a use is neither audited nor worth a sync.
package protocol KeyUseStore: Sendable {
    func keyUses() throws -> [KeyID: Int64]
    /// May return before it is on disk. Nothing for a key that is gone.
    func record(use millis: Int64, of key: KeyID)
}

package final class KeyUses: Sendable {
    private static let writeEveryMillis: Int64 = 60_000
    private struct Use {
        var last: Int64
        var written: Int64
    }
    private let uses: Mutex<[KeyID: Use]>
    private let store: any KeyUseStore

    package init(_ store: any KeyUseStore) throws {
        self.store = store
        uses = Mutex(try store.keyUses().mapValues { Use(last: $0, written: $0) })
    }

    package func note(_ key: KeyID, nowMillis: Int64) {
        let isDue = uses.withLock { uses in
            var use = uses[key] ?? Use(last: nowMillis, written: 0)
            use.last = nowMillis
            let isDue = nowMillis - use.written >= KeyUses.writeEveryMillis
            if isDue { use.written = nowMillis }
            uses[key] = use
            return isDue
        }
        if isDue { store.record(use: nowMillis, of: key) }
    }
    /// Nil for one that was never used.
    package func last(_ key: KeyID) -> Int64? { uses.withLock { $0[key]?.last } }
    package func forget(_ key: KeyID) { uses.withLock { $0[key] = nil } }
}
