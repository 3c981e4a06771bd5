// The configuration as a loop sees it: sources and routes compiled into memory that never changes, swapped whole.
//
// Invariants: a snapshot is immutable after `init`; a loop reads it through plain pointers and keeps one reference, so
// that no request touches a reference count; the maker keeps a snapshot alive until every loop has acknowledged its
// successor. Safety: `sources` and the route table are freed with the snapshot, which the loop holds while it uses
// them.

/// What a 2xx promises (law 1). Raw values are the names in the configuration and in `Sluice-Durability`.
package enum DurabilityLevel: UInt8, CaseIterable, Sendable {
    case fsync, written, memory

    var text: StaticString {
        switch self {
        case .fsync: "fsync"
        case .written: "written"
        case .memory: "memory"
        }
    }
}

/// One source, compiled; trivially copyable.
@safe package struct IngestSource {
    /// In the snapshot's memory.
    package var name: ByteView
    /// The source's number in the registry; 0 = it has none.
    package var sourceNumber: UInt32 = 0
    /// `RecordFormat.tenantBytes(of:)` its tenant's number; in the snapshot's memory.
    package var tenant = ByteView.empty
    /// Verified on the loop. Nil when the source is verified by a worker or says `unverified: true`.
    package var scheme: SignatureScheme?
    /// With a worker, which verifies or reads it: its number in the Engine's registry; 0 when the loop does both. A
    /// `scheme` beside it is for the keys of challenges alone.
    package var verifierID: UInt32 = 0
    /// What a worker's consent means: `unverified` where it only reads.
    package var workerVerdict = RecordVerification.verified
    /// What it takes are publications: a worker makes the event and its answer.
    package var takesPublications = false
    /// A request may hold several events, which a worker tells apart.
    package var splits = false
    /// Its sender does not send again what was refused.
    package var isNeverRepeated = false
    /// The signature is checked and counted, and everything is kept with its verdict (`mode: observe`).
    package var observes = false
    /// How many refused requests a second are copied for whoever looks into them; 0 = none.
    package var rejectedPerSecondMax: UInt32 = 0
    package var selectors: EventSelectors
    package var dedupWindowSeconds: UInt32
    package var bodyBytesMax: Int
    package var answer = IngestAnswer()
    package var durability: DurabilityLevel
    package var handshake: Handshake?
    /// What its requests carry beside the signature, and its answers: the contract's envelope. Nil = nothing.
    package var envelope: EnvelopeRule?
    /// Place in `IngestMetrics.sources`.
    package var counterSlot: Int
    package var edge = SourceEdge()
    /// Of the source and its tenant; a snapshot sets them, which owns the limiters.
    package var limits = SourceLimits()

    package init(
        name: ByteView, scheme: SignatureScheme?, selectors: EventSelectors, handshake: Handshake?
    ) {
        self.name = name
        self.scheme = scheme
        self.selectors = selectors
        self.handshake = handshake
        dedupWindowSeconds = 86_400
        bodyBytesMax = 1 << 20
        durability = .fsync
        counterSlot = 0
    }
    @inline(__always) func allows(_ method: Method) -> Bool {
        edge.eventMethods.takes(method) || edge.handshakeMethods.takes(method)
    }
}

/// A path and the source that listens on it.
package struct IngestRoute {
    let path: ByteView
    let isPrefix: Bool
    let source: Int

    /// `path`: with `/*` at its end it is that of everything beneath it.
    package init(_ path: ByteView, source: Int) {
        isPrefix = path.count >= 2 && path[path.count - 1] == 0x2A && path[path.count - 2] == 0x2F
        self.path = isPrefix ? path.slice(0, path.count - 1) : path
        self.source = source
    }
}

/// The paths of a snapshot: open addressing, at most half full.
@safe struct RouteView {
    struct Entry {
        /// Of a prefix with the slash that ends it.
        var path: ByteView
        var source: Int32
        var isPrefix: Bool
    }
    let entries: UnsafeMutablePointer<Entry>
    let mask: Int
    let hasPrefixes: Bool
    /// Prefixes of a path are looked for down to so many steps.
    static let prefixStepsMax = 16

