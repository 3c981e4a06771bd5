// One endpoint's way through the log: where it stands, what is out with it, how fast it may go, what waits for a retry.
// Passive: the time comes in, decisions go out; the dispatcher moves the bytes. A lane knows nothing of other lanes, so
// a slow one cannot delay another.
//
// Invariants: `inFlight` counts the slots that name this lane; `mark` never goes back while the process runs; an event
// before `mark` is in the store or not wanted, one between it and the lane's place also in `outstanding` or `backlog`.

import FastPath

package struct LaneSettings: Sendable {
    package var concurrency: Int
    package var schedule: RetrySchedule
    package var forwarding: FieldForwarding
    /// By the configuration; keeps its place and gets nothing.
    package var isDisabled: Bool
    /// Place in the egress loop's table.
    package var egressIndex: UInt32
    /// Names of fields that are never forwarded, beside those that no endpoint gets.
    package var withheld: [HeaderName] = []

    package init(
        concurrency: Int, schedule: RetrySchedule, forwarding: FieldForwarding, isDisabled: Bool, egressIndex: UInt32
    ) {
        self.concurrency = max(1, concurrency)
        self.schedule = schedule
        self.forwarding = forwarding
        self.isDisabled = isDisabled
        self.egressIndex = egressIndex
    }
}

/// Where a lane reads.
package enum LaneReading: Equatable, Sendable {
    /// Along with all others that keep up, at the shared place.
    case shared
    /// By itself, from its own place.
    case alone(EventPlace)
}

/// An attempt that could not be made and must not be forgotten; its event still holds the mark back or is scheduled.
package struct DeferredAttempt: Sendable {
    package var place: EventPlace
    package var attempts: UInt16
    package var origin: AttemptOrigin
}

/// Whether the store knows the delivery already.
package enum AttemptOrigin: Equatable, Sendable {
    /// A first attempt; the ticket of its entry in the outstanding window.
    case first(ticket: UInt64)
    /// A pending row that was due then.
    case retry(dueMillis: Int64)
}

package final class Lane {
    /// The store's number.
    package let number: Int
    package let name: String
    package var settings: LaneSettings
    package var stop: EndpointStop?
    /// The configuration names it no more; the lane ends when nothing of it is out.
    package var isRemoved = false
    package var reading: LaneReading
    package var outstanding = OutstandingWindow()
    package var retries = RetryQueue()
    package var deferred: [DeferredAttempt] = []
    package var backlog = PlaceQueue()
    package var counters = LaneCounters()

    package private(set) var inFlight = 0
    package private(set) var retriesInFlight = 0
    package private(set) var leasedBytes = 0
    /// Bytes it may still take in this round.
    package var deficit = 0
    /// Sequences from the mark on that had a row at start, ascending; those before `recordedNext` are behind the lane.
    private var recorded: [UInt64]
    private var recordedNext = 0
    private var pace = LanePace()
    /// True exactly when the batch being filled has rows of this lane.
    package var hasRowsInBatch = false
    /// What the last sealed batch said.
    package var sealedMark: EventPlace
    package var sealedNanos: UInt64 = 0
    /// What the store has confirmed.
    package var committedMark: EventPlace

    package init(_ stored: StoredEndpoint, settings: LaneSettings, recorded: [UInt64]) {
        number = stored.number
        name = stored.name
        self.settings = settings
        stop = stored.stop
        reading = .alone(stored.resume)
        self.recorded = recorded
        sealedMark = stored.resume
        committedMark = stored.resume
    }

    package var isStopped: Bool { isRemoved || settings.isDisabled || stop != nil }
    package var isIdle: Bool { inFlight == 0 }

    /// Whether one more first attempt may go out.
    package func hasRoom(now: UInt64) -> Bool {
        !isStopped && inFlight < pace.allowance(settings.concurrency) && !pace.isPaused(now: now) && !outstanding.isFull
    }
    /// Retries take at most half of what the lane may have out, so that an endpoint that failed for a day still gets
    /// its new events.
    package func hasRoomForRetry(now: UInt64) -> Bool {
        let allowance = pace.allowance(settings.concurrency)
        return !isStopped && inFlight < allowance && retriesInFlight < max(1, allowance / 2) && !pace.isPaused(now: now)
    }
    /// A deferred attempt is already in the outstanding window or scheduled, so it needs neither.
    package func hasRoomForDeferred(now: UInt64) -> Bool {
        !isStopped && inFlight < pace.allowance(settings.concurrency) && !pace.isPaused(now: now)
    }
    /// When the pause ends, nil when there is none.
    package func pauseEnd(now: UInt64) -> UInt64? { pace.isPaused(now: now) ? pace.pausedUntil : nil }

    package func attemptBegan(_ origin: AttemptOrigin, bytes: Int) {
        inFlight += 1
        leasedBytes += bytes
        if case .retry = origin { retriesInFlight += 1 }
    }
    package func attemptEnded(_ origin: AttemptOrigin, bytes: Int) {
        precondition(inFlight > 0 && leasedBytes >= bytes)
        inFlight -= 1
        leasedBytes -= bytes
        if case .retry = origin { retriesInFlight -= 1 }
    }
    package func adjust(_ change: EndpointPace, now: UInt64) {
        pace.adjust(change, concurrency: settings.concurrency, now: now)
    }
    package func forgetPace() { pace = LanePace() }

    /// True exactly when the store had the event already when the lane was opened. Ask with ascending sequences.
    package func wasRecorded(_ sequence: UInt64) -> Bool {
        guard recordedNext < recorded.count else { return false }
        while recordedNext < recorded.count, recorded[recordedNext] < sequence { recordedNext += 1 }
        let isRecorded = recordedNext < recorded.count && recorded[recordedNext] == sequence
        if recordedNext == recorded.count {
            recorded = []
            recordedNext = 0
        }
        return isRecorded
    }

    package func place(shared: EventPlace) -> EventPlace {
        switch reading {
        case .shared: shared
        case .alone(let place): place
        }
    }
    /// Where a restart would go on. Places in the backlog are behind every outstanding one.
    package func mark(shared: EventPlace) -> EventPlace { outstanding.oldest ?? backlog.first ?? place(shared: shared) }
}

