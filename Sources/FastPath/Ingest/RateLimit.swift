// How many requests a source or a tenant may send: a token bucket, and windows of a minute and an hour that slide.
// Passive: the time goes in, a decision comes out. One limit is shared by all loops and threads, without a lock.
//
// Invariants: a request takes of every part of a limit or of none; what is given back was taken before. Memory is
// taken once, when the limit is made, and does not grow with requests or time: an idle limit costs its bytes and
// nothing else.
// The clock is the machine's monotonic one, which all threads share; one that lags by a tick is harmless.
// Safety: a `RateLimit` is a view of a `RateLimiter`, which its snapshot owns; cells are atomics of their own memory.
import Synchronization

/// What the sender is told of its limit (`RateLimit-*`).
package struct RateQuota: Equatable, Sendable, BitwiseCopyable {
    package var limit: UInt32 = 0
    /// Of what is left now.
    package var remaining: UInt32 = 0
    /// Until all of it is there again.
    package var resetSeconds: UInt32 = 0

    package init(limit: UInt32 = 0, remaining: UInt32 = 0, resetSeconds: UInt32 = 0) {
        self.limit = limit
        self.remaining = remaining
        self.resetSeconds = resetSeconds
    }
}

/// `waitNanos` is 0 exactly when the request is within the limit; else how long until one more is.
package struct RateDecision: Equatable, Sendable, BitwiseCopyable {
    package var waitNanos: UInt64
    package var quota: RateQuota

    package init(waitNanos: UInt64, quota: RateQuota) {
        self.waitNanos = waitNanos
        self.quota = quota
    }
    package var isOpen: Bool { waitNanos == 0 }
    /// Whole seconds, rounded up: 1 at least where there is anything to wait for.
    package var waitSeconds: Int { Int((waitNanos + 999_999_999) / 1_000_000_000) }

    /// Of two that both count: what is refused longer, else what has less left.
    func stricter(_ other: RateDecision) -> RateDecision {
        if waitNanos != other.waitNanos { return waitNanos > other.waitNanos ? self : other }
        return quota.remaining <= other.quota.remaining ? self : other
    }
}

/// `capacity` tokens, each back after `intervalNanos`. Kept as the moment at which the bucket is full again (the
/// generic cell rate algorithm), so that one word holds all of it and nothing is rounded.
@safe struct TokenBucket: @unchecked Sendable {
    private let fullAt: UnsafeMutablePointer<Atomic<UInt64>>
    private let intervalNanos: UInt64
    private let depthNanos: UInt64
    private let capacity: UInt32

    init(_ cell: UnsafeMutablePointer<Atomic<UInt64>>, capacity: UInt32, perSecond: UInt32) {
        unsafe fullAt = cell
        intervalNanos = max(1_000_000_000 / UInt64(perSecond), 1)
        depthNanos = UInt64(capacity) * intervalNanos
        self.capacity = capacity
    }
    @_noAllocation @_noLocks func look(_ now: UInt64) -> RateDecision {
        let full = unsafe fullAt.pointee.load(ordering: .relaxed)
        let ahead = full > now ? full - now : 0
        let wait = ahead + intervalNanos > depthNanos ? ahead + intervalNanos - depthNanos : 0
        let left = ahead >= depthNanos ? 0 : (depthNanos - ahead) / intervalNanos
        return RateDecision(
            waitNanos: wait,
            quota: RateQuota(
                limit: capacity, remaining: UInt32(clamping: left),
                resetSeconds: UInt32(clamping: (ahead + 999_999_999) / 1_000_000_000)))
    }
    @_noAllocation @_noLocks func take(_ now: UInt64) -> Bool {
        var full = unsafe fullAt.pointee.load(ordering: .relaxed)
        while true {
            let next = max(full, now) + intervalNanos
            guard next - now <= depthNanos else { return false }
            let (isDone, seen) = unsafe fullAt.pointee.weakCompareExchange(
                expected: full, desired: next, ordering: .relaxed)
            if isDone { return true }
            full = seen
        }
    }
    @_noAllocation @_noLocks func giveBack() {
        var full = unsafe fullAt.pointee.load(ordering: .relaxed)
        while true {
            let (isDone, seen) = unsafe fullAt.pointee.weakCompareExchange(
                expected: full, desired: full > intervalNanos ? full - intervalNanos : 0, ordering: .relaxed)
            if isDone { return }
            full = seen
        }
    }
}

