// What the store keeps about deliveries, as plain values: the vocabulary between dispatcher, store and whoever asks.

import FastPath

/// Raw values are stored.
package enum DeliveryState: UInt8, CaseIterable, Sendable {
    case delivered = 1
    case pending = 2
    case dead = 3
    /// A newer event of its key is delivered in its place; nothing more becomes of it.
    case superseded = 4

    /// It is kept in history.
    package var isFinished: Bool { self == .delivered || self == .superseded }
    package var name: String {
        switch self {
        case .delivered: "delivered"
        case .pending: "pending"
        case .dead: "dead"
        case .superseded: "superseded"
        }
    }
}

/// How long an attempt took, in microseconds. 0 = that stage did not happen.
package struct AttemptTiming: Equatable, Sendable {
    package var totalMicros: UInt32 = 0
    package var connectMicros: UInt32 = 0
    package var firstByteMicros: UInt32 = 0
    package init() {}
}

/// The state of one event at one endpoint. Times are store time: milliseconds since 1970 on a clock that was set at
/// start and then follows the monotonic one, so that a jump of the wall clock moves no schedule.
package struct DeliveryRow: Equatable, Sendable {
    package var endpoint: EndpointID
    package var place: EventLocation
    package var state: DeliveryState
    /// Counted attempts so far.
    package var attempts: UInt16
    /// Of the last attempt: 0 when no answer came.
    package var status: UInt16
    package var result: DeliveryResult
    /// Only of dead letters.
    package var reason: DeadLetterReason?
    /// Only meaningful when pending.
    package var dueMillis: Int64
    /// When the row was written, which is when the last attempt ended.
    package var updatedMillis: Int64
    /// Of the last attempt.
    package var timing = AttemptTiming()

    package init(
        endpoint: EndpointID, place: EventLocation, state: DeliveryState, attempts: UInt16 = 0, status: UInt16 = 0,
        result: DeliveryResult = .answered, reason: DeadLetterReason? = nil, dueMillis: Int64 = 0,
        updatedMillis: Int64 = 0, timing: AttemptTiming = AttemptTiming()
    ) {
        self.endpoint = endpoint
        self.place = place
        self.state = state
        self.attempts = attempts
        self.status = status
        self.result = result
        self.reason = reason
        self.dueMillis = dueMillis
        self.updatedMillis = updatedMillis
        self.timing = timing
    }
}

extension DeliveryRow {
    /// It was tried, and expired without another attempt: whoever writes it does not know what came of the last one,
    /// which the row that it replaces says.
    package var keepsLastFailure: Bool {
        reason == .expired && result == .abandoned && AttemptCount.number(of: attempts) > 0
    }
    package func withLastFailure(of last: DeliveryRow) -> DeliveryRow {
        var row = self
        (row.status, row.result, row.timing) = (last.status, last.result, last.timing)
        return row
    }
}

/// One attempt that is kept beside its delivery's row: every one that failed, and the last one of a delivery that
/// needed more than one. A delivery that succeeds at once has no attempt row; its `DeliveryRow` says it all.
package struct AttemptRow: Equatable, Sendable {
    package static let answerBytesMax = 4096
    package var endpoint: EndpointID
    package var sequence: UInt64
    /// 1 for the first.
    package var number: UInt16
    /// When it ended, store time.
    package var endedMillis: Int64
    package var timing: AttemptTiming
    /// 0 when no answer came.
    package var status: UInt16
    package var result: DeliveryResult
    /// errno of what failed, else 0.
    package var systemError: Int32
    /// The first `answerBytesMax` bytes of the answer's body.
    package var answer: [UInt8]
    /// Of one at the endpoint's second URL: host and port as that URL had them. Nil of all others, and of those that an
    /// earlier version wrote.
    package var host: String?

    package init(
        endpoint: EndpointID, sequence: UInt64, number: UInt16, endedMillis: Int64,
        timing: AttemptTiming = AttemptTiming(), status: UInt16 = 0, result: DeliveryResult = .answered,
        systemError: Int32 = 0, answer: [UInt8] = [], host: String? = nil
    ) {
        self.endpoint = endpoint
        self.sequence = sequence
        self.number = number
        self.endedMillis = endedMillis
        self.timing = timing
        self.status = status
        self.result = result
        self.systemError = systemError
        self.answer = answer
        self.host = host
    }
}

