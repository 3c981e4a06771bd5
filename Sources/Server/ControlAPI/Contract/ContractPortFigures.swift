// What the ingest port has counted of sources with the contract's envelope, in the contract's terms.
//
// Invariant: each is a sum of counters that never go back, and what a source that ended, or answers otherwise now, had
// counted stays in the total (`ContractPortTotals`), so that the names of the contract do not go back either.
import Engine
import FastPath

package struct ContractPortFigures: Equatable, Sendable {
    package private(set) var accepted: UInt64 = 0
    package private(set) var duplicate: UInt64 = 0
    /// Of requests that reached a source. One has one event: such sources do not split.
    package private(set) var statuses: [Int: UInt64] = [:]
    package var signatureFailures: UInt64 { statuses[401] ?? 0 }
    package var limited: UInt64 { statuses[429] ?? 0 }
    package var unavailable: UInt64 { statuses[503] ?? 0 }

    package init() {}
    /// `status`: what the source answers to what it keeps.
    package mutating func add(_ source: SourceStatus, status: Int) {
        func count(_ counter: SourceCounter) -> UInt64 { source.counters[counter] ?? 0 }
        accepted += count(.accepted)
        duplicate += count(.duplicate)
        add(count(.accepted) + count(.duplicate), status)
        add(count(.answered400), 400)
        add(count(.answered401), 401)
        add(count(.rateLimited), 429)
        add(count(.refused), 503)
        for (reason, number) in source.rejections {
            if let status = ContractPortFigures.status(of: reason) { add(number, status) }
        }
    }
    private mutating func add(_ number: UInt64, _ status: Int) {
        if number > 0 { statuses[status, default: 0] += number }
    }
    /// Nil for those that are counted by their answer.
    private static func status(of reason: SignatureRejection) -> Int? {
        switch reason {
        case .tenantMismatch, .addressNotAllowed, .missingClientCertificate, .clientCertificateNotAllowed: 403
        case .bodyTooLarge, .batchTooLarge: 413
        case .unsupportedMediaType: 415
        case .schemaViolation, .bodyNotJSON: 422
        default: nil
        }
    }
}

/// The figures of one look after the other, so that none goes back.
package struct ContractPortTotals: Sendable {
    private var last = ContractPortFigures()
    private var kept = ContractPortFigures()

    package init() {}
    package mutating func total(_ now: ContractPortFigures) -> ContractPortFigures {
        kept.add(last.missing(in: now))
        last = now
        var total = now
        total.add(kept)
        return total
    }
}

extension ContractPortFigures {
    fileprivate mutating func add(_ other: ContractPortFigures) {
        accepted += other.accepted
        duplicate += other.duplicate
        for (status, number) in other.statuses { add(number, status) }
    }
    /// What is less there.
    fileprivate func missing(in other: ContractPortFigures) -> ContractPortFigures {
        func less(_ one: UInt64, _ other: UInt64) -> UInt64 { one > other ? one - other : 0 }
        var missing = ContractPortFigures()
        missing.accepted = less(accepted, other.accepted)
        missing.duplicate = less(duplicate, other.duplicate)
        for (status, number) in statuses { missing.add(less(number, other.statuses[status] ?? 0), status) }
        return missing
    }
}
