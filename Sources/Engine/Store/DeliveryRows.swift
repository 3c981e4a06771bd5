// What the store keeps about deliveries, as plain values: the vocabulary between dispatcher, store and whoever asks.

import FastPath

/// Raw values are stored.
package enum DeliveryState: UInt8, CaseIterable, Sendable {
    case delivered = 1
    case pending = 2
    case dead = 3

    package var name: String {
        switch self {
        case .delivered: "delivered"
        case .pending: "pending"
        case .dead: "dead"
        }
    }
}

/// The state of one event at one endpoint. Times are store time: milliseconds since 1970 on a clock that was set at
/// start and then follows the monotonic one, so that a jump of the wall clock moves no schedule.
package struct DeliveryRow: Equatable, Sendable {
    /// The store's number of the endpoint.
    package var endpoint: Int
    package var place: EventPlace
    package var state: DeliveryState
    /// Counted attempts so far.
    package var attempts: UInt16
    /// Of the last attempt: 0 when no answer came.
    package var status: UInt16
    package var result: DeliveryResult
    /// Only of dead letters.
    package var reason: DeadLetterReason?
    /// Only meaningful when pending.
    package var dueMillis: Int64
    package var updatedMillis: Int64

    package init(
        endpoint: Int, place: EventPlace, state: DeliveryState, attempts: UInt16, status: UInt16,
        result: DeliveryResult,
        reason: DeadLetterReason?, dueMillis: Int64, updatedMillis: Int64
    ) {
        self.endpoint = endpoint
        self.place = place
        self.state = state
        self.attempts = attempts
        self.status = status
        self.result = result
        self.reason = reason
        self.dueMillis = dueMillis
        self.updatedMillis = updatedMillis
    }
}

/// Where a lane goes on after a restart: every event before it is in the store or was not wanted.
package struct LaneMark: Equatable, Sendable {
    package var endpoint: Int
    package var resume: EventPlace

    package init(endpoint: Int, resume: EventPlace) {
        self.endpoint = endpoint
        self.resume = resume
    }
}

/// Why an endpoint is not delivered to although the configuration says it should. Raw values are stored.
package enum EndpointStop: UInt8, CaseIterable, Sendable {
    /// It answered 410.
    case gone = 1
}

package struct StoredEndpoint: Equatable, Sendable {
    package var number: Int
    package var name: String
    package var stop: EndpointStop?
    package var stoppedMillis: Int64
    package var resume: EventPlace
    /// True exactly when the configuration names it no more; it then holds nothing back.
    package var isRemoved: Bool

    package init(
        number: Int, name: String, stop: EndpointStop?, stoppedMillis: Int64, resume: EventPlace, isRemoved: Bool
    ) {
        self.number = number
        self.name = name
        self.stop = stop
        self.stoppedMillis = stoppedMillis
        self.resume = resume
        self.isRemoved = isRemoved
    }
}

package struct EndpointSwitch: Equatable, Sendable {
    package var endpoint: Int
    /// Nil switches it on again.
    package var stop: EndpointStop?

    package init(endpoint: Int, stop: EndpointStop?) {
        self.endpoint = endpoint
        self.stop = stop
    }
}

/// What one transaction writes: outcomes together with the marks that they move (design §5).
package struct OutcomeBatch: Sendable {
    package var number: UInt64 = 0
    package var rows: [DeliveryRow] = []
    package var marks: [LaneMark] = []
    package var switches: [EndpointSwitch] = []
    /// Store time of the seal.
    package var nowMillis: Int64 = 0
    /// True exactly when somebody was told that this is kept: it then survives a power cut, not only a crash.
    package var isDurable = false

    package init() {}
    package var isEmpty: Bool { rows.isEmpty && marks.isEmpty && switches.isEmpty }
}

/// What a listing asks for; all parts must hold.
package struct DeliveryQuery: Sendable {
    package var endpoint: Int
    package var states: [DeliveryState]
    /// First sequence wanted.
    package var from: UInt64 = 0
    /// Last sequence wanted.
    package var through: UInt64 = DeliveryQuery.sequenceMax
    package var limit = 500

    /// The store packs endpoint and sequence into one 63-bit key: 15 and 48 bits. At a million events a second the
    /// sequences last nine years, at the rates of one machine longer than the machine.
    package static let sequenceMax: UInt64 = 1 << 48 - 1
    package static let endpointMax = 1 << 15 - 1

    package init(endpoint: Int, states: [DeliveryState]) {
        self.endpoint = endpoint
        self.states = states
    }
}

package struct DeliveryCounts: Equatable, Sendable {
    package var pending = 0
    package var dead = 0
    package init() {}
}