/// So many within any stretch of `periodNanos`: counts in slices of a 128th of it. A slice counts until the whole
/// period has passed since its end, so never are there more; what that costs is a 128th of the rate (0.8 %).
@safe struct SlidingWindow: @unchecked Sendable {
    static let sliceCount: UInt64 = 128
    /// Twice the slices that count.
    private static let cellCount = 256
    /// The total, the first slice that is not cleared, and the slices' cells: in each the slice that it counts for, in
    /// the upper half, so that whoever clears an old one never takes what another thread counts there already.
    static let wordCount = 2 + cellCount

    private let total: UnsafeMutablePointer<Atomic<UInt64>>
    private let cleared: UnsafeMutablePointer<Atomic<UInt64>>
    private let cells: UnsafeMutablePointer<Atomic<UInt64>>
    private let sliceNanos: UInt64
    private let limit: UInt32

    init(_ words: UnsafeMutablePointer<Atomic<UInt64>>, limit: UInt32, periodNanos: UInt64) {
        unsafe total = words
        unsafe cleared = words + 1
        unsafe cells = words + 2
        sliceNanos = periodNanos / SlidingWindow.sliceCount
        self.limit = limit
    }
    @inline(__always) private func cell(_ slice: UInt64) -> UnsafeMutablePointer<Atomic<UInt64>> {
        unsafe cells + Int(slice % UInt64(SlidingWindow.cellCount))
    }
    @inline(__always) private static func isOf(_ slice: UInt64, _ cell: UInt64) -> Bool {
        UInt32(truncatingIfNeeded: cell >> 32) == UInt32(truncatingIfNeeded: slice)
    }
    /// Of the slice before `slice` that a cell counts for, never mind how old.
    @inline(__always) private static func isBefore(_ slice: UInt64, _ cell: UInt64) -> Bool {
        Int32(bitPattern: UInt32(truncatingIfNeeded: slice) &- UInt32(truncatingIfNeeded: cell >> 32)) > 0
    }
    /// May be below 0 for a moment: what is given back is taken from the slice of now.
    @inline(__always) private static func count(_ cell: UInt64) -> Int64 {
        Int64(Int32(truncatingIfNeeded: cell))
    }
    @_noAllocation @_noLocks private func forget(_ cell: UInt64) {
        let count = SlidingWindow.count(cell)
        if count != 0 { unsafe total.pointee.wrappingSubtract(UInt64(bitPattern: count), ordering: .relaxed) }
    }
    @_noAllocation @_noLocks private func add(_ change: Int32, to slice: UInt64) {
        let place = unsafe cell(slice)
        var seen = unsafe place.pointee.load(ordering: .relaxed)
        while true {
            let isOwn = SlidingWindow.isOf(slice, seen)
            let count = (isOwn ? Int32(truncatingIfNeeded: seen) : 0) &+ change
            let (isDone, now) = unsafe place.pointee.weakCompareExchange(
                expected: seen, desired: slice << 32 | UInt64(UInt32(bitPattern: count)), ordering: .relaxed)
            if isDone {
                if !isOwn { forget(seen) }
                return
            }
            seen = now
        }
    }
    /// Whoever moves `cleared` on clears what lies between, at most once all cells.
    @_noAllocation @_noLocks private func clear(before slice: UInt64) {
        let from = unsafe cleared.pointee.load(ordering: .relaxed)
        guard from < slice,
            unsafe cleared.pointee.compareExchange(
                expected: from, desired: slice, ordering: .acquiringAndReleasing
            ).exchanged
        else { return }
        var next = max(from, slice - min(slice, UInt64(SlidingWindow.cellCount)))
        while next < slice {
            let place = unsafe cell(next)
            var seen = unsafe place.pointee.load(ordering: .relaxed)
            while SlidingWindow.isBefore(slice, seen), SlidingWindow.count(seen) != 0 {
                let (isDone, now) = unsafe place.pointee.weakCompareExchange(
                    expected: seen, desired: next << 32, ordering: .relaxed)
                if isDone {
                    forget(seen)
                    break
                }
                seen = now
            }
            next += 1
        }
    }
    /// The first slice that counts now.
    @inline(__always) private func first(_ now: UInt64) -> UInt64 {
        let slice = now / sliceNanos
        return slice - min(slice, SlidingWindow.sliceCount)
    }
    private var used: Int64 { unsafe Int64(bitPattern: total.pointee.load(ordering: .relaxed)) }

