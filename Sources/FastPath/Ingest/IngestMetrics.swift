// What a loop counts: one cell a fact, one writer. Names and meanings are the metrics' specification
// (docs/operations.md).

package enum IngestCounter: Int, CaseIterable, Sendable {
    case connectionsAccepted, connectionsRefused, connectionsOverAddressLimit, connectionsClosed, connectionsTimedOut
    /// Ended before their time, because memory or places were short.
    case connectionsHurried
    /// Gauges: set each tick.
    case connectionsOpen, assemblyBytesFree
    case requests, bytesReceived, bytesSent
    case commits, commitBytes, commitFailures, segmentRolls
    /// Gauges of the journal, set after each commit; `logState` is 1 while it takes events.
    case segmentFailures, dedupEntries, dedupEvictions, logState
    /// How long the commit that is with the disk has been there, when it is a second or more.
    case commitAgeMillis
    case receiveBuffersExhausted, assemblyExhausted
    case malformed, notFound, methodNotAllowed, tooLarge, unavailable
    case tlsHandshakes, tlsResumed
    /// Gauge.
    case tlsHandshakesWaiting
}

package enum SourceCounter: Int, CaseIterable, Sendable {
    case accepted, duplicate, rejected, refused, handshake, bodyBytes
    /// Kept although the signature failed, and kept unchecked because the workers had no room (`mode: observe`).
    case observed, unchecked
    /// Refused requests copied for a closer look, and those that the budget or the ring had no room for.
    case captured, notCaptured
    /// Refused because a limit was used up, and those of them for which it was the tenant's.
    case rateLimited, overTenantLimit
    /// Requests that held several events, or none, each counted as an event above.
    case batches
    /// Rejected and answered so: the two whose reasons are of either. What others are answered their reason says.
    case answered400, answered401
    /// One cell for each signature reason follows, in the order of `SignatureRejection.allCases`, first of what was
    /// refused, then of what was observed.
    case rejectedFirst
    /// Room for reasons to come.
    package static var reasonCellCount: Int { 32 }
    package static var observedFirst: Int { SourceCounter.rejectedFirst.rawValue + reasonCellCount }
    package static var count: Int { observedFirst + reasonCellCount }
}

/// The metrics of one loop; made by the Engine, written by the loop, read by whoever asks.
package final class IngestMetrics: Sendable {
    /// More sources than this share the last slot.
    package static let sourceSlotCount = 1024
    package let loop = CounterBlock(count: IngestCounter.allCases.count)
    package let sources = CounterBlock(count: IngestMetrics.sourceSlotCount * SourceCounter.count)
    /// Handshakes and sessions that failed, by `TLSFailure`.
    package let tlsFailures = CounterBlock(count: TLSFailure.allCases.count)
    /// From the last byte of a request to its answer's submission, by way of the disk.
    package let commit = LatencyHistogram()
    /// One batch of signatures.
    package let verify = LatencyHistogram()

    package init() {}
    @inline(__always) func count(_ counter: IngestCounter, _ amount: UInt64 = 1) { loop.add(counter.rawValue, amount) }
    @inline(__always) func count(_ counter: SourceCounter, source slot: Int, _ amount: UInt64 = 1) {
        sources.add(slot * SourceCounter.count + counter.rawValue, amount)
    }
    @inline(__always) func countRejection(_ reason: SignatureRejection, source slot: Int) {
        sources.add(slot * SourceCounter.count + SourceCounter.rejectedFirst.rawValue + reason.index)
        count(.rejected, source: slot)
    }
    func countAnswer(_ status: Int, source slot: Int) {
        if status == 400 { count(.answered400, source: slot) }
        if status == 401 { count(.answered401, source: slot) }
    }
    func countTLS(_ failure: TLSFailure) { tlsFailures.add(Int(failure.rawValue), 1) }
    @inline(__always) func countObserved(_ reason: SignatureRejection, source slot: Int) {
        sources.add(slot * SourceCounter.count + SourceCounter.observedFirst + reason.index)
        count(.observed, source: slot)
    }
}

extension SignatureRejection {
    /// Place in `allCases`, without building it.
    @inline(__always) package var index: Int {
        switch self {
        case .signatureMismatch: 0
        case .missingHeader: 1
        case .malformedHeader: 2
        case .duplicateHeader: 3
        case .staleTimestamp: 4
        case .futureTimestamp: 5
        case .malformedTimestamp: 6
        case .tokenMismatch: 7
        case .invalidCredentials: 8
        case .wrongAlgorithm: 9
        case .untrustedCertificateURL: 10
        case .bodyHashMismatch: 11
        case .challengeNotOpaque: 12
        case .missingChallenge: 13
        case .malformedChallenge: 14
        case .invalidSecret: 15
        case .originNotAllowed: 16
        case .verifyTokenMismatch: 17
        case .emptyBody: 18
        case .addressNotAllowed: 19
        case .bodyTooLarge: 20
        case .missingClientCertificate: 21
        case .clientCertificateNotAllowed: 22
        case .batchTooLarge: 23
        case .schemaViolation: 24
        case .bodyNotJSON: 25
        case .unsupportedContractVersion: 26
        case .unsupportedMediaType: 27
        case .tenantMismatch: 28
        }
    }
}
