// A span as a collector gets it, and its form in OTLP's JSON (opentelemetry-proto 1, `ExportTraceServiceRequest`): ids
// are hexadecimal digits, 64-bit numbers are texts. Pure.
import FastPath
import Foundation

package struct TelemetrySpan: Equatable, Sendable {
    /// Raw values are OTLP's.
    package enum Kind: Int64, Sendable {
        case server = 2
        case client = 3
        case consumer = 5
    }
    package enum Value: Equatable, Sendable {
        case text(String)
        case number(Int64)
        case flag(Bool)
    }
    package struct Attribute: Equatable, Sendable {
        package var name: String
        package var value: Value

        package init(name: String, value: Value) {
            self.name = name
            self.value = value
        }
    }
    package struct Event: Equatable, Sendable {
        package var name: String
        package var nanos: UInt64

        package init(name: String, nanos: UInt64) {
            self.name = name
            self.nanos = nanos
        }
    }
    package var trace: TraceID
    package var id: UInt64
    /// 0 = it is the trace's root.
    package var parent: UInt64
    /// The parent is another process's.
    package var hasRemoteParent = false
    package var state = ""
    package var name: String
    package var kind: Kind
    /// Wall clock, nanoseconds since 1970.
    package var startNanos: UInt64
    package var endNanos: UInt64
    package var attributes: [Attribute] = []
    package var events: [Event] = []
    /// One line of why it failed; nil = nothing is said of how it went.
    package var failure: String?

    package init(
        trace: TraceID, id: UInt64, parent: UInt64, name: String, kind: Kind, startNanos: UInt64, endNanos: UInt64
    ) {
        self.trace = trace
        self.id = id
        self.parent = parent
        self.name = name
        self.kind = kind
        self.startNanos = startNanos
        // A wall clock may have been set back between the two.
        self.endNanos = max(startNanos, endNanos)
    }
    package mutating func add(_ name: String, _ text: String) {
        guard !text.isEmpty else { return }
        attributes.append(Attribute(name: name, value: .text(text)))
    }
    package mutating func add(_ name: String, _ number: Int) {
        attributes.append(Attribute(name: name, value: .number(Int64(number))))
    }
    package func text(_ name: String) -> String? {
        guard case .text(let text)? = attributes.first(where: { $0.name == name })?.value else { return nil }
        return text
    }
    package func number(_ name: String) -> Int64? {
        guard case .number(let number)? = attributes.first(where: { $0.name == name })?.value else { return nil }
        return number
    }
}

/// A request's body.
package enum TraceExport {
    /// `Span.flags`: the trace's flags, and that it is known whether the parent is remote.
    private static let parentIsKnown: Int64 = 0x100
    private static let parentIsRemote: Int64 = 0x200
    private static let errorStatus: Int64 = 2

    package static func body(
        _ spans: [TelemetrySpan], resource: [TelemetrySpan.Attribute], version: String
    ) -> [UInt8] {
        let scope = object(("name", .text("sluice")), ("version", .text(version)))
        let scopeSpans = object(("scope", scope), ("spans", .list(spans.map(value))))
        let resourceSpans = object(
            ("resource", object(("attributes", attributes(resource)))), ("scopeSpans", .list([scopeSpans])))
        return object(("resourceSpans", .list([resourceSpans]))).bytes
    }
    private static func value(_ span: TelemetrySpan) -> PayloadValue {
        var members: [(String, PayloadValue)] = [
            ("traceId", .text(span.trace.hex)), ("spanId", .text(TraceID.hex(span.id))),
        ]
        if !span.state.isEmpty { members.append(("traceState", .text(span.state))) }
        if span.parent != 0 { members.append(("parentSpanId", .text(TraceID.hex(span.parent)))) }
        let remote = span.hasRemoteParent ? parentIsRemote : 0
        members += [
            ("flags", .number(Int64(TraceContext.sampledFlag) | parentIsKnown | remote)), ("name", .text(span.name)),
            ("kind", .number(span.kind.rawValue)), ("startTimeUnixNano", .text("\(span.startNanos)")),
            ("endTimeUnixNano", .text("\(span.endNanos)")), ("attributes", attributes(span.attributes)),
        ]
        if !span.events.isEmpty {
            let events = span.events.map { object(("timeUnixNano", .text("\($0.nanos)")), ("name", .text($0.name))) }
            members.append(("events", .list(events)))
        }
        if let failure = span.failure {
            members.append(("status", object(("code", .number(errorStatus)), ("message", .text(failure)))))
        }
        return .object(members.map { PayloadValue.Member($0.0, $0.1) })
    }
    private static func attributes(_ attributes: [TelemetrySpan.Attribute]) -> PayloadValue {
        .list(
            attributes.map { attribute in
                let value: PayloadValue
                switch attribute.value {
                case .text(let text): value = object(("stringValue", .text(text)))
                case .number(let number): value = object(("intValue", .text("\(number)")))
                case .flag(let flag): value = object(("boolValue", .flag(flag)))
                }
                return object(("key", .text(attribute.name)), ("value", value))
            })
    }
    private static func object(_ members: (String, PayloadValue)...) -> PayloadValue {
        .object(members.map { PayloadValue.Member($0.0, $0.1) })
    }

    // MARK: the answer

    /// Spans that the collector says it has not kept (`partialSuccess.rejectedSpans`).
    package static func rejectedCount(in answer: [UInt8]) -> Int {
        guard let read = try? JSONReading.value(answer),
            case .object(let members) = read, case .object(let partial)? = members["partialSuccess"]
        else { return 0 }
        switch partial["rejectedSpans"] {
        // As the mapping writes a 64-bit number, and as some do.
        case .text(let text): return max(0, Int(text) ?? 0)
        case .integer(let integer): return max(0, Int(integer))
        default: return 0
        }
    }
}