    @_noAllocation @_noLocks func look(_ now: UInt64) -> RateDecision {
        clear(before: first(now))
        let used = used
        let left = max(Int64(limit) - used, 0)
        let wait = left > 0 ? 0 : max(ends(now, isFirst: true), 1)
        let reset = used > 0 ? ends(now, isFirst: false) : 0
        return RateDecision(
            waitNanos: wait,
            quota: RateQuota(
                limit: limit, remaining: UInt32(clamping: left),
                resetSeconds: UInt32(clamping: (reset + 999_999_999) / 1_000_000_000)))
    }
    /// How long the first, or the last, slice with something in it still counts.
    @_noAllocation @_noLocks private func ends(_ now: UInt64, isFirst: Bool) -> UInt64 {
        let (low, high) = (first(now), now / sliceNanos)
        var step: UInt64 = 0
        while step <= high - low {
            let slice = isFirst ? low + step : high - step
            let seen = unsafe cell(slice).pointee.load(ordering: .relaxed)
            if SlidingWindow.isOf(slice, seen), SlidingWindow.count(seen) > 0 {
                let end = (slice + 1 + SlidingWindow.sliceCount) * sliceNanos
                return end > now ? end - now : 1
            }
            step += 1
        }
        return 0
    }
    @_noAllocation @_noLocks func take(_ now: UInt64) -> Bool {
        clear(before: first(now))
        let before = unsafe total.pointee.wrappingAdd(1, ordering: .relaxed).oldValue
        guard Int64(bitPattern: before) < Int64(limit) else {
            unsafe total.pointee.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        add(1, to: now / sliceNanos)
        return true
    }
    @_noAllocation @_noLocks func giveBack(_ now: UInt64) {
        unsafe total.pointee.wrappingSubtract(1, ordering: .relaxed)
        add(-1, to: now / sliceNanos)
    }
}

/// The parts of one limit; a value of some words in the memory of its limiter.
@safe struct RateLimit: @unchecked Sendable {
    let bucket: TokenBucket?
    let minute: SlidingWindow?
    let hour: SlidingWindow?
    /// Until when a request pays only once it is proven: something forged has come lately.
    private let distrustedUntil: UnsafeMutablePointer<Atomic<UInt64>>
    static let distrustNanos: UInt64 = 10_000_000_000

