// The limits that a request of a source is held to: the source's own and its tenant's. A request takes of both or of
// neither.
//
// Safety: views of limiters that the snapshot owns.

/// Which limit a request is over.
enum RateScope: Sendable { case source, tenant }

@safe package struct SourceLimits: @unchecked Sendable {
    private var source: UnsafeMutablePointer<RateLimit>?
    private var tenant: UnsafeMutablePointer<RateLimit>?

    package init() {
        unsafe source = nil
        unsafe tenant = nil
    }
    package mutating func set(source limiter: RateLimiter?) { unsafe source = limiter?.place }
    package mutating func set(tenant limiter: RateLimiter?) { unsafe tenant = limiter?.place }

    @inline(__always) var isNone: Bool { unsafe source == nil && tenant == nil }

    @_noAllocation @_noLocks func look(_ now: UInt64) -> (decision: RateDecision, over: RateScope) {
        guard let source = unsafe source else {
            guard let tenant = unsafe tenant else { return (SourceLimits.open, .source) }
            return (unsafe tenant.pointee.look(now), .tenant)
        }
        let own = unsafe source.pointee.look(now)
        guard own.isOpen, let tenant = unsafe tenant else { return (own, .source) }
        let shared = unsafe tenant.pointee.look(now)
        return (own.stricter(shared), .tenant)
    }
    @_noAllocation @_noLocks func take(_ now: UInt64) -> (decision: RateDecision, over: RateScope) {
        guard let source = unsafe source else {
            guard let tenant = unsafe tenant else { return (SourceLimits.open, .source) }
            return (unsafe tenant.pointee.take(now), .tenant)
        }
        // Looked at first, so that what the tenant refuses takes nothing of the source's for a moment.
        if let tenant = unsafe tenant {
            let shared = unsafe tenant.pointee.look(now)
            guard shared.isOpen else {
                let own = unsafe source.pointee.look(now)
                return own.isOpen ? (shared, .tenant) : (own.stricter(shared), .source)
            }
        }
        let own = unsafe source.pointee.take(now)
        guard own.isOpen, let tenant = unsafe tenant else { return (own, .source) }
        let shared = unsafe tenant.pointee.take(now)
        if !shared.isOpen { unsafe source.pointee.giveBack(now) }
        return (own.stricter(shared), .tenant)
    }
    /// What `take` took.
    @_noAllocation @_noLocks func giveBack(_ now: UInt64) {
        if let source = unsafe source { unsafe source.pointee.giveBack(now) }
        if let tenant = unsafe tenant { unsafe tenant.pointee.giveBack(now) }
    }
    @_noAllocation @_noLocks func distrust(_ now: UInt64) {
        if let source = unsafe source { unsafe source.pointee.distrust(now) }
        if let tenant = unsafe tenant { unsafe tenant.pointee.distrust(now) }
    }
    @_noAllocation @_noLocks func isDistrusted(_ now: UInt64) -> Bool {
        if let source = unsafe source, unsafe source.pointee.isDistrusted(now) { return true }
        if let tenant = unsafe tenant, unsafe tenant.pointee.isDistrusted(now) { return true }
        return false
    }
    private static var open: RateDecision { RateDecision(waitNanos: 0, quota: RateQuota()) }
}

/// Tenants' limits by their numbers, for events that name a tenant and no source: open addressing, at most half full.
@safe struct TenantLimitTable {
    private struct Entry {
        /// 0 = nobody's.
        var number: UInt32
        var limits: SourceLimits
    }
    private let entries: UnsafeMutablePointer<Entry>
    private let mask: Int
    /// Whoever has no limits asks nothing.
    let isEmpty: Bool

    init(_ limiters: [(number: UInt32, limiter: RateLimiter)]) {
        var capacity = 2
        while capacity < limiters.count * 2 { capacity *= 2 }
        unsafe entries = .allocate(capacity: capacity)
        unsafe entries.initialize(repeating: Entry(number: 0, limits: SourceLimits()), count: capacity)
        mask = capacity - 1
        isEmpty = limiters.isEmpty
        for (number, limiter) in limiters {
            precondition(number > 0)
            var place = TenantLimitTable.hash(number) & mask
            while unsafe entries[place].number != 0 { place = (place + 1) & mask }
            var limits = SourceLimits()
            limits.set(tenant: limiter)
            unsafe entries[place] = Entry(number: number, limits: limits)
        }
    }
    /// The snapshot's to call, once.
    func deallocate() { unsafe entries.deallocate() }

    @_noAllocation @_noLocks func find(_ number: UInt32) -> SourceLimits {
        var place = TenantLimitTable.hash(number) & mask
        while true {
            let entry = unsafe entries[place]
            if entry.number == number || entry.number == 0 { return entry.limits }
            place = (place + 1) & mask
        }
    }
    @inline(__always) private static func hash(_ number: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) >> 40)
    }
}
