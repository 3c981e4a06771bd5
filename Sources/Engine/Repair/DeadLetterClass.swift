// Which kind of trouble a dead letter met, so that one cause is found, counted and repaired together: the class of its
// last failure, or `local`. Pure and total: every dead letter has one.

import FastPath

package enum DeadLetterClass: Hashable, Sendable {
    case failure(FailureClass)
    /// The gateway's own or an operator's doing: what the endpoint answered does not matter.
    case local

    package init(_ row: DeliveryRow) {
        switch row.reason {
        case .tooLarge, .eventMissing, .endpointDisabled, .cancelled, .transformationFailed, .erased:
            self = .local
        // Without an attempt there is no failure. What expires after one keeps what came of that.
        case .expired where row.result == .abandoned: self = .local
        case .permanentAnswer, .retriesExhausted, .endpointGone, .expired, .authorizationFailed, nil:
            self = .failure(FailureClass(row.result, status: row.status))
        }
    }
}

extension DeadLetterClass: CaseIterable {
    package static let allCases = FailureClass.allCases.map { DeadLetterClass.failure($0) } + [.local]
    package static let names = allCases.map(\.rawValue)
}

extension DeadLetterClass: RawRepresentable {
    private static let localName = "local"

    package init?(rawValue: String) {
        if rawValue == DeadLetterClass.localName {
            self = .local
        } else if let failure = FailureClass(rawValue: rawValue) {
            self = .failure(failure)
        } else {
            return nil
        }
    }
    package var rawValue: String {
        switch self {
        case .failure(let failure): failure.rawValue
        case .local: DeadLetterClass.localName
        }
    }
}
