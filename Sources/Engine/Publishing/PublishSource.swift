// The sources of what the API publishes: every tenant has them and no operator can make one.
//
// Invariant: a name has a character and a number a value that no operator's source has, so neither a fingerprint nor a
// subscription takes one for the other.

package enum PublishSource {
    /// Of every tenant.
    package static let name = "@publish"
    /// The same of Ops-Center's events.
    package static let opsCenterName = "@ops-center"
    /// The same of what the gateway says of itself.
    package static let operationalName = "@operational"
    /// The same of what comes over the contract edge.
    package static let contractName = "@contract"
    package static let all = [name, opsCenterName, operationalName, contractName]

    /// Nil for every other name.
    package static func ids(of name: String) -> [SourceID]? {
        switch name {
        case PublishSource.name: [.publishing, .messages]
        case opsCenterName: [.opsCenter]
        case operationalName: [.operational]
        case contractName: [.contract]
        default: nil
        }
    }
}

extension SourceID {
    /// What is published by the API.
    package static var publishing: SourceID { SourceID(.max) }
    /// The same where it was published as a message of an application, and is known by that message's id.
    package static var messages: SourceID { SourceID(.max - 1) }
    /// Events of `/api/v1/webhooks`.
    package static var opsCenter: SourceID { SourceID(.max - 2) }
    /// Ops-Center's events that are for one webhook, and are matched with none.
    package static var opsCenterTests: SourceID { SourceID(.max - 3) }
    /// What the gateway says of itself.
    package static var operational: SourceID { SourceID(.max - 4) }
    /// Messages that are for one endpoint, and are matched with none.
    package static var directedMessages: SourceID { SourceID(.max - 5) }
    /// Events of `/v1/webhooks/ingest`.
    package static var contract: SourceID { SourceID(.max - 6) }
    package var isPublishing: Bool {
        number >= SourceID.opsCenterTests.number || self == .directedMessages || self == .contract
    }
    /// It is a message of an application, known by that message's id.
    package var isMessage: Bool { self == .messages || self == .directedMessages }
    /// Whom its events are for is said where they are published; nobody else has missed one.
    var isDirected: Bool { self == .opsCenterTests || self == .directedMessages }
    /// Only endpoints that name it get its events; those that name no source do not.
    package var isClosed: Bool {
        [.opsCenter, .opsCenterTests, .operational, .directedMessages, .contract].contains(self)
    }
    /// Of what is published.
    var publishedName: String {
        switch self {
        case .opsCenter, .opsCenterTests: PublishSource.opsCenterName
        case .operational: PublishSource.operationalName
        case .contract: PublishSource.contractName
        default: PublishSource.name
        }
    }
}
