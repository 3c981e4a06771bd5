// What a fact is as a body: `type`, `timestamp`, `data`. Pure.
//
// Invariant: no member says a secret; a URL goes as `PublicURL` has it.

import FastPath
import Foundation

package struct OperationalPayload: Equatable, Sendable {
    package let type: OperationalEventType
    /// When it happened.
    package let atMillis: Int64
    package let data: [PayloadValue.Member]

    package var value: PayloadValue {
        .object([
            PayloadValue.Member("type", .text(type.rawValue)),
            PayloadValue.Member("timestamp", .time(atMillis)), PayloadValue.Member("data", .object(data)),
        ])
    }

    /// Of the event that an attempt was about.
    package struct Message: Equatable, Sendable {
        package var id: String
        package var type: String
        package init(id: String, type: String) {
            self.id = id
            self.type = type
        }
    }

    init(type: OperationalEventType, atMillis: Int64, data: [PayloadValue.Member]) {
        self.type = type
        self.atMillis = atMillis
        self.data = data
    }
    package init(_ fact: EndpointFact) {
        let settings = fact.spec.settings
        var data = OperationalPayload.common(fact.spec, tenantID: fact.tenantID)
        data.append(PayloadValue.Member("url", .text(PublicURL.of(settings.url))))
        let actor = PayloadValue.Member("actor", .text(fact.actor))
        var isEnabled = !settings.disabled
        if case .switched(let isOn) = fact.change { isEnabled = isOn && isEnabled }
        let state = [
            PayloadValue.Member("event_types", .texts(settings.types)),
            PayloadValue.Member("enabled", .flag(isEnabled)), actor,
        ]
        switch fact.change {
        case .created:
            type = .endpointCreated
            data += state
        case .updated(let old):
            type = .endpointUpdated
            data += state
            data.append(PayloadValue.Member("changes", EndpointChanges(from: old, to: settings).value))
        case .switched(let isOn):
            type = .endpointUpdated
            data += state
            let changes = EndpointChanges(of: settings, switchedOn: isOn)
            data.append(PayloadValue.Member("changes", changes.value))
        case .deleted:
            type = .endpointDeleted
            data.append(actor)
        }
        atMillis = fact.atMillis
        self.data = data
    }

    /// `spec`: the endpoint as it is now.
    package init(
        _ fact: AttemptFact, _ spec: EndpointSpec, tenantID: String, message: Message, attemptCountMax: Int
    ) {
        var data = OperationalPayload.common(spec, tenantID: tenantID)
        data.append(PayloadValue.Member("url", .text(PublicURL.of(spec.settings.url))))
        let last = PayloadValue.Member("last_attempt", fact.lastAttempt)
        let about = [
            PayloadValue.Member("message_id", .text(message.id)),
            PayloadValue.Member("event_type", .text(message.type)),
            PayloadValue.Member("attempt", .number(AttemptCount.number(of: fact.delivery.attempts))),
            PayloadValue.Member("max_attempts", .number(attemptCountMax)), last,
        ]
        switch fact.kind {
        case .failing:
            type = .attemptFailing
            data += about
            data.append(PayloadValue.Member("next_attempt_at", .time(fact.nextMillis)))
        case .exhausted:
            type = .attemptExhausted
            data += about
        case .recovered:
            type = .attemptRecovered
            data += about
            data.append(PayloadValue.Member("failing_since", .time(fact.sinceMillis)))
        case .failingFor(let percent):
            type = .endpointFailing
            data.append(PayloadValue.Member("percent", .number(percent)))
            data.append(PayloadValue.Member("failing_since", .time(fact.sinceMillis)))
            data.append(PayloadValue.Member("disabled_at", .time(fact.nextMillis)))
            data.append(last)
        case .gone, .failedForDays:
            type = .endpointDisabled
            data.append(PayloadValue.Member("reason", .text(fact.kind == .gone ? "gone" : "failing")))
            data.append(last)
        }
        atMillis = fact.atMillis
        self.data = data
    }

    private static func common(_ spec: EndpointSpec, tenantID: String) -> [PayloadValue.Member] {
        [
            PayloadValue.Member("tenant_id", .text(tenantID)),
            PayloadValue.Member("endpoint_id", .text(spec.outsideID)),
            PayloadValue.Member("endpoint_kind", .text(spec.outsideKind)),
        ]
    }
}

