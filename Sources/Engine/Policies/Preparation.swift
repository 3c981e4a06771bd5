// What becomes of an event between a lane's decision to send it and the request: its body decoded, transformed, and
// redacted, and its field lines with it. Pure: bytes in, bytes or a reason out; on worker threads. The log keeps the
// event as it came.
//
// Invariants: the same event and the same settings give the same bytes; what comes out has a bound; a body that cannot
// be read is not sent as it is, since what was to be taken out of it would go with it.
import FastPath

/// Why an event cannot be prepared. Stable: the raw values are stored with attempts.
package enum PreparationFailure: Int32, CaseIterable, Error, Sendable {
    /// A transformation is of JSON, and so is an event of the contract.
    case notJSON = 1
    /// A step's path leads through something that is neither object nor list.
    case wrongShape = 2
    /// A text that is to become a number or a time is none.
    case notConvertible = 3
    case tooLarge = 4
    /// Compressed in a way that is not known, or not what it says.
    case contentCoding = 5

    package var name: String {
        switch self {
        case .notJSON: "not_json"
        case .wrongShape: "wrong_shape"
        case .notConvertible: "not_convertible"
        case .tooLarge: "too_large"
        case .contentCoding: "content_coding"
        }
    }
    /// One line for an operator; says nothing of the event.
    package var explanation: String {
        switch self {
        case .notJSON: "the body is not JSON, which a transformation needs, and an entry of the contract"
        case .wrongShape: "a step's path leads through a value that is neither an object nor a list"
        case .notConvertible: "a value has not the form that `format` turns it from"
        case .tooLarge: "what would be sent is larger than the bound, or takes more work to make than it"
        case .contentCoding:
            "the body's Content-Encoding is not gzip or deflate, or it is not what that says, or unfolds to too much"
        }
    }
}

/// What may be sent.
package struct PreparedEvent: Equatable, Sendable {
    package var fieldLines: [UInt8]
    package var body: [UInt8]
    /// `RedactionKind.rawValue` is the index; empty without a redaction.
    package var redactions: [UInt64] = []

    package init(fieldLines: [UInt8], body: [UInt8]) {
        self.fieldLines = fieldLines
        self.body = body
    }
}

package final class Preparation: Sendable {
    private static let growthBytesMax = 64 << 10
    /// Of a compressed body: as much as any source takes of one that is not, but not from a small one, which would be
    /// made to take memory.
    static func decodedBytesMax(for bodyBytes: Int) -> Int { min(64 << 20, max(8 << 20, 16 * bodyBytes)) }
    private let transformation: Transformation?
    private let redactor: Redactor?

    /// Nil when there is nothing to do. The settings have been checked.
    package init?(_ policies: EndpointPolicies) {
        guard policies.redaction != nil || policies.transform?.isEmpty == false else { return nil }
        transformation = policies.transform.flatMap { Transformation($0) }
        redactor = policies.redaction.map { Redaction.compiled($0) }
    }
    /// For what becomes another body without either.
    static let plain = Preparation()
    private init() { (transformation, redactor) = (nil, nil) }
    /// No more than this comes out for a body of so many bytes.
    package static func bytesMax(for bodyBytes: Int) -> Int { 4 * bodyBytes + growthBytesMax }
    /// What most events take.
    static func bytesExpected(for bodyBytes: Int) -> Int { bodyBytes + bodyBytes / 4 + 512 }

    /// `envelope`: of an event that came in the contract's envelope, which becomes what the contract's entries get.
    package func prepare(
        fieldLines: [UInt8], body: [UInt8], envelope: EnvelopedEvent? = nil
    ) throws(PreparationFailure) -> PreparedEvent {
        var lines = FieldLineList(fieldLines)
        var body = try lines.decode(body)
        let bytesMax = Preparation.bytesMax(for: body.count)
        let received = body
        if let envelope {
            guard let made = envelope.body(of: body, tenant: lines.tenant) else { throw .notJSON }
            body = made
        }
        if let transformation { body = try transformation.apply(to: body, bytesMax: bytesMax) }
        var prepared = PreparedEvent(fieldLines: lines.bytes, body: body)
        if let redactor {
            let isForm =
                lines.value(of: "content-type").map {
                    $0.lowercased().hasPrefix("application/x-www-form-urlencoded")
                } ?? false
            var pass = RedactionPass(redactor, bodyBytes: body.count)
            prepared.body = body.withView { isForm ? pass.form($0) : pass.value($0) } ?? body
            prepared.fieldLines = prepared.fieldLines.withView { pass.fields($0) } ?? prepared.fieldLines
            prepared.redactions = pass.counts
        }
        if prepared.body != received {
            var lines = FieldLineList(prepared.fieldLines)
            lines.remove(FieldLineList.digests)
            prepared.fieldLines = lines.bytes
        }
        guard prepared.body.count <= bytesMax, prepared.fieldLines.count <= Preparation.bytesMax(for: fieldLines.count)
        else { throw .tooLarge }
        return prepared
    }
}

/// Whole lines of a head.
struct FieldLineList {
    /// Of a body that is sent no more.
    static let digests = ["content-md5", "digest", "content-digest", "repr-digest"]
    private(set) var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Each line with its end, and where its colon is.
    private func each(_ body: (_ line: Range<Int>, _ name: Range<Int>) -> Void) {
        var start = 0
        while start < bytes.count {
            let end = bytes[start...].firstIndex(of: 0x0A).map { $0 + 1 } ?? bytes.count
            let colon = bytes[start..<end].firstIndex(of: UInt8(ascii: ":")) ?? start
            body(start..<end, start..<colon)
            start = end
        }
    }
    private func isName(_ range: Range<Int>, _ lowered: String) -> Bool {
        range.count == lowered.utf8.count
            && zip(bytes[range], lowered.utf8).allSatisfy { ($0 &- 65 < 26 ? $0 | 0x20 : $0) == $1 }
    }
    /// All of them, comma-separated; nil when there is none.
    func value(of name: String) -> String? {
        var values: [String] = []
        each { line, found in
            guard isName(found, name) else { return }
            var (start, end) = (found.upperBound + 1, line.upperBound)
            while start < end, bytes[start] <= 0x20 { start += 1 }
            while end > start, bytes[end - 1] <= 0x20 { end -= 1 }
            values.append(String(decoding: bytes[start..<end], as: UTF8.self))
        }
        return values.isEmpty ? nil : values.joined(separator: ", ")
    }
    /// A compressed body as it is, and the lines without what says so.
    mutating func decode(_ body: [UInt8]) throws(PreparationFailure) -> [UInt8] {
        guard let coding = value(of: "content-encoding"), coding.lowercased() != "identity" else { return body }
        let bytesMax = Preparation.decodedBytesMax(for: body.count)
        guard let decoded = ContentDecoding.decoded(body, coding: coding, bytesMax: bytesMax) else {
            throw .contentCoding
        }
        remove(["content-encoding"])
        return decoded
    }
    mutating func remove(_ names: [String]) {
        var kept: [UInt8] = []
        var isChanged = false
        each { line, found in
            if names.contains(where: { isName(found, $0) }) { isChanged = true } else { kept += bytes[line] }
        }
        if isChanged { bytes = kept }
    }
}
