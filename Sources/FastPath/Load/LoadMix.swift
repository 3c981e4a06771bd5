// What the next request is: which entry of the mix, which kind, which event. Passive; the same seed gives the same
// sequence of draws.
//
// Invariants: an event's number is given out once as new; duplicates and retries name events of the same entry that
// were accepted, among the last of them; while there is none a new event takes the place. If they fail, a "duplicate"
// is the first of its kind and the proof counts wrong.
// Safety: owns its memory; indexes are bounded by the entry count and the ring's size.

package enum LoadKind: UInt8, CaseIterable, Sendable {
    case fresh
    /// The same bytes again.
    case duplicate
    /// The same event as its provider sends it again: new time, new signature, the provider's retry header.
    case retry
    case badSignature, stale, malformed

    package static let count = 6
    /// True exactly when it must not be accepted.
    @inline(__always) package var isForged: Bool { rawValue >= LoadKind.badSignature.rawValue }
}

/// Shares of the requests of an entry, 0 to 1 each and 1 together at most; the rest is fresh.
package struct LoadShares: Equatable, Sendable {
    package var duplicates = 0.0
    package var retries = 0.0
    package var badSignatures = 0.0
    package var stale = 0.0
    package var malformed = 0.0

    package init() {}
    package var sum: Double { duplicates + retries + badSignatures + stale + malformed }
}

package struct LoadDraw: Equatable, Sendable {
    package var entry: Int
    package var kind: LoadKind
    package var event: UInt64
    /// Of a duplicate: the time it was first sent at, in seconds; 0 = now.
    package var seconds: UInt64
}

@safe package struct LoadMix: ~Copyable {
    private struct Recent {
        var event: UInt64
        var seconds: UInt64
    }
    private struct Entry {
        /// Upper bounds over 2^32 for choosing the entry, and the kind in the order of `LoadKind`.
        var bound: UInt64 = 0
        var kindBounds = InlineArray<6, UInt64>(repeating: 0)
        var recentCount: UInt64 = 0
    }
    private static let recentCountMax: UInt64 = 256
    /// A duplicate older than this would be refused as stale by schemes that look at the time.
    private static let duplicateSecondsMax: UInt64 = 60
    private let entries: UnsafeMutablePointer<Entry>
    private let recents: UnsafeMutablePointer<Recent>
    private let entryCount: Int
    private var state: UInt64
    /// Events given out so far.
    package private(set) var eventCount: UInt64 = 0

    package init(weights: [Double], shares: [LoadShares], seed: UInt64) {
        precondition(weights.count == shares.count && !weights.isEmpty)
        entryCount = weights.count
        unsafe entries = .allocate(capacity: entryCount)
        unsafe recents = .allocate(capacity: entryCount * Int(LoadMix.recentCountMax))
        unsafe recents.initialize(
            repeating: Recent(event: 0, seconds: 0), count: entryCount * Int(LoadMix.recentCountMax))
        state = seed
        let total = weights.reduce(0, +)
        var passed = 0.0
        for (index, weight) in weights.enumerated() {
            passed += weight
            var entry = Entry()
            entry.bound = index == entryCount - 1 ? 1 << 32 : UInt64(passed / total * 4_294_967_296)
            let share = shares[index]
            let list = [
                1 - share.sum, share.duplicates, share.retries, share.badSignatures, share.stale, share.malformed,
            ]
            var sum = 0.0
            for (kind, part) in list.enumerated() {
                sum += part
                entry.kindBounds[kind] = UInt64((sum * 4_294_967_296).rounded())
            }
            entry.kindBounds[5] = 1 << 32
            unsafe (entries + index).initialize(to: entry)
        }
    }
    deinit {
        unsafe entries.deallocate()
        unsafe recents.deallocate()
    }

    /// SplitMix64.
    @inline(__always) package static func scramble(_ value: UInt64) -> UInt64 {
        var mixed = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
    @inline(__always) private mutating func random() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return LoadMix.scramble(state)
    }

    package mutating func next(nowSeconds: UInt64) -> LoadDraw {
        let dice = random()
        let (forEntry, forKind) = (dice & 0xFFFF_FFFF, dice >> 32)
        var index = 0
        while index < entryCount - 1, unsafe forEntry >= entries[index].bound { index += 1 }
        var kind = LoadKind.fresh
        var kindIndex = 0
        while kindIndex < 5, unsafe forKind >= entries[index].kindBounds[kindIndex] { kindIndex += 1 }
        kind = LoadKind(rawValue: UInt8(kindIndex)) ?? .fresh
        if kind == .duplicate || kind == .retry {
            let known = unsafe min(entries[index].recentCount, LoadMix.recentCountMax)
            if known > 0 {
                var recent = unsafe recents[index * Int(LoadMix.recentCountMax) + Int(random() % known)]
                if kind == .duplicate, nowSeconds > recent.seconds + LoadMix.duplicateSecondsMax {
                    let last = unsafe Int((entries[index].recentCount - 1) % LoadMix.recentCountMax)
                    recent = unsafe recents[index * Int(LoadMix.recentCountMax) + last]
                }
                let seconds = kind == .duplicate ? recent.seconds : 0
                return LoadDraw(entry: index, kind: kind, event: recent.event, seconds: seconds)
            }
            kind = .fresh
        }
        let event = eventCount
        eventCount += 1
        return LoadDraw(entry: index, kind: kind, event: event, seconds: 0)
    }
    /// A good event was accepted: it may come again from now on.
    @inline(__always) package mutating func accepted(event: UInt64, entry: Int, seconds: UInt64) {
        precondition(entry >= 0 && entry < entryCount)
        let place = unsafe Int(entries[entry].recentCount % LoadMix.recentCountMax)
        unsafe recents[entry * Int(LoadMix.recentCountMax) + place] = Recent(event: event, seconds: seconds)
        unsafe entries[entry].recentCount = entries[entry].recentCount &+ 1
    }
}
