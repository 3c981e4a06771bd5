// What is said of a condition as an operational event. Pure.

import FastPath

/// A condition that has begun or ended, as it is told: what it is about is named when it is seen, for it may be gone
/// when it is said.
package struct ConditionFact: Sendable {
    /// Whose affair it is: that of the source's or endpoint's tenant; of the gateway's own, the default tenant's.
    package var tenant: TenantID
    /// The tenant's UUID.
    package var tenantID: String
    package var change: ConditionChange
    /// Public id and name, where it is about a source or an endpoint.
    package var subject: (id: String, name: String, kind: String)?

    package init(
        tenant: TenantID, tenantID: String, change: ConditionChange,
        subject: (id: String, name: String, kind: String)? = nil
    ) {
        self.tenant = tenant
        self.tenantID = tenantID
        self.change = change
        self.subject = subject
    }
}

extension Condition {
    package var type: OperationalEventType {
        switch self {
        case .refusing: .verificationFailing
        case .spaceLow: .spaceLow
        case .lagging: .queueLagging
        case .certificate: .certificateExpiring
        }
    }
}

extension OperationalPayload {
    package init(_ fact: ConditionFact) {
        let change = fact.change
        var data = [
            PayloadValue.Member("tenant_id", .text(fact.tenantID)),
            PayloadValue.Member("state", .text(change.hasBegun ? "begun" : "ended")),
            PayloadValue.Member("since", .time(change.sinceMillis)),
        ]
        if let subject = fact.subject {
            if case .refusing = change.condition {
                data.append(PayloadValue.Member("source_id", .text(subject.id)))
                data.append(PayloadValue.Member("source", .text(subject.name)))
            } else {
                data.append(PayloadValue.Member("endpoint_id", .text(subject.id)))
                data.append(PayloadValue.Member("endpoint_kind", .text(subject.kind)))
            }
        }
        if case .certificate(let listener, let file) = change.condition {
            data.append(PayloadValue.Member("listener", .text(listener)))
            data.append(PayloadValue.Member("file", .text(file)))
        }
        switch change.figures {
        case .refused(let refused, let all):
            data.append(PayloadValue.Member("refused", .number(refused)))
            data.append(PayloadValue.Member("requests", .number(all)))
        case .free(let bytes, let least):
            data.append(PayloadValue.Member("free_bytes", .number(bytes)))
            data.append(PayloadValue.Member("threshold_bytes", .number(least)))
        case .oldest(let millis): data.append(PayloadValue.Member("oldest_seconds", .number(Int(millis / 1000))))
        case .expires(let seconds):
            data.append(PayloadValue.Member("expires_at", seconds == 0 ? .null : .time(seconds * 1000)))
        }
        self.init(type: change.condition.type, atMillis: change.atMillis, data: data)
    }

    static func exampleOfCondition(
        _ type: OperationalEventType, tenantID: String, atMillis: Int64
    ) -> OperationalPayload {
        func payload(
            _ condition: Condition, _ figures: ConditionFigures,
            _ subject: (id: String, name: String, kind: String)? = nil
        ) -> OperationalPayload {
            OperationalPayload(
                ConditionFact(
                    tenant: .main, tenantID: tenantID,
                    change: ConditionChange(
                        condition, hasBegun: true, figures, sinceMillis: atMillis, atMillis: atMillis),
                    subject: subject))
        }
        return switch type {
        case .verificationFailing:
            payload(
                .refusing(SourceID(1)), .refused(48, of: 60), ("src_5tXw0PqhYc7uJ2nB4kLmRz", "github", "source"))
        case .spaceLow: payload(.spaceLow, .free(bytes: 805_306_368, least: 1 << 30))
        case .queueLagging:
            payload(
                .lagging(EndpointID(1)), .oldest(millis: 305_000),
                ("7c9e6679-7425-40de-944b-e07fc1f90ae7", "billing", "ops-center"))
        default:
            payload(.certificate("0.0.0.0:8443", "gateway.pem"), .expires(seconds: atMillis / 1000 + 13 * 86_400))
        }
    }
}