    init(
        bucket: TokenBucket?, minute: SlidingWindow?, hour: SlidingWindow?,
        distrust: UnsafeMutablePointer<Atomic<UInt64>>
    ) {
        self.bucket = bucket
        self.minute = minute
        self.hour = hour
        unsafe distrustedUntil = distrust
    }
    /// Takes nothing.
    @_noAllocation @_noLocks func look(_ now: UInt64) -> RateDecision {
        var decision = RateDecision(waitNanos: 0, quota: RateQuota(limit: .max, remaining: .max))
        if let bucket { decision = decision.stricter(bucket.look(now)) }
        if let minute { decision = decision.stricter(minute.look(now)) }
        if let hour { decision = decision.stricter(hour.look(now)) }
        return decision
    }
    /// Of each part or of none. What the decision says is left is what was left before others took theirs.
    @_noAllocation @_noLocks func take(_ now: UInt64) -> RateDecision {
        var decision = look(now)
        guard decision.isOpen else { return decision }
        guard bucket?.take(now) ?? true else { return overtaken(now) }
        guard minute?.take(now) ?? true else {
            bucket?.giveBack()
            return overtaken(now)
        }
        guard hour?.take(now) ?? true else {
            bucket?.giveBack()
            minute?.giveBack(now)
            return overtaken(now)
        }
        decision.quota.remaining -= min(decision.quota.remaining, 1)
        // The first of a quota that was whole: it is whole again when this one is.
        decision.quota.resetSeconds = max(decision.quota.resetSeconds, 1)
        return decision
    }
    /// Another thread took the last one between the look and the taking.
    @_noAllocation @_noLocks private func overtaken(_ now: UInt64) -> RateDecision {
        var decision = look(now)
        decision.waitNanos = max(decision.waitNanos, 1)
        decision.quota.remaining = 0
        return decision
    }
    @_noAllocation @_noLocks func giveBack(_ now: UInt64) {
        bucket?.giveBack()
        minute?.giveBack(now)
        hour?.giveBack(now)
    }
    @_noAllocation @_noLocks func distrust(_ now: UInt64) {
        unsafe distrustedUntil.pointee.store(now + RateLimit.distrustNanos, ordering: .relaxed)
    }
    @_noAllocation @_noLocks func isDistrusted(_ now: UInt64) -> Bool {
        unsafe now < distrustedUntil.pointee.load(ordering: .relaxed)
    }
}

/// One limit and its memory: some 450 bytes, and 2,064 more for each window.
@safe package final class RateLimiter: @unchecked Sendable {
    package struct Settings: Equatable, Sendable {
        /// Tokens, and how many come back a second; 0 = no bucket.
        package var capacity: UInt32 = 0
        package var perSecond: UInt32 = 0
        /// Within any minute and hour; 0 = no window.
        package var perMinute: UInt32 = 0
        package var perHour: UInt32 = 0
        package init(capacity: UInt32 = 0, perSecond: UInt32 = 0, perMinute: UInt32 = 0, perHour: UInt32 = 0) {
            self.capacity = capacity
            self.perSecond = perSecond
            self.perMinute = perMinute
            self.perHour = perHour
        }
    }
    package let settings: Settings
    /// Valid while the limiter lives.
    let place: UnsafeMutablePointer<RateLimit>
    private let words: UnsafeMutablePointer<Atomic<UInt64>>
    /// So that what one thread writes is on no line that another limit's does.
    private static let lineBytes = 128
    private static let headWords = lineBytes / 8

    package init(_ settings: Settings) {
        self.settings = settings
        let windows = (settings.perMinute > 0 ? 1 : 0) + (settings.perHour > 0 ? 1 : 0)
        let count = RateLimiter.headWords + windows * SlidingWindow.wordCount
        let memory = UnsafeMutableRawPointer.allocate(
            byteCount: count * 8 + RateLimiter.lineBytes, alignment: RateLimiter.lineBytes)
        unsafe words = memory.bindMemory(to: Atomic<UInt64>.self, capacity: count)
        for index in 0..<count { unsafe (words + index).initialize(to: Atomic<UInt64>(0)) }
        var next = unsafe words + RateLimiter.headWords
        func window(_ limit: UInt32, seconds: UInt64) -> SlidingWindow? {
            guard limit > 0 else { return nil }
            defer { unsafe next += SlidingWindow.wordCount }
            return unsafe SlidingWindow(next, limit: limit, periodNanos: seconds * 1_000_000_000)
        }
        let bucket =
            settings.capacity > 0 && settings.perSecond > 0
            ? unsafe TokenBucket(words, capacity: settings.capacity, perSecond: settings.perSecond) : nil
        let limit = unsafe RateLimit(
            bucket: bucket, minute: window(settings.perMinute, seconds: 60),
            hour: window(settings.perHour, seconds: 3600), distrust: words + 1)
        unsafe place = .allocate(capacity: 1)
        unsafe place.initialize(to: limit)
    }
    deinit {
        unsafe place.deallocate()
        unsafe words.deallocate()
    }
    // For those who hold a limiter and no snapshot.
    package func look(_ now: UInt64) -> RateDecision {
        withExtendedLifetime(self) { unsafe place.pointee.look(now) }
    }
    package func take(_ now: UInt64) -> RateDecision {
        withExtendedLifetime(self) { unsafe place.pointee.take(now) }
    }
    package func giveBack(_ now: UInt64) { withExtendedLifetime(self) { unsafe place.pointee.giveBack(now) } }
}
