// What a load run says when it is over: the shape of `sluice load --json`, which scenarios, the gate and other tools
// read. Pure values.
//
// Invariants: `format` changes when a key changes its meaning or goes away; keys may be added. All times are in
// microseconds unless the name says otherwise; all counts are of the measured part (after the warm-up) except those of
// `proof` and `generator`, `queued`, `backlogMax` and the bytes, which are of the whole run. If they fail, a baseline
// is compared with something else.

/// Percentiles of one distribution, in microseconds.
package struct LoadLatency: Codable, Equatable, Sendable {
    package var count: UInt64 = 0
    package var min = 0.0
    package var mean = 0.0
    package var deviation = 0.0
    package var p50 = 0.0
    package var p75 = 0.0
    package var p90 = 0.0
    package var p95 = 0.0
    package var p99 = 0.0
    package var p999 = 0.0
    package var p9999 = 0.0
    package var max = 0.0

    package init() {}
}

/// What one kind of request came to.
package struct LoadKindCounts: Codable, Equatable, Sendable {
    package var sent: UInt64 = 0
    /// 2xx.
    package var accepted: UInt64 = 0
    /// Any other answer.
    package var refused: UInt64 = 0
    /// No answer: the connection failed, ended or took too long.
    package var failed: UInt64 = 0

    package init() {}
}

/// One interval of the run, `seconds` long.
package struct LoadInterval: Codable, Equatable, Sendable {
    /// Seconds from the start of the run to the start of the interval.
    package var start = 0.0
    package var seconds = 0.0
    package var isWarmup = false
    /// Arrivals that the schedule wanted in it; closed loop: the same as `sent`.
    package var intended: UInt64 = 0
    package var sent: UInt64 = 0
    package var answered: UInt64 = 0
    package var accepted: UInt64 = 0
    package var errors: UInt64 = 0
    /// The most arrivals that waited for a connection.
    package var backlogMax: UInt64 = 0
    package var p50 = 0.0
    package var p99 = 0.0
    package var max = 0.0

    package init() {}
}

/// What the sink's ledger, or the log, says about the events of this run.
package struct LoadProof: Codable, Equatable, Sendable {
    /// `ledger` or `log`.
    package var evidence = ""
    /// Distinct events sent as a provider would (right signature, fresh time).
    package var sent: UInt64 = 0
    /// Those with a 2xx answer.
    package var accepted: UInt64 = 0
    /// Those that nobody can tell: no answer came.
    package var unknown: UInt64 = 0
    package var refused: UInt64 = 0
    /// Distinct events found in the evidence.
    package var delivered: UInt64 = 0
    /// Accepted and not found.
    package var lost: UInt64 = 0
    /// Found again after the first time.
    package var duplicated: UInt64 = 0
    /// First findings behind one of a later sequence.
    package var outOfOrder: UInt64 = 0
    /// Found though every answer was a refusal.
    package var deliveredThoughRefused: UInt64 = 0
    /// Found though the signature was wrong, the time stale or the request malformed.
    package var forgeriesDelivered: UInt64 = 0
    /// Lines or records of other runs.
    package var foreign: UInt64 = 0

    package init() {}
}

package struct LoadGeneratorFigures: Codable, Equatable, Sendable {
    /// Processor time of the whole process.
    package var cpuSeconds = 0.0
    package var cpuMicrosARequest = 0.0
    /// How late the loop woke for an arrival with an idle connection, at most: a generator that cannot keep up shows
    /// here.
    package var lateMicrosMax = 0.0
    package var memoryBytes: UInt64 = 0
    package var connectionsOpened: UInt64 = 0

    package init() {}
}

package struct LoadSummary: Codable, Equatable, Sendable {
    package static let formatName = "sluice-load/1"

    package var format = LoadSummary.formatName
    /// When it began, RFC 3339.
    package var date = ""
    /// What was typed, without secrets.
    package var command = ""
    /// Where the generator ran.
    package var machine = ""
    package var target = ""
    /// `open` or `closed`.
    package var loop = "open"
    /// As given: `constant:5000`, `ramp:100-5000`; `closed` for a closed loop.
    package var profile = ""
    package var mix = ""
    package var connections = 0
    /// What was asked for, in seconds, without the warm-up.
    package var durationSeconds = 0.0
    package var warmupSeconds = 0.0
    /// What was measured, in seconds: shorter when the run was cut off.
    package var measuredSeconds = 0.0
    package var isInterrupted = false
    /// Why the run ended early, nil when it did not.
    package var failure: String?

    /// Arrivals that the schedule wanted; closed loop: the same as `sent`.
    package var intended: UInt64 = 0
    package var sent: UInt64 = 0
    package var answered: UInt64 = 0
    package var accepted: UInt64 = 0
    /// Requests that were good and got an answer other than 2xx.
    package var refused: UInt64 = 0
    /// Requests that were bad on purpose and got a 2xx.
    package var wronglyAccepted: UInt64 = 0
    /// Requests without an answer, by reason: `connect_failed`, `connection_lost`, `timed_out`, `bad_answer`.
    package var failed: UInt64 = 0
    /// Arrivals that found no connection before the run was over.
    package var unsent: UInt64 = 0
    /// The most arrivals that waited for a connection at once.
    package var backlogMax: UInt64 = 0
    /// Arrivals that had to wait for a connection.
    package var queued: UInt64 = 0
    package var intendedPerSecond = 0.0
    package var sentPerSecond = 0.0
    package var answeredPerSecond = 0.0
    package var acceptedPerSecond = 0.0
    package var bytesSent: UInt64 = 0
    package var bytesReceived: UInt64 = 0

    /// From the intended time to the end of the answer. Arrivals never sent or never answered are in it with their age
    /// at the end. Closed loop: from the time of sending.
    package var latency = LoadLatency()
    /// From the time of sending to the end of the answer.
    package var service = LoadLatency()
    /// Answers by status.
    package var statuses: [String: UInt64] = [:]
    /// Refusals by the `reason` in the answer's body; `status_NNN` where it has none.
    package var reasons: [String: UInt64] = [:]
    package var failures: [String: UInt64] = [:]
    /// By kind: `fresh`, `duplicate`, `retry`, `bad_signature`, `stale`, `malformed`.
    package var kinds: [String: LoadKindCounts] = [:]
    /// By entry of the mix.
    package var entries: [String: LoadKindCounts] = [:]
    package var intervals: [LoadInterval] = []
    package var proof: LoadProof?
    package var generator = LoadGeneratorFigures()

    package init() {}
}
