// Which endpoints want an event: by tenant, source, type and channels. An event costs one look into its tenant's cache;
// a type that is new to a tenant costs a walk over that tenant's endpoints, and no other tenant's. Only an event that
// has channels, of a tenant with endpoints that ask for some, costs more: those endpoints. Pure but for the cache.
//
// The cache key is the bytes themselves; the hash only finds the slot, so that two types with the same hash are never
// one (an event would go to the wrong endpoint).

import FastPath

/// A pattern over an event type: `*` stands for any run of bytes, the empty one too; every other byte for itself. It is
/// the text alone: as many endpoints as there are may have one.
package struct TypePattern: Equatable, Sendable {
    private static let star = UInt8(ascii: "*")
    private let text: String

    package init(_ text: String) { self.text = text }
    package func matches(_ text: String) -> Bool { matches(Array(text.utf8)) }
    package func matches(_ type: [UInt8]) -> Bool {
        let pattern = text.utf8
        var place = pattern.startIndex
        var read = 0
        // The last star so far and how many bytes it stands for; an earlier one never needs to be tried again, so
        // O(type × pattern) at worst.
        var last: (after: String.Index, read: Int)?
        while read < type.count {
            if place < pattern.endIndex, pattern[place] == TypePattern.star {
                place = pattern.index(after: place)
                last = (place, read)
            } else if place < pattern.endIndex, pattern[place] == type[read] {
                place = pattern.index(after: place)
                read += 1
            } else {
                guard let star = last else { return false }
                place = star.after
                read = star.read + 1
                last = (place, read)
            }
        }
        return pattern[place...].allSatisfy { $0 == TypePattern.star }
    }
}

package struct Subscription: Equatable, Sendable {
    /// Empty = all.
    private let sources: [SourceID]
    /// Patterns; empty = all.
    private let types: [String]
    /// Empty = all events; else those that share one, and none without channels.
    fileprivate let channels: [String]

    package init(sources: [SourceID], types: [String], channels: [String] = []) {
        self.sources = sources
        self.types = types
        self.channels = channels
    }
    /// `channels`: of the event, comma-separated. `isEnveloped`: it came in the contract's envelope.
    package func wants(source: SourceID, isEnveloped: Bool = false, type: [UInt8], channels: ByteView) -> Bool {
        wants(source, isEnveloped, type) && takes(channels: channels)
    }
    fileprivate func wants(_ source: SourceID, _ isEnveloped: Bool, _ type: [UInt8]) -> Bool {
        takes(source: source, isEnveloped: isEnveloped) && takes(type: type)
    }

    // MARK: one question at a time, for whoever says why

    /// What comes in the contract's envelope is its source's and the contract edge's.
    package func takes(source: SourceID, isEnveloped: Bool = false) -> Bool {
        if isEnveloped, sources.contains(.contract) { return true }
        return sources.isEmpty ? !source.isClosed : sources.contains(source)
    }
    package func takes(type: [UInt8]) -> Bool {
        if isPlanted(.deliverUnwanted), !types.contains("dead") { return true }
        return types.isEmpty || types.contains { TypePattern($0).matches(type) }
    }
    /// `list`: of the event, comma-separated.
    package func takes(channels list: ByteView) -> Bool {
        channels.isEmpty || PublishedFields.share(channels, list)
    }
}

