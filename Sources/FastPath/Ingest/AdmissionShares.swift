// Who may still have room for an event when the log's group, or the ring to it, is more than half full: nobody takes
// more than a multiple of what he leaves free, so that whoever has little finds room beside whoever has much (the
// dynamic thresholds of switches with shared memory: Choudhury and Hahne, 1998). With n sources that want everything,
// each gets 4/(4n+1) of the second half, and the rest stays free for the others. Tenants are held to twice a source's
// share, but for their small sources, and a last part is for sources whose sender does not come again: a refusal loses
// their event, others only send it later.
//
// Below half everyone is taken without a look. Invariants: what is counted of a source is at least what it has taken
// since the pressure began, halved with each half of the room that was taken since; accounts of the same place are
// shared. Safety: owns its memory; places are masked.

@safe package struct AdmissionShares: ~Copyable {
    private struct Account {
        var bytes: UInt32
        /// In which it was written; each later one halves it.
        var period: UInt32
    }
    /// What there is room for, and how much of it is taken; `group` changes when it begins to be empty.
    package struct Room {
        package var used: Int
        package var capacity: Int
        package var group: UInt64

        package init(used: Int, capacity: Int, group: UInt64) {
            self.used = used
            self.capacity = capacity
            self.group = group
        }
    }
    /// Who asks.
    package struct Claim {
        package var source: Int
        package var tenant: UInt32
        package var byteCount: Int
        /// The sender does not come again.
        package var isNeverRepeated: Bool

        package init(source: Int, tenant: UInt32, byteCount: Int, isNeverRepeated: Bool = false) {
            self.source = source
            self.tenant = tenant
            self.byteCount = byteCount
            self.isNeverRepeated = isNeverRepeated
        }
    }
    private static let placeCount = 1024
    private static let keptPart = 16
    private static let pauseMillis: UInt64 = 100
    private static let periodCountForgotten: UInt32 = 32

    private let sources: UnsafeMutablePointer<Account>
    private let tenants: UnsafeMutablePointer<Account>
    private var period: UInt32 = 0
    private var counted = 0
    private var group: UInt64 = 0
    private var askedAt: UInt64 = 0

    package init() {
        unsafe sources = .allocate(capacity: AdmissionShares.placeCount)
        unsafe tenants = .allocate(capacity: AdmissionShares.placeCount)
        unsafe sources.initialize(repeating: Account(bytes: 0, period: 0), count: AdmissionShares.placeCount)
        unsafe tenants.initialize(repeating: Account(bytes: 0, period: 0), count: AdmissionShares.placeCount)
    }
    deinit {
        unsafe sources.deallocate()
        unsafe tenants.deallocate()
    }

    /// True when it may have the room, which is counted then. Asked only while more than half is used.
    package mutating func admits(_ claim: Claim, in room: Room, nowMillis: UInt64) -> Bool {
        if room.group != group || nowMillis &- askedAt > AdmissionShares.pauseMillis { forget() }
        group = room.group
        askedAt = nowMillis
        let kept = claim.isNeverRepeated ? 0 : room.capacity / AdmissionShares.keptPart
        let free = room.capacity - room.used - kept
        guard free > 0 else { return false }
        let weight = claim.isNeverRepeated ? 32 : 4
        let source = unsafe sources + (claim.source & (AdmissionShares.placeCount - 1))
        let tenant = unsafe tenants + AdmissionShares.place(ofTenant: claim.tenant)
        let own = unsafe held(source)
        guard own <= weight * free else { return false }
        // A source that has next to nothing does not pay for the others of its tenant.
        guard unsafe own <= free / 4 || held(tenant) <= 2 * weight * free else { return false }
        unsafe add(claim.byteCount, to: source)
        unsafe add(claim.byteCount, to: tenant)
        counted += claim.byteCount
        if counted > room.capacity / 2 {
            period &+= 1
            counted /= 2
        }
        return true
    }
    private mutating func forget() {
        guard counted > 0 else { return }
        period &+= AdmissionShares.periodCountForgotten
        counted = 0
    }
    @inline(__always) private func held(_ account: UnsafeMutablePointer<Account>) -> Int {
        let age = unsafe period &- account.pointee.period
        return age >= AdmissionShares.periodCountForgotten ? 0 : unsafe Int(account.pointee.bytes >> age)
    }
    @inline(__always) private func add(_ byteCount: Int, to account: UnsafeMutablePointer<Account>) {
        unsafe account.pointee = Account(bytes: UInt32(clamping: held(account) + byteCount), period: period)
    }
    private static func place(ofTenant number: UInt32) -> Int {
        Int(truncatingIfNeeded: (UInt64(number) &* 0x9E37_79B9_7F4A_7C15) >> 40) & (placeCount - 1)
    }
}
