// What the ingest port has counted of sources with the contract's envelope, in the contract's terms.
//
// Invariant: each is a sum of counters that never go back, so that the names of the contract do not either.
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