/// Events that a lane wants and had no room for when all others passed them: each is read once more when there is room,
/// instead of everything from there on. Bounded; a lane that is further behind reads by itself.
package struct PlaceQueue {
    /// 16 bytes each.
    package static let countMax = 1024
    private var places: [EventPlace] = []
    private var head = 0

    package init() {}
    package var isEmpty: Bool { head == places.count }
    package var isFull: Bool { places.count - head >= PlaceQueue.countMax }
    package var first: EventPlace? { isEmpty ? nil : places[head] }
    package mutating func append(_ place: EventPlace) {
        if head > PlaceQueue.countMax {
            places.removeFirst(head)
            head = 0
        }
        places.append(place)
    }
    package mutating func removeFirst() {
        head += 1
        guard head == places.count else { return }
        places.removeAll(keepingCapacity: true)
        head = 0
    }
}

/// How fast the endpoint lets itself be served: additive increase, multiplicative decrease, and pauses.
package struct LanePace {
    private static let backOffNanosMin: UInt64 = 1_000_000_000
    private static let backOffNanosMax: UInt64 = 60_000_000_000
    /// Nil = all of the concurrency.
    private var limit: Int?
    private var backOffNanos = LanePace.backOffNanosMin
    package private(set) var pausedUntil: UInt64 = 0

    package init() {}
    package func allowance(_ concurrency: Int) -> Int { min(limit ?? concurrency, concurrency) }
    package func isPaused(now: UInt64) -> Bool { now < pausedUntil }

    /// A slowed endpoint starts again with one at a time and gets one more with each success. Answers of attempts that
    /// were out before the pause do not prolong a pause that still runs, or one burst of 429s would end in the longest
    /// pause.
    package mutating func adjust(_ change: EndpointPace, concurrency: Int, now: UInt64) {
        switch change {
        case .unchanged: return
        case .recovered:
            guard !isPaused(now: now), let current = limit else { return }
            backOffNanos = LanePace.backOffNanosMin
            limit = current + 1 >= concurrency ? nil : current + 1
        case .backOff:
            limit = 1
            guard !isPaused(now: now) else { return }
            pausedUntil = now + backOffNanos
            backOffNanos = min(backOffNanos * 2, LanePace.backOffNanosMax)
        case .pause(let seconds):
            limit = 1
            pausedUntil = max(pausedUntil, now + UInt64(seconds) * 1_000_000_000)
        }
    }
}
