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
    /// Verified by a worker: the verifier's number in the Engine's registry; 0 when it is not. Never beside `scheme`.
    package var verifierID: UInt32 = 0
    /// The signature is checked and counted, and everything is kept with its verdict (`mode: observe`).
    package var observes = false
    /// How many refused requests a second are copied for whoever looks into them; 0 = none.
    package var rejectedPerSecondMax: UInt32 = 0
    package var selectors: EventSelectors
    package var dedupWindowSeconds: UInt32
    package var bodyBytesMax: Int
    /// 200 to 299.
    package var successStatus: Int
    /// What the sender wants to hear after an event, JSON; empty = our own answer. Static memory, so that it outlives
    /// reloads.
    package private(set) var successBody = ByteView.empty
    package var durability: DurabilityLevel
    package var handshake: Handshake?
    /// Place in `IngestMetrics.sources`.
    package var counterSlot: Int
    package var edge = SourceEdge()

    package init(
        name: ByteView, scheme: SignatureScheme?, selectors: EventSelectors, handshake: Handshake?
    ) {
        self.name = name
        self.scheme = scheme
        self.selectors = selectors
        self.handshake = handshake
        dedupWindowSeconds = 86_400
        bodyBytesMax = 1 << 20
        successStatus = 202
        durability = .fsync
        counterSlot = 0
    }
    /// `text` is ASCII and short.
    package mutating func setSuccessBody(_ text: StaticString) { successBody = ByteView(text) }
    @inline(__always) func allows(_ method: Method) -> Bool {
        edge.eventMethods.takes(method) || edge.handshakeMethods.takes(method)
    }
}

/// The paths of a snapshot: open addressing, at most half full.
@safe struct RouteView {
    struct Entry {
        var path: ByteView
        var source: Int32
    }
    let entries: UnsafeMutablePointer<Entry>
    let mask: Int

    /// The source's index, -1 when no source has the path.
    @inline(__always) func find(_ path: ByteView) -> Int {
        var place = RouteView.hash(path) & mask
        while unsafe entries[place].source >= 0 {
            if unsafe entries[place].path.equals(path) { return unsafe Int(entries[place].source) }
            place = (place + 1) & mask
        }
        return -1
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
    package let sourceCount: Int
    // Keys and schemes live as long as whoever uses them.
    private let owners: [AnyObject]

    /// `paths[i]` leads to `sources[i]`; paths are distinct. `owners` hold the memory that the sources point into.
    package init(
        sources list: [IngestSource], paths: [ByteView], edge: EdgePolicy = EdgePolicy(), owners: [AnyObject]
    ) {
        self.edge = edge
        precondition(list.count == paths.count)
        let memory = UnsafeMutablePointer<IngestSource>.allocate(capacity: max(list.count, 1))
        for (index, source) in list.enumerated() { unsafe (memory + index).initialize(to: source) }
        var capacity = 8
        while capacity < list.count * 2 { capacity *= 2 }
        let entries = UnsafeMutablePointer<RouteView.Entry>.allocate(capacity: capacity)
        unsafe entries.initialize(repeating: RouteView.Entry(path: .empty, source: -1), count: capacity)
        for (index, path) in paths.enumerated() {
            var place = RouteView.hash(path) & (capacity - 1)
            while unsafe entries[place].source >= 0 { place = (place + 1) & (capacity - 1) }
            unsafe entries[place] = RouteView.Entry(path: path, source: Int32(index))
        }
        unsafe sources = UnsafePointer(memory)
        sourceCount = list.count
        routes = unsafe RouteView(entries: entries, mask: capacity - 1)
        self.owners = owners
    }
    deinit {
        unsafe sources.deallocate()
        unsafe routes.entries.deallocate()
    }
}