extension OperationalPayload {
    /// A whole body, as it could be sent.
    package static func example(of type: OperationalEventType) -> PayloadValue {
        let made: Int64 = 1_769_860_800_000
        let tenantID = "0f6d3c1e-8a54-4b1c-9d2e-5b7a3c9f1e42"
        var settings = EndpointConfiguration()
        settings.url = "https://a.example/hook"
        settings.types = ["user.created", "credit.low"]
        settings.extras.family = .opsCenter
        let spec = EndpointSpec(
            id: EndpointID(1), publicID: PublicID(0x7c9e_6679_7425_40de_944b_e07f_c1f9_0ae7, .endpoint),
            tenant: .main, origin: .api, revision: 1, createdMillis: made, settings: settings)
        func endpoint(_ change: EndpointFact.Change) -> OperationalPayload {
            OperationalPayload(
                EndpointFact(
                    change: change, spec: spec, tenantID: tenantID, actor: "key_4Zt9Qm1xR7bVn2LcW8sYdK",
                    atMillis: made))
        }
        func attempt(_ kind: AttemptFact.Kind, _ number: UInt16, _ status: UInt16) -> OperationalPayload {
            var outcome = DeliveryOutcome(token: 0, result: .answered)
            (outcome.status, outcome.durationMicros) = (status, 12_000)
            let place = EventLocation(sequence: 1, position: 0)
            var fact = AttemptFact(
                kind, tenant: .main, endpoint: spec.id, delivery: TriedDelivery(place: place, attempts: number),
                outcome: outcome, atMillis: made)
            (fact.nextMillis, fact.sinceMillis) = (made + 60_000, made - 3_600_000)
            let message = Message(id: "3d2f8e6a-1b4c-4f7d-a9e0-6c5b4a3f2e1d", type: "user.created")
            return OperationalPayload(fact, spec, tenantID: tenantID, message: message, attemptCountMax: 6)
        }
        let payload =
            switch type {
            case .endpointCreated: endpoint(.created)
            case .endpointUpdated:
                endpoint(
                    .updated({
                        var old = settings
                        old.types = ["user.created"]
                        return old
                    }()))
            case .endpointDeleted: endpoint(.deleted)
            case .endpointDisabled: attempt(.gone, 1, 410)
            case .endpointFailing: attempt(.failingFor(percent: 50), 3, 500)
            case .attemptFailing: attempt(.failing, 1, 500)
            case .attemptExhausted: attempt(.exhausted, 6, 500)
            case .attemptRecovered: attempt(.recovered, 2, 200)
            case .verificationFailing, .spaceLow, .queueLagging, .certificateExpiring:
                exampleOfCondition(type, tenantID: tenantID, atMillis: made)
            }
        return payload.value
    }
}

extension EndpointSpec {
    /// As the surface that it was made by calls it.
    package var outsideID: String {
        switch settings.extras.family {
        case .opsCenter, .operational, .contract: publicID.uuid
        case .registry: isOutbound ? OutboundID.text(publicID, number: id.number) : publicID.text
        }
    }
    package var outsideKind: String {
        switch settings.extras.family {
        case .opsCenter, .operational: settings.extras.family.rawValue
        case .contract: "registry"
        case .registry: isOutbound ? "outbound" : "endpoint"
        }
    }
    /// Made by the Svix-shaped API.
    private var isOutbound: Bool { settings.extras.signatureNames == .svix }
}

extension AttemptFact {
    fileprivate var lastAttempt: PayloadValue {
        .object([
            PayloadValue.Member("status_code", .number(outcome.status == 0 ? nil : Int(outcome.status))),
            PayloadValue.Member("error", .text(error)),
            PayloadValue.Member("duration_ms", .number(Int(outcome.durationMicros) / 1000)),
            PayloadValue.Member("at", .time(atMillis)),
        ])
    }
    /// Nil after a success.
    private var error: String? {
        if kind == .recovered { return nil }
        return outcome.result == .answered ? StatusPhrase.of(outcome.status) : outcome.text
    }
}

extension PayloadValue {
    package static func time(_ millis: Int64) -> PayloadValue { .text(TimeText.of(epochMillis: millis)) }
}

/// RFC 9110's words for the statuses that endpoints answer with.
package enum StatusPhrase {
    package static func of(_ status: UInt16) -> String { known[status] ?? "HTTP \(status)" }
    private static let known: [UInt16: String] = [
        300: "Multiple Choices", 301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified",
        307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized",
        402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
        407: "Proxy Authentication Required", 408: "Request Timeout", 409: "Conflict", 410: "Gone",
        411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long",
        415: "Unsupported Media Type", 417: "Expectation Failed", 421: "Misdirected Request",
        422: "Unprocessable Content", 423: "Locked", 425: "Too Early", 426: "Upgrade Required",
        428: "Precondition Required", 429: "Too Many Requests", 431: "Request Header Fields Too Large",
        451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 501: "Not Implemented",
        502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout", 505: "HTTP Version Not Supported",
    ]
}