/// Where a lane goes on after a restart: every event before it is in the store or was not wanted.
package struct LaneMark: Equatable, Sendable {
    package var endpoint: EndpointID
    /// Nil = the lane follows the shared mark (its row is deleted).
    package var resume: EventLocation?

    package init(endpoint: EndpointID, resume: EventLocation?) {
        self.endpoint = endpoint
        self.resume = resume
    }
}

/// What an endpoint is doing. Raw values are stored.
package enum EndpointCondition: UInt8, CaseIterable, Sendable {
    /// It takes what it is given.
    case active = 1
    /// Its last attempts failed; it is still tried.
    case failing = 2
    /// Gets nothing until a time, or until an operator says so.
    case paused = 3
    /// Gets nothing until an operator says so.
    case disabled = 4

    package var name: String {
        switch self {
        case .active: "active"
        case .failing: "failing"
        case .paused: "paused"
        case .disabled: "disabled"
        }
    }
}

/// Why an endpoint is in its condition. Raw values are stored.
package enum EndpointReason: UInt8, CaseIterable, Sendable {
    case none = 0
    /// It answered 410.
    case gone = 1
    /// An operator asked for it.
    case operatorRequest = 2
    /// `Retry-After`, or 429, 502, 504.
    case askedForLess = 3
    /// Attempts failed.
    case attemptsFailed = 4
    /// Its host name does not resolve, or to an address that is refused.
    case unresolved = 5
    /// Its own description says `disabled: true`. Never stored.
    case configuration = 6
    /// The configuration names it no more; its place is kept for when it comes back.
    case removed = 7
    /// The same of one that an operator had paused, or disabled: it is so again when it comes back.
    case removedWhilePaused = 8
    case removedWhileDisabled = 9
    /// No attempt has succeeded for days: five, or as many as its settings say.
    case failedForDays = 10
    /// Its circuit breaker is open, and while it is half-open.
    case breakerOpen = 11
    case breakerProbing = 12
    /// There is no access token for it.
    case authorizationFailed = 13

    package var isBreaker: Bool { self == .breakerOpen || self == .breakerProbing }
    package var breakerPhase: BreakerPhase {
        switch self {
        case .breakerOpen: .open
        case .breakerProbing: .halfOpen
        default: .closed
        }
    }

    /// The configuration names the endpoint no more.
    package var isRemoval: Bool {
        self == .removed || self == .removedWhilePaused || self == .removedWhileDisabled
    }
    /// The endpoint has ended by itself; what waited for it holds nothing back.
    package var isEnd: Bool { self == .gone || self == .failedForDays }
    package var name: String {
        switch self {
        case .none: "none"
        case .gone: "gone"
        case .operatorRequest: "operator_request"
        case .askedForLess: "asked_for_less"
        case .attemptsFailed: "attempts_failed"
        case .unresolved: "unresolved"
        case .configuration: "configuration"
        case .failedForDays: "failed_for_days"
        case .authorizationFailed: "authorization_failed"
        case .breakerOpen: "breaker_open"
        case .breakerProbing: "breaker_probing"
        case .removed, .removedWhilePaused, .removedWhileDisabled: "removed"
        }
    }
}

/// The live state of one endpoint, kept over restarts. An endpoint without a row is active.
package struct EndpointState: Equatable, Sendable {
    package var endpoint: EndpointID
    package var condition = EndpointCondition.active
    package var reason = EndpointReason.none
    /// Since when, store time; 0 = since ever.
    package var sinceMillis: Int64 = 0
    /// When a pause ends; 0 = not by itself.
    package var untilMillis: Int64 = 0
    /// 0 = never.
    package var lastFailureMillis: Int64 = 0
    package var lastSuccessMillis: Int64 = 0
    /// One line for an operator: the class and, where there is one, the status or system error. At most 200 bytes.
    package var lastError = ""
    /// The last mark of `EndpointHealth.alertMarks` that was told of this spell of failures; 0 = none.
    package var alertedPercent = 0

    package init(endpoint: EndpointID) { self.endpoint = endpoint }
    /// True exactly when nothing is to be sent because of it.
    package var isStopped: Bool { condition == .paused || condition == .disabled }
}

