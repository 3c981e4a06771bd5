// Which endpoints want an event: source names and type patterns, compiled once, answered from a bounded cache on the
// way of every event. Pure but for the cache. The cache key is the bytes themselves; the hash only finds the slot, so
// that two pairs with the same hash are never one (an event would go to the wrong endpoint).

import FastPath

/// A pattern over an event type: `*` stands for any run of bytes, the empty one too; every other byte for itself.
package struct TypePattern: Equatable, Sendable {
    private let parts: [[UInt8]]

    package init(_ text: String) {
        parts = Array(text.utf8).split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false).map(Array.init)
    }
    package func matches(_ type: [UInt8]) -> Bool {
        guard let first = parts.first, let last = parts.last else { return false }
        guard parts.count > 1 else { return type == first }
        guard type.count >= first.count + last.count, type.starts(with: first), type.suffix(last.count) == last[...]
        else {
            return false
        }
        // Leftmost place for each part in the middle: nothing to try twice, so O(type × pattern) at worst.
        var place = first.count
        let end = type.count - last.count
        for part in parts[1..<(parts.count - 1)] where !part.isEmpty {
            var found = place
            while found + part.count <= end, type[found..<found + part.count] != part[...] { found += 1 }
            guard found + part.count <= end else { return false }
            place = found + part.count
        }
        return true
    }
}

package struct Subscription: Equatable, Sendable {
    /// Empty = all.
    private let sources: [[UInt8]]
    private let types: [TypePattern]

    package init(sources: [String], types: [String]) {
        self.sources = sources.map { Array($0.utf8) }
        self.types = types.map(TypePattern.init)
    }
    package func wants(source: [UInt8], type: [UInt8]) -> Bool {
        (sources.isEmpty || sources.contains(source)) && (types.isEmpty || types.contains { $0.matches(type) })
    }
}

/// All subscriptions, by the place of their lane.
package struct SubscriptionTable {
    /// Types come out of bodies, so their number is the sender's choice; at the bound the cache starts anew.
    package static let entryCountMax = 4096
    private static let typeBytesMax = 256
    private struct Entry {
        let source: [UInt8]
        let type: [UInt8]
        let lanes: [Int]
    }
    private var subscriptions: [Subscription?] = []
    private var cache: [UInt64: Entry] = [:]
    private let seed = UInt64.random(in: .min ... .max)

    package init() {}

    package mutating func set(_ subscription: Subscription?, lane: Int) {
        while subscriptions.count <= lane { subscriptions.append(nil) }
        subscriptions[lane] = subscription
        cache.removeAll(keepingCapacity: true)
    }
    /// The lanes that want it, ascending.
    package mutating func lanes(source: ByteView, type: ByteView) -> [Int] {
        let hash = type.hashed(from: source.hashed(from: seed) &+ 1)
        if let known = cache[hash], source.equals(known.source), type.equals(known.type) { return known.lanes }
        let entry = makeEntry(source: source.array, type: type.array)
        // A long type is the sender's whim: it is matched each time and takes no room here.
        guard type.count <= SubscriptionTable.typeBytesMax else { return entry.lanes }
        if cache.count >= SubscriptionTable.entryCountMax { cache.removeAll(keepingCapacity: true) }
        cache[hash] = entry
        return entry.lanes
    }
    private func makeEntry(source: [UInt8], type: [UInt8]) -> Entry {
        var lanes: [Int] = []
        for (lane, subscription) in subscriptions.enumerated() {
            if let subscription, subscription.wants(source: source, type: type) { lanes.append(lane) }
        }
        return Entry(source: source, type: type, lanes: lanes)
    }
}
