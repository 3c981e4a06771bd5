// What a worker has found of a caller, for the calls that follow: while nothing of the registry has changed, and for a
// moment at most, the loop takes plain events of the same bearer without asking again.
//
// Invariants: a pass counts exactly while the registry is the version that the worker asked, so a key that is revoked
// opens nothing from the moment the change is in force; it ends before its key does, and within `lifeMillisMax`, so
// that the key's last use is noted. A pass is for one bearer, compared whole and in a time that tells nothing of it.
// Safety: owns its memory; an entry is written whole.
import Synchronization

/// Counts the versions of the registry, changed by whoever changes it, and the strangers that the loops have turned
/// away without asking a worker. One for the process.
package final class PublisherAccess: Sendable {
    private let counter = Atomic<UInt64>(1)
    private let turnedAway = Atomic<UInt64>(0)

    package init() {}
    package var version: UInt64 { counter.load(ordering: .acquiring) }
    /// After the change is in force and before anyone is told of it.
    package func changed() { counter.add(1, ordering: .acquiringAndReleasing) }
    /// Answered 401 before its body: a loop tells it and goes on.
    package func turnAway() { turnedAway.add(1, ordering: .relaxed) }
    /// How many there were since the last call.
    package func takeTurnedAway() -> UInt64 { turnedAway.exchange(0, ordering: .relaxed) }
}

/// Of plain events: whose they are, for a caller that has shown that it may publish them.
package struct PublisherPass: Equatable, Sendable {
    package static let bearerBytesMax = 128
    package static let lifeMillisMax: UInt32 = 1000
    /// The whole value of `Authorization`.
    package var bearer: [UInt8]
    /// `RecordFormat.tenantBytes(of:)` the tenant's number.
    package var tenant: [UInt8]
    package var windowSeconds: UInt32
    package var bodyBytesMax: Int
    /// Wall clock, since 1970: the key is good until then.
    package var endsMillis: UInt64
    /// How long the pass counts at most, by the loop's monotonic clock.
    package var lifeMillis = PublisherPass.lifeMillisMax
    /// `PublisherAccess.version` before the worker asked.
    package var version: UInt64 = 0

    package init(
        bearer: [UInt8], tenant: [UInt8], windowSeconds: UInt32, bodyBytesMax: Int, endsMillis: UInt64
    ) {
        self.bearer = bearer
        self.tenant = tenant
        self.windowSeconds = windowSeconds
        self.bodyBytesMax = bodyBytesMax
        self.endsMillis = endsMillis
    }
    /// Others are not kept.
    var isKept: Bool { bearer.count <= PublisherPass.bearerBytesMax && tenant.count <= 4 }
}

/// The passes of a loop, at a place that the bearer says: the last of two that share one counts.
@safe struct PassTable: ~Copyable {
    struct Pass {
        /// Of the table: valid until the next is kept.
        var tenant: ByteView
        var windowSeconds: UInt32
        var bodyBytesMax: Int
    }
    private struct Entry {
        var bearerCount = 0
        var tenantCount = 0
        var windowSeconds: UInt32 = 0
        var bodyBytesMax = 0
        /// Wall clock.
        var endsMillis: UInt64 = 0
        /// Monotonic.
        var untilMillis: UInt64 = 0
        var version: UInt64 = 0
    }
    private static let countBits: UInt64 = 8
    private static let count = 1 << countBits
    private static let entryBytes = PublisherPass.bearerBytesMax + 4
    private let entries: UnsafeMutablePointer<Entry>
    private let bytes: UnsafeMutablePointer<UInt8>

    init() {
        unsafe entries = .allocate(capacity: PassTable.count)
        unsafe entries.initialize(repeating: Entry(), count: PassTable.count)
        unsafe bytes = .allocate(capacity: PassTable.count * PassTable.entryBytes)
        unsafe bytes.initialize(repeating: 0, count: PassTable.count * PassTable.entryBytes)
    }
    deinit {
        unsafe entries.deallocate()
        unsafe bytes.deallocate()
    }
    /// By the end of the bearer, which is its random part.
    @inline(__always) private func place(_ bearer: ByteView) -> Int {
        guard bearer.count >= 8 else { return 0 }
        let word = bearer.load(bearer.count - 8, as: UInt64.self)
        return Int(truncatingIfNeeded: (word &* 0x9E37_79B9_7F4A_7C15) >> (64 - PassTable.countBits))
    }
    /// `nowMillis` is the loop's clock. What lies there and is over is wiped: a key that opens nothing any more lies
    /// nowhere in plain once it was looked for.
    mutating func find(_ bearer: ByteView, version: UInt64, nowMillis: UInt64, wallMillis: UInt64) -> Pass? {
        let place = place(bearer)
        let entry = unsafe entries[place]
        guard entry.bearerCount > 0 else { return nil }
        guard entry.version == version, nowMillis < entry.untilMillis, wallMillis < entry.endsMillis else {
            unsafe entries[place] = Entry()
            wipe(place)
            return nil
        }
        guard entry.bearerCount == bearer.count else { return nil }
        let known = unsafe bytes + place * PassTable.entryBytes
        var difference: UInt8 = 0
        for index in 0..<bearer.count { unsafe difference |= known[index] ^ bearer[index] }
        guard difference == 0 else { return nil }
        return unsafe Pass(
            tenant: ByteView(UnsafePointer(known + PublisherPass.bearerBytesMax), count: entry.tenantCount),
            windowSeconds: entry.windowSeconds, bodyBytesMax: entry.bodyBytesMax)
    }
    private func wipe(_ place: Int) {
        unsafe (bytes + place * PassTable.entryBytes).update(repeating: 0, count: PassTable.entryBytes)
    }
    mutating func keep(_ layout: PublisherPassLayout, bearer: ByteView, tenant: ByteView, untilMillis: UInt64) {
        precondition(bearer.count <= PublisherPass.bearerBytesMax && tenant.count <= 4)
        let place = place(bearer)
        // A longer one that was there leaves no end of it.
        wipe(place)
        let known = unsafe bytes + place * PassTable.entryBytes
        unsafe known.update(from: bearer.base, count: bearer.count)
        unsafe (known + PublisherPass.bearerBytesMax).update(from: tenant.base, count: tenant.count)
        unsafe entries[place] = Entry(
            bearerCount: bearer.count, tenantCount: tenant.count, windowSeconds: layout.windowSeconds,
            bodyBytesMax: Int(layout.bodyBytesMax), endsMillis: layout.endsMillis, untilMillis: untilMillis,
            version: layout.version)
    }
}

/// A pass in the memory of a publication; bearer and tenant lie at its end.
struct PublisherPassLayout: BitwiseCopyable {
    /// 0 = there is none.
    var bearer: UInt32 = 0
    var tenant: UInt32 = 0
    var start: UInt32 = 0
    var windowSeconds: UInt32 = 0
    var bodyBytesMax: UInt32 = 0
    var lifeMillis: UInt32 = 0
    var endsMillis: UInt64 = 0
    var version: UInt64 = 0

    init() {}
    init(_ pass: PublisherPass, start: Int) {
        bearer = UInt32(pass.bearer.count)
        tenant = UInt32(pass.tenant.count)
        self.start = UInt32(start)
        windowSeconds = pass.windowSeconds
        bodyBytesMax = UInt32(clamping: pass.bodyBytesMax)
        lifeMillis = pass.lifeMillis
        endsMillis = pass.endsMillis
        version = pass.version
    }
    var byteCount: Int { Int(bearer) + Int(tenant) }
}