/// What one transaction writes: outcomes together with the marks that they move (design 5).
package struct OutcomeBatch: Sendable {
    package var number: UInt64 = 0
    package var rows: [DeliveryRow] = []
    /// Of `rows`, those that are sent again; none of them has an earlier row in this batch.
    package var replays: [DeliveryKey] = []
    package var attempts: [AttemptRow] = []
    /// Nil = unchanged. Never behind an earlier one.
    package var shared: EventLocation?
    package var marks: [LaneMark] = []
    package var states: [EndpointState] = []
    package var tallies: [TallyNote] = []
    /// Store time of the seal.
    package var nowMillis: Int64 = 0
    /// True exactly when somebody was told that this is kept: it then survives a power cut, not only a crash.
    package var isDurable = false

    package init() {}
    package var isEmpty: Bool {
        rows.isEmpty && attempts.isEmpty && shared == nil && marks.isEmpty && states.isEmpty && tallies.isEmpty
    }
}

/// Open deliveries of one endpoint, counted.
package struct OpenDeliveries: Equatable, Sendable {
    package var endpoint: EndpointID
    package var pending = 0
    package var dead = 0
    /// The earliest due time of the pending ones; `.max` when there are none.
    package var dueMillis = Int64.max

    package init(endpoint: EndpointID, pending: Int = 0, dead: Int = 0, dueMillis: Int64 = .max) {
        self.endpoint = endpoint
        self.pending = pending
        self.dead = dead
        self.dueMillis = dueMillis
    }
    /// Ascending by endpoint; without due times.
    package static func counted(_ open: some Sequence<(EndpointID, DeliveryState)>) -> [OpenDeliveries] {
        var found: [EndpointID: OpenDeliveries] = [:]
        for (endpoint, state) in open {
            switch state {
            case .pending: found[endpoint, default: OpenDeliveries(endpoint: endpoint)].pending += 1
            case .dead: found[endpoint, default: OpenDeliveries(endpoint: endpoint)].dead += 1
            case .delivered, .superseded: break
            }
        }
        return found.values.sorted { $0.endpoint < $1.endpoint }
    }
}

/// What a start reads: everything that is not empty, and nothing for each endpoint that is quiet.
package struct DeliverySnapshot: Sendable {
    /// Where lanes without a mark go on; nil in a store that is new.
    package var shared: EventLocation?
    /// Where endpoints without a mark begin although they are new: the store was rebuilt, and with it the registry, so
    /// that all are new. Until the first `begin`.
    package var rebuiltFrom: EventLocation?
    /// `resume` is never nil here.
    package var marks: [LaneMark] = []
    package var states: [EndpointState] = []
    package var open: [OpenDeliveries] = []
    /// The first sequence that no endpoint has met: behind every mark and every row.
    package var sequenceFloor: UInt64 = 1
    package init() {}
}

/// What a listing asks for; all parts must hold. Rows come newest event first, pages go on with `before`.
package struct DeliveryQuery: Sendable {
    /// Nil = all endpoints.
    package var endpoint: EndpointID?
    package var states: Set<DeliveryState> = Set(DeliveryState.allCases)
    /// Deliveries with at least one failed attempt.
    package var failedOnly = false
    package var reason: DeadLetterReason?
    /// Store time of the last change; the end is not in it.
    package var updated: Range<Int64>?
    /// Rows strictly behind this one in the order of the listing.
    package var before: DeliveryCursor?
    package var limit = 100
    package init() {}
}

/// A place in a listing: newest sequence first, then endpoint descending.
package struct DeliveryCursor: Equatable, Sendable {
    package var sequence: UInt64
    package var endpoint: EndpointID

    package init(sequence: UInt64, endpoint: EndpointID) {
        self.sequence = sequence
        self.endpoint = endpoint
    }
}
