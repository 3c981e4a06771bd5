// What the deprecated routes and the command line say of events, deliveries and endpoints: plain values in camelCase.
// `EventRow`, `EventQuery` and `EventPage` serve `/api/v1` too.
import Engine
import FastPath
import Foundation

/// Something that keeps the gateway from being ready; `code` is stable.
package struct ReadinessProblem: Codable, Equatable, Sendable {
    package let code: String
    package let message: String
    package init(code: String, message: String) {
        self.code = code
        self.message = message
    }
}

package struct EventQuery: Equatable, Sendable {
    package var source: String?
    /// A pattern with `*`.
    package var type: String?
    /// Events after this id.
    package var after: String?
    package var limit = 100
    package static let limitMax = 1000
    package init() {}
}

package struct EventRow: Codable, Equatable, Sendable {
    package var id: String
    package var sequence: UInt64
    package var source: String
    package var type: String
    /// RFC 3339, UTC.
    package var receivedAt: String
    package var bodyBytes: Int
    /// `verified`, `unverified`, `skipped`, or the reason for which a source that observes would have been refused.
    package var verdict: String
    /// 1 is the default tenant; 0 = of a form that this version does not know.
    package var tenantNumber: UInt32
    /// 0 in events from before sources had numbers.
    package var sourceNumber: UInt32
    /// What the provider calls it: the key by which duplicates are found; nil when that is the body, or it has none.
    package var providerId: String?
    /// Of the certificate that the client had to show.
    package var clientSubject: String?
    /// `request`: it holds several events, which stand before it and are delivered in its place; `event`: one of those.
    package var part: String?
    /// True exactly when its content was erased from the log.
    package var erased: Bool?
    package init(
        id: String, sequence: UInt64, source: String, type: String, receivedAt: String, bodyBytes: Int,
        verdict: String = RecordVerification.verified.name,
        tenantNumber: UInt32 = RecordFormat.defaultTenantNumber, sourceNumber: UInt32 = 0, providerId: String? = nil,
        clientSubject: String? = nil, part: String? = nil, erased: Bool? = nil
    ) {
        self.erased = erased
        self.clientSubject = clientSubject
        self.providerId = providerId
        self.part = part
        self.id = id
        self.sequence = sequence
        self.source = source
        self.type = type
        self.receivedAt = receivedAt
        self.bodyBytes = bodyBytes
        self.verdict = verdict
        self.tenantNumber = tenantNumber
        self.sourceNumber = sourceNumber
    }
}

package struct EventPage: Codable, Equatable, Sendable {
    package var events: [EventRow]
    /// Ask again with `after` this; nil when there is nothing more yet.
    package var next: String?
    package init(events: [EventRow], next: String?) {
        self.events = events
        self.next = next
    }
}

package struct EventDetail: Codable, Equatable, Sendable {
    package var event: EventRow
    package var method: String
    package var target: String
    /// As received, in order; repeated names repeat.
    package var headers: [[String]]
    /// The body as text when it is UTF-8, else nil and `bodyBase64` has it.
    package var body: String?
    package var bodyBase64: String?
    package var deliveries: [DeliveryItem]
    package init(
        event: EventRow, method: String, target: String, headers: [[String]], body: [UInt8], deliveries: [DeliveryItem]
    ) {
        self.event = event
        self.method = method
        self.target = target
        self.headers = headers
        self.deliveries = deliveries
        self.body = String(validating: body, as: UTF8.self)
        bodyBase64 = self.body == nil ? Data(body).base64EncodedString() : nil
    }
}

package struct DeliveryItem: Codable, Equatable, Sendable {
    package var event: String
    package var endpoint: String
    package var state: String
    package var attempts: Int
    /// The last attempt's status, or nil when none was answered.
    package var status: Int?
    package var reason: String?
    /// RFC 3339; when the next attempt is due.
    package var nextAttemptAt: String?
    /// Nil when the event has left the log.
    package var source: String?
    package var type: String?
    package init(
        event: String, endpoint: String, state: String, attempts: Int, status: Int? = nil, reason: String? = nil,
        nextAttemptAt: String? = nil, source: String? = nil, type: String? = nil
    ) {
        self.event = event
        self.endpoint = endpoint
        self.state = state
        self.attempts = attempts
        self.status = status
        self.reason = reason
        self.nextAttemptAt = nextAttemptAt
        self.source = source
        self.type = type
    }
}

package struct EndpointStatus: Codable, Equatable, Sendable {
    package var name: String
    package var url: String
    /// `active`, `disabled` (by the configuration, or because it said 410), or `slowed` (it asked for fewer).
    package var state: String
    /// Deliveries put off to a later attempt.
    package var waiting: Int
    package var dead: Int
    /// Events on disk that it has not met yet.
    package var lag: UInt64
    package init(name: String, url: String, state: String, waiting: Int, dead: Int, lag: UInt64) {
        self.name = name
        self.url = url
        self.state = state
        self.waiting = waiting
        self.dead = dead
        self.lag = lag
    }
}

/// What to deliver again: one event, or all that match. Empty fields match everything.
package struct ReplayRequest: Codable, Equatable, Sendable {
    package var event: String?
    package var endpoint: String?
    package var source: String?
    package var type: String?
    /// RFC 3339; inclusive and exclusive.
    package var from: String?
    package var until: String?
    /// True: dead letters only; else delivered ones too.
    package var dead: Bool?
    /// True (the default) counts only.
    package var dryRun: Bool?
    package init() {}
}

package struct ReplayResponse: Codable, Equatable, Sendable {
    package var count: Int
    package var dryRun: Bool
    package init(count: Int, dryRun: Bool) {
        self.count = count
        self.dryRun = dryRun
    }
}
