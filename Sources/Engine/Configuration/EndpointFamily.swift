// Which of the gateway's surfaces an endpoint was made for. Most are for any event of their tenant; those of a family
// of webhooks get the events of that family and no other, and are sent them in a form that no operator chooses.
//
// Invariant: what a family fixes (form, schedule, meaning of answers, source) is read from here and from the settings
// of the process, never from what is stored of a single endpoint, so that a change of either holds for all of them.
import FastPath

package enum EndpointFamily: String, CaseIterable, Codable, Sendable {
    /// What operators and the outbound API make.
    case registry
    /// Webhooks of `/api/v1/webhooks`.
    case opsCenter = "ops-center"
    /// Webhooks about the others: see `OperationalEvents/`.
    case operational
    /// Entries of the registry of `/v1/webhooks`.
    case contract

    /// Nil: Sluice's own.
    package var userAgent: String? {
        switch self {
        case .registry: nil
        case .opsCenter: "Ops-Center-Webhook/1.0"
        case .operational: "Sluice-Operational/1.0"
        case .contract: "Sluice-Contract/1.0"
        }
    }
    /// Nil: as the endpoint says.
    package var signatureNames: SignatureNames? {
        switch self {
        case .registry: nil
        case .opsCenter: .opsCenter
        case .operational: .webhook
        case .contract: .contract
        }
    }
    /// The source that its events come from, and no other; nil: as the endpoint says.
    package var source: String? {
        switch self {
        case .registry: nil
        case .opsCenter: PublishSource.opsCenterName
        case .operational: PublishSource.operationalName
        case .contract: PublishSource.contractName
        }
    }
    /// A preset of `OutcomeTable`; nil: as the endpoint says.
    package var outcomes: OutcomePreset? {
        switch self {
        case .registry: nil
        case .opsCenter: .opsCenter
        // What may not pass is said by its entries' policies, by the class of the failure.
        case .operational, .contract: .anyFailureMayPass
        }
    }
    /// A `Retry-After` lengthens a wait and pauses the endpoint.
    package var heedsRetryAfter: Bool { self == .registry || self == .contract }
    /// Its endpoints have policies of their own.
    package var takesPolicies: Bool { self == .registry || self == .contract }
    /// While it is disabled its events go past it: they are not sent later either. A retry that falls due then is given
    /// up.
    package var dropsWhileDisabled: Bool { self != .registry }
    /// Every attempt has a row, and counts of them are kept for as long as the endpoint is there.
    package var keepsTally: Bool { self == .opsCenter }
    /// Five days of failures disable it.
    package var endsAfterDays: Bool { self == .opsCenter }

    /// What is wrong with a secret; nil when nothing is. Says nothing of the secret itself.
    func problem(ofSecret text: String, index: Int) -> String? {
        switch self {
        case .registry, .operational: return EndpointSecret.problem(text, index: index)
        case .opsCenter:
            let isSound = (32...256).contains(text.utf8.count) && text.utf8.allSatisfy { (0x21...0x7E).contains($0) }
            return isSound ? nil : "secret \(index + 1) is not 32 to 256 visible ASCII characters"
        case .contract:
            let isSound = ContractEntry.secretRange.contains(text.unicodeScalars.count)
            return isSound ? nil : "secret \(index + 1) is not 16 to 256 characters"
        }
    }
}

/// When the deliveries of a family are tried again, and how long an attempt may take. Taken at the process's start.
package struct FamilySchedule: Equatable, Sendable {
    /// Delays before the 2nd, 3rd … attempt; after the last the delivery is a dead letter.
    package var delaysMillis: [Int]
    package var attemptMillisMax: Int
    /// Delays are lengthened by a share of up to this, and never shortened.
    package static let spread = 0.05

    package init(delaysMillis: [Int], attemptMillisMax: Int) {
        self.delaysMillis = delaysMillis
        self.attemptMillisMax = attemptMillisMax
    }
    package static let opsCenter = FamilySchedule(
        delaysMillis: [60, 300, 900, 3600, 7200].map { $0 * 1000 }, attemptMillisMax: 30_000)
    package static let operational = FamilySchedule(
        delaysMillis: [5, 20, 80, 320].map { $0 * 1000 }, attemptMillisMax: 30_000)
}

/// Of every family that has one.
package struct FamilySchedules: Equatable, Sendable {
    package var opsCenter = FamilySchedule.opsCenter
    package var operational = FamilySchedule.operational

    package init() {}
    /// Nil: as the endpoint says.
    package func schedule(of family: EndpointFamily) -> FamilySchedule? {
        switch family {
        case .registry, .contract: nil
        case .opsCenter: opsCenter
        case .operational: operational
        }
    }
}