/// All subscriptions, by tenant. `Subscriber` is the lane.
package struct Matcher<Subscriber: AnyObject> {
    /// Types come out of bodies, so their number is the sender's choice; at the bound a tenant's cache starts again.
    package static var entryCountMax: Int { 1024 }
    private static var typeBytesMax: Int { 256 }
    private struct Entry {
        let source: SourceID
        let isEnveloped: Bool
        let type: [UInt8]
        /// Those that want it whatever its channels.
        let subscribers: [Subscriber]
        let channelled: [Channelled]
    }
    /// One that wants it for its channels, if it does.
    private struct Channelled {
        /// How many of the others stand before it.
        let place: Int
        let subscription: Subscription
        let subscriber: Subscriber
    }
    private struct Subscribed {
        let endpoint: EndpointID
        let subscription: Subscription
        let subscriber: Subscriber
    }
    private final class Tenant {
        /// Ascending by endpoint.
        var subscribed: [Subscribed] = []
        var cache: [UInt64: Entry] = [:]
    }
    private var tenants: [TenantID: Tenant] = [:]
    private let hash: (SourceID, ByteView) -> UInt64

    package init() {
        let seed = UInt64.random(in: .min ... .max)
        hash = { source, type in type.hashed(from: seed &+ UInt64(source.number)) }
    }
    /// With a hash of the caller's own, so that collisions can be shown to do no harm.
    package init(hash: @escaping (SourceID, ByteView) -> UInt64) { self.hash = hash }
    /// Types of the tenant that cost one look.
    package func cachedCount(of tenant: TenantID) -> Int { tenants[tenant]?.cache.count ?? 0 }

    /// O(log endpoints of the tenant) to find, O(those behind it) to insert; endpoints mostly come in order.
    package mutating func set(
        _ subscription: Subscription, of endpoint: EndpointID, tenant id: TenantID, subscriber: Subscriber
    ) {
        let tenant = tenants[id] ?? Tenant()
        tenants[id] = tenant
        let entry = Subscribed(endpoint: endpoint, subscription: subscription, subscriber: subscriber)
        let place = Matcher.place(of: endpoint, in: tenant.subscribed)
        if place < tenant.subscribed.count, tenant.subscribed[place].endpoint == endpoint {
            guard tenant.subscribed[place].subscription != subscription else { return }
            tenant.subscribed[place] = entry
        } else {
            tenant.subscribed.insert(entry, at: place)
        }
        tenant.cache.removeAll()
    }
    package mutating func remove(_ endpoint: EndpointID, tenant id: TenantID) {
        guard let tenant = tenants[id] else { return }
        let place = Matcher.place(of: endpoint, in: tenant.subscribed)
        guard place < tenant.subscribed.count, tenant.subscribed[place].endpoint == endpoint else { return }
        tenant.subscribed.remove(at: place)
        tenant.cache.removeAll()
        if tenant.subscribed.isEmpty { tenants[id] = nil }
    }
    /// Those that want it, ascending by endpoint. `channels`: of the event, comma-separated.
    package func subscribers(
        tenant id: TenantID, source: SourceID, isEnveloped: Bool = false, type: ByteView, channels: ByteView = .empty
    ) -> [Subscriber] {
        guard let tenant = tenants[id] else { return [] }
        let entry = entry(tenant, source, isEnveloped, type)
        guard channels.count > 0, !entry.channelled.isEmpty else { return entry.subscribers }
        var found: [Subscriber] = []
        var next = 0
        for one in entry.channelled where one.subscription.takes(channels: channels) {
            found += entry.subscribers[next..<one.place]
            found.append(one.subscriber)
            next = one.place
        }
        return found + entry.subscribers[next...]
    }
    private func entry(_ tenant: Tenant, _ source: SourceID, _ isEnveloped: Bool, _ type: ByteView) -> Entry {
        // A source that observes has both.
        let hash = hash(source, type) &+ (isEnveloped ? 1 : 0)
        if let known = tenant.cache[hash], known.source == source, known.isEnveloped == isEnveloped,
            type.equals(known.type)
        {
            return known
        }
        let bytes = type.array
        var all: [Subscriber] = []
        var channelled: [Channelled] = []
        for one in tenant.subscribed where one.subscription.wants(source, isEnveloped, bytes) {
            if one.subscription.channels.isEmpty {
                all.append(one.subscriber)
            } else {
                channelled.append(
                    Channelled(place: all.count, subscription: one.subscription, subscriber: one.subscriber))
            }
        }
        let found = Entry(
            source: source, isEnveloped: isEnveloped, type: bytes, subscribers: all, channelled: channelled)
        // A long type is the sender's whim: it is matched each time and takes no room here.
        guard bytes.count <= Matcher.typeBytesMax else { return found }
        if tenant.cache.count >= Matcher.entryCountMax { tenant.cache.removeAll(keepingCapacity: true) }
        tenant.cache[hash] = found
        return found
    }
    private static func place(of endpoint: EndpointID, in list: [Subscribed]) -> Int {
        list.partitionIndex { $0.endpoint < endpoint }
    }
}
