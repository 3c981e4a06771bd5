// Two containers that are copied in constant time and changed in the copy for the price of one page or one shard: a
// table by number and a map by key. They make a registry of 100,000 endpoints a plain value: whoever reads keeps the
// version it took, and one change costs microseconds, not a copy of everything.

/// Values by number. Numbers grow and are never reused, so pages of nothing but removed ones are dropped.
package struct PagedTable<Value> {
    /// A change copies this many values.
    private static var pageSlotCount: Int { 64 }
    private var pages: [[Value?]] = []
    package private(set) var count = 0

    package init() {}

    package subscript(_ number: UInt32) -> Value? {
        get {
            let page = Int(number) / Self.pageSlotCount
            guard page < pages.count, !pages[page].isEmpty else { return nil }
            return pages[page][Int(number) % Self.pageSlotCount]
        }
        set {
            let (page, slot) = Int(number).quotientAndRemainder(dividingBy: Self.pageSlotCount)
            while pages.count <= page { pages.append([]) }
            if pages[page].isEmpty {
                guard newValue != nil else { return }
                pages[page] = [Value?](repeating: nil, count: Self.pageSlotCount)
            }
            count += (newValue == nil ? 0 : 1) - (pages[page][slot] == nil ? 0 : 1)
            pages[page][slot] = newValue
            if newValue == nil, pages[page].allSatisfy({ $0 == nil }) { pages[page] = [] }
        }
    }
    /// In the order of their numbers.
    package var values: some Sequence<Value> { pages.lazy.flatMap { $0 }.compactMap { $0 } }
    /// The first `limit` values whose number is greater than `number`, in order. O(pages passed + limit).
    package func values(after number: UInt32, limit: Int) -> [Value] {
        var found: [Value] = []
        var slot = Int(number) + 1
        while slot / Self.pageSlotCount < pages.count, found.count < limit {
            let page = pages[slot / Self.pageSlotCount]
            guard !page.isEmpty else {
                slot = (slot / Self.pageSlotCount + 1) * Self.pageSlotCount
                continue
            }
            if let value = page[slot % Self.pageSlotCount] { found.append(value) }
            slot += 1
        }
        return found
    }
    /// The last `limit` values whose number is less than `number`, the greatest first. O(pages passed + limit).
    package func values(before number: UInt32, limit: Int) -> [Value] {
        var found: [Value] = []
        var slot = min(Int(number), pages.count * Self.pageSlotCount) - 1
        while slot >= 0, found.count < limit {
            let page = pages[slot / Self.pageSlotCount]
            guard !page.isEmpty else {
                slot = slot / Self.pageSlotCount * Self.pageSlotCount - 1
                continue
            }
            if let value = page[slot % Self.pageSlotCount] { found.append(value) }
            slot -= 1
        }
        return found
    }
}

extension PagedTable: Sendable where Value: Sendable {}

/// Values by key, spread over a fixed number of dictionaries.
package struct ShardedMap<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    private static var shardCount: Int { 256 }
    private var shards = [[Key: Value]](repeating: [:], count: Self.shardCount)

    package init() {}

    package subscript(_ key: Key) -> Value? {
        get { shards[Self.shard(of: key)][key] }
        set { shards[Self.shard(of: key)][key] = newValue }
    }
    package var count: Int { shards.reduce(0) { $0 + $1.count } }
    package var values: some Sequence<Value> { shards.lazy.flatMap { $0.values } }
    private static func shard(of key: Key) -> Int { Int(UInt(bitPattern: key.hashValue) % UInt(shardCount)) }
}
