// How an endpoint does: active, failing, paused or disabled, and why. Passive: what happened and the time in, the new
// state out. It decides nothing about single deliveries.
//
// Invariant: disabled outranks paused, paused outranks failing; success makes a failing endpoint active and touches no
// other condition. Only a change of condition is worth a row and a log line; times and the last error ride along.

package struct EndpointHealth: Sendable {
    /// Attempts that fail one after the other before an endpoint counts as failing.
    package static let failureCountMin = 3
    /// Pauses shorter than this are the pace's affair and forgotten at a restart.
    package static let pauseMillisMin: Int64 = 5000
    /// Five days: see `ended`.
    package static let failingMillisMax: Int64 = 5 * 86_400_000
    /// Parts of the time after which it is given up, in hundredths, at which its tenant is told; ascending.
    package static let alertMarks = [50, 70, 90]
    private static let errorBytesMax = 200

    package private(set) var state: EndpointState
    private var failuresInRow = 0

    package init(_ state: EndpointState) { self.state = state }

    /// Each returns true exactly when the condition or its reason changed.
    package mutating func succeeded(nowMillis: Int64) -> Bool {
        failuresInRow = 0
        state.lastSuccessMillis = nowMillis
        // A probe's success is the breaker's affair: see `moved`. Its spell of failures is over all the same.
        guard state.condition == .failing, state.reason != .breakerProbing else {
            defer { state.alertedPercent = 0 }
            return state.alertedPercent != 0
        }
        return become(.active, .none, nowMillis)
    }
    package mutating func failed(_ error: String, reason: EndpointReason = .attemptsFailed, nowMillis: Int64) -> Bool {
        failuresInRow += 1
        state.lastFailureMillis = nowMillis
        state.lastError = EndpointHealth.bounded(error)
        guard state.condition == .active else { return false }
        guard failuresInRow >= EndpointHealth.failureCountMin || reason != .attemptsFailed else { return false }
        return become(.failing, reason, nowMillis)
    }
    /// For how long it has done nothing but fail; nil while it does not.
    package func failingMillis(nowMillis: Int64) -> Int64? {
        guard state.condition == .failing || state.reason.isBreaker else { return nil }
        // A probe's success leaves the condition as it is.
        return nowMillis - max(state.sinceMillis, state.lastSuccessMillis)
    }
    /// The mark that it has passed since the last one that was told, each once in a spell of failures: the highest
    /// where it has passed several, as an endpoint does that is seldom tried. Nil when there is none.
    package mutating func alert(afterMillis: Int64, nowMillis: Int64) -> Int? {
        guard let failing = failingMillis(nowMillis: nowMillis), failing < afterMillis,
            let mark = EndpointHealth.alertMarks.last(where: { failing >= afterMillis / 100 * Int64($0) }),
            mark > state.alertedPercent
        else { return nil }
        state.alertedPercent = mark
        return mark
    }
    /// It has failed for so long on end without a success, and is given up.
    package mutating func ended(afterMillis: Int64 = EndpointHealth.failingMillisMax, nowMillis: Int64) -> Bool {
        guard let failing = failingMillis(nowMillis: nowMillis), failing >= afterMillis else { return false }
        return become(.disabled, .failedForDays, nowMillis)
    }
    package mutating func paused(_ reason: EndpointReason, untilMillis: Int64, nowMillis: Int64) -> Bool {
        guard state.condition != .disabled else { return false }
        // What an operator asked for is not shortened by an answer that was still on its way.
        if state.condition == .paused, state.reason == .operatorRequest, reason != .operatorRequest { return false }
        // A later answer does not shorten what an earlier one asked for; an operator's last word holds.
        let isShorter = untilMillis != 0 && untilMillis <= state.untilMillis
        if state.condition == .paused, reason != .operatorRequest, isShorter { return false }
        // It lengthens a cooldown, or is one where a probe brought it; probes follow all the same.
        if state.reason.isBreaker, reason == .askedForLess {
            return become(.paused, .breakerOpen, state.sinceMillis, until: untilMillis)
        }
        return become(.paused, reason, nowMillis, until: untilMillis)
    }
    package mutating func disabled(_ reason: EndpointReason, nowMillis: Int64) -> Bool {
        guard state.condition != .disabled else { return false }
        return become(.disabled, reason, nowMillis)
    }
    /// The configuration names it no more. What an operator has asked for is remembered, for it holds again when the
    /// endpoint comes back; what came of its answers is not, but for a 410.
    package mutating func removed(nowMillis: Int64) -> Bool {
        guard !state.reason.isRemoval else { return false }
        switch (state.condition, state.reason) {
        case (.paused, .operatorRequest):
            return become(.disabled, .removedWhilePaused, nowMillis, until: state.untilMillis)
        case (.disabled, .operatorRequest): return become(.disabled, .removedWhileDisabled, nowMillis)
        case (.disabled, _): return false
        default: return become(.disabled, .removed, nowMillis)
        }
    }
    /// It is named again: as an operator left it.
    package mutating func returned(nowMillis: Int64) -> Bool {
        let until = state.untilMillis
        switch state.reason {
        case .removedWhileDisabled: return become(.disabled, .operatorRequest, nowMillis)
        case .removedWhilePaused where until == 0 || until > nowMillis:
            return become(.paused, .operatorRequest, nowMillis, until: until)
        case .removed, .removedWhilePaused: return enabled(nowMillis: nowMillis)
        default: return false
        }
    }
    /// An operator, a new address, or the end of a pause lifts it.
    package mutating func enabled(nowMillis: Int64) -> Bool {
        failuresInRow = 0
        guard state.condition != .active else { return false }
        return become(.active, .none, nowMillis)
    }
    /// The end of a pause has come: what it does next shows how it does.
    package mutating func pauseEnded(nowMillis: Int64) -> Bool {
        guard state.condition == .paused, state.untilMillis != 0, state.untilMillis <= nowMillis else { return false }
        if state.reason == .breakerOpen { return moved(to: .halfOpen, nowMillis: nowMillis) }
        return become(.active, .none, nowMillis)
    }

    // MARK: The breaker's phase, which is kept here so that it outlives the process

    package var breakerPhase: BreakerPhase { state.reason.breakerPhase }
    /// `untilMillis`: of the cooldown, where it opens. What an operator asked for outranks it; a longer pause that the
    /// endpoint asked for becomes its cooldown. Since when it fails stays as it was.
    package mutating func moved(to phase: BreakerPhase, untilMillis: Int64 = 0, nowMillis: Int64) -> Bool {
        guard state.condition != .disabled, state.reason != .operatorRequest else { return false }
        switch phase {
        case .open:
            let until = state.condition == .paused ? max(untilMillis, state.untilMillis) : untilMillis
            return become(.paused, .breakerOpen, failingSince ?? nowMillis, until: until)
        case .halfOpen:
            guard state.reason == .breakerOpen else { return false }
            return become(.failing, .breakerProbing, state.sinceMillis)
        case .closed:
            guard state.reason.isBreaker else { return false }
            return enabled(nowMillis: nowMillis)
        }
    }
    private var failingSince: Int64? {
        state.condition == .failing || state.reason.isBreaker ? state.sinceMillis : nil
    }

    private mutating func become(
        _ condition: EndpointCondition, _ reason: EndpointReason, _ sinceMillis: Int64, until: Int64 = 0
    ) -> Bool {
        state.condition = condition
        state.reason = reason
        state.sinceMillis = sinceMillis
        state.untilMillis = until
        if failingMillis(nowMillis: sinceMillis) == nil { state.alertedPercent = 0 }
        return true
    }
    private static func bounded(_ text: String) -> String {
        guard text.utf8.count > errorBytesMax else { return text }
        var bytes = text.utf8.prefix(errorBytesMax)
        // No half character at the end, which would be replaced by a longer one.
        while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
        if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A change of condition, for the log and whoever watches.
package struct EndpointNotice: Equatable, Sendable {
    package var endpoint: EndpointID
    package var name: String
    package var old: EndpointCondition
    package var state: EndpointState

    package init(endpoint: EndpointID, name: String, old: EndpointCondition, state: EndpointState) {
        self.endpoint = endpoint
        self.name = name
        self.old = old
        self.state = state
    }
}
