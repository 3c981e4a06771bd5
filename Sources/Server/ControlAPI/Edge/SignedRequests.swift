// The signed requests of the contract edge, for as long as their signatures hold: each is good for one key, and what it
// asked for happens once, whatever its bearer changes in what is not signed. Passive; the time comes in.
//
// Invariants: nothing is forgotten while it could be sent again: when as many are known as there may be, the next is
// refused. One place in `order` for each entry.
import Engine
import FastPath

package struct SignedRequests: Sendable {
    /// What 1,310 a second come to in the time that they are kept; 45 MB.
    package static let countMax = 786_432
    /// A request's time may be as far ahead of ours as behind it.
    package static let lifeMillis = Int64(2 * EnvelopeSignature.windowSeconds + 1) * 1000

    /// Tenant and id of a request.
    package struct Name: Hashable, Sendable {
        let high: UInt64
        let low: UInt64

        /// Nil for what is no digest.
        package init?(digest: some Collection<UInt8>) {
            guard digest.count >= 16 else { return nil }
            high = SignedRequests.word(digest.prefix(8))
            low = SignedRequests.word(digest.dropFirst(8).prefix(8))
        }
        var bytes: [UInt8] { SignedRequests.bytes(of: high) + SignedRequests.bytes(of: low) }
    }
    package enum Standing: UInt8, Sendable {
        /// Its key is free: it was refused, and did nothing.
        case free
        case running
        /// It was being worked on when the process ended, or failed: for its own key it may be tried again.
        case open
        case done
    }
    package struct Entry: Sendable {
        /// Of the digest of the key that it is good for.
        var key: UInt64
        var standing: Standing
        var endMillis: Int64
        /// What it goes back to when it is refused.
        var former = Standing.free
    }
    package enum Verdict: Equatable, Sendable {
        case first
        /// Again under its own key.
        case again(isDone: Bool)
        case running
        case otherKey
        /// So many milliseconds until there is room again.
        case full(millis: Int64)
    }

    package private(set) var entries: [Name: Entry] = [:]
    private var order = FIFOQueue<(name: Name, endMillis: Int64)>()
    private let countMax: Int

    package init(countMax: Int = SignedRequests.countMax) { self.countMax = countMax }

    static func word(_ bytes: some Collection<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    package static func bytes(of word: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (56 - 8 * $0)) }
    }

    /// What a request that comes now is. It changes nothing but what is over.
    package mutating func verdict(on name: Name, key: UInt64, nowMillis now: Int64) -> Verdict {
        forget(now)
        guard let entry = entries[name], now < entry.endMillis, entry.standing != .free else {
            guard entries[name] == nil, entries.count >= countMax else { return .first }
            return .full(millis: max(1, (order.first?.endMillis ?? now) - now))
        }
        if entry.standing == .running { return .running }
        return entry.key == key ? .again(isDone: entry.standing == .done) : .otherKey
    }
    package mutating func set(_ name: Name, _ standing: Standing, key: UInt64, endMillis: Int64) {
        let entry = Entry(key: key, standing: standing, endMillis: endMillis)
        if entries.updateValue(entry, forKey: name) == nil { order.append((name, endMillis)) }
    }
    /// It is worked on from now on, for this key; gives what it was for it before.
    @discardableResult
    package mutating func begin(_ name: Name, key: UInt64, endMillis: Int64) -> Standing {
        let former = entries[name].map { $0.key == key ? $0.standing : .free } ?? .free
        set(name, .running, key: key, endMillis: endMillis)
        entries[name]?.former = former
        return former
    }
    /// It was refused. `isOpen`: after it may have done something.
    package mutating func release(_ name: Name, isOpen: Bool) {
        guard let entry = entries[name] else { return }
        entries[name]?.standing = entry.former == .free && isOpen ? .open : entry.former
    }
    private mutating func forget(_ now: Int64) {
        while let oldest = order.first, oldest.endMillis <= now {
            let name = oldest.name
            order.popFirst()
            guard let entry = entries[name] else { continue }
            if entry.endMillis <= now {
                entries[name] = nil
            } else {
                // It came again meanwhile.
                order.append((name, entry.endMillis))
            }
        }
    }
}