    /// The source's index, -1 when no source has the path. A path of its own comes before a prefix, a longer prefix
    /// before a shorter one.
    @inline(__always) func find(_ path: ByteView) -> Int {
        let found = find(path, isPrefix: false)
        return found < 0 && hasPrefixes ? findPrefix(path) : found
    }
    @inline(__always) private func find(_ path: ByteView, isPrefix: Bool) -> Int {
        var place = RouteView.hash(path) & mask
        while unsafe entries[place].source >= 0 {
            if unsafe entries[place].isPrefix == isPrefix && entries[place].path.equals(path) {
                return unsafe Int(entries[place].source)
            }
            place = (place + 1) & mask
        }
        return -1
    }
    @inline(never) private func findPrefix(_ path: ByteView) -> Int {
        var best = -1
        var steps = 0
        for index in 0..<path.count where path[index] == 0x2F {
            let found = find(path.slice(0, index + 1), isPrefix: true)
            if found >= 0 { best = found }
            steps += 1
            if steps == RouteView.prefixStepsMax { break }
        }
        return best
    }
    /// FNV-1a, 64 bits: paths come from the operator, so nobody can flood the table.
    @inline(__always) static func hash(_ path: ByteView) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for index in 0..<path.count { hash = (hash ^ UInt64(path[index])) &* 0x100_0000_01B3 }
        return Int(truncatingIfNeeded: hash ^ hash >> 32)
    }
}

@safe package final class IngestSnapshot: @unchecked Sendable {
    let sources: UnsafePointer<IngestSource>
    let routes: RouteView
    let edge: EdgePolicy
    let tenantLimits: TenantLimitTable
    package let sourceCount: Int
    // Keys and schemes live as long as whoever uses them.
    private let owners: [AnyObject]

    /// `paths[i]` leads to `sources[i]`.
    package convenience init(
        sources list: [IngestSource], paths: [ByteView], edge: EdgePolicy = EdgePolicy(), owners: [AnyObject]
    ) {
        precondition(list.count == paths.count)
        let routes = paths.enumerated().map { IngestRoute($0.element, source: $0.offset) }
        self.init(sources: list, routes: routes, edge: edge, owners: owners)
    }
    /// Routes are distinct. `owners` hold the memory that the sources and routes point into, and the limiters of
    /// sources; `tenants` is held here.
    package init(
        sources list: [IngestSource], routes paths: [IngestRoute], edge: EdgePolicy = EdgePolicy(),
        tenants: [(number: UInt32, limiter: RateLimiter)] = [], owners: [AnyObject]
    ) {
        self.edge = edge
        tenantLimits = TenantLimitTable(tenants)
        let memory = UnsafeMutablePointer<IngestSource>.allocate(capacity: max(list.count, 1))
        for (index, source) in list.enumerated() { unsafe (memory + index).initialize(to: source) }
        var capacity = 8
        while capacity < paths.count * 2 { capacity *= 2 }
        let entries = UnsafeMutablePointer<RouteView.Entry>.allocate(capacity: capacity)
        unsafe entries.initialize(
            repeating: RouteView.Entry(path: .empty, source: -1, isPrefix: false), count: capacity)
        for route in paths {
            precondition(list.indices.contains(route.source))
            var place = RouteView.hash(route.path) & (capacity - 1)
            while unsafe entries[place].source >= 0 { place = (place + 1) & (capacity - 1) }
            unsafe entries[place] = RouteView.Entry(
                path: route.path, source: Int32(route.source), isPrefix: route.isPrefix)
        }
        unsafe sources = UnsafePointer(memory)
        sourceCount = list.count
        routes = unsafe RouteView(
            entries: entries, mask: capacity - 1, hasPrefixes: paths.contains(where: \.isPrefix))
        self.owners = owners + tenants.map { $0.limiter as AnyObject }
    }
    deinit {
        tenantLimits.deallocate()
        unsafe sources.deallocate()
        unsafe routes.entries.deallocate()
    }
}
