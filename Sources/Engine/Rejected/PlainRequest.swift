// A request taken apart so that one part can be changed and the whole be verified again: what a closer look tries, and
// what is shown to a person. Worker threads only; every change is a copy.
//
// Invariant: `wire` of an unchanged request verifies exactly as the request did. Framing fields are re-serialised,
// since the body is kept without chunks.

import FastPath

package struct PlainRequest: Equatable, Sendable {
    package struct Field: Equatable, Sendable {
        package var name: String
        package var value: String

        package init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
        package func isCalled(_ other: String) -> Bool { name.lowercased() == other.lowercased() }
    }
    package var method: String
    package var target: String
    package var fields: [Field]
    package var body: [UInt8]

    /// `raw` is head and body as on the wire. Nil when it is no whole request.
    package init?(_ raw: [UInt8]) {
        var limits = IngestLimits.widest
        limits.bodyBytesMax = max(limits.bodyBytesMax, raw.count)
        guard let captured = try? CapturedRequest(raw, limits: limits) else { return nil }
        self.init(head: raw, body: captured.body)
    }

    /// `raw` begins with a head, `body` is without framing. Nil when there is no head.
    package init?(head raw: [UInt8], body: [UInt8]) {
        guard let lines = PlainRequest.headLines(raw), let first = lines.first else { return nil }
        let words = first.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3 else { return nil }
        method = String(words[0])
        target = String(words[1])
        fields = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return Field(String(line[..<colon]), line[line.index(after: colon)...].trimmed)
        }
        self.body = body
    }

    private static func headLines(_ raw: [UInt8]) -> [String]? {
        var start = 0
        // RFC 9112 §2.2 lets empty lines stand before the request line.
        while start + 1 < raw.count, raw[start] == 0x0D, raw[start + 1] == 0x0A { start += 2 }
        var lines: [String] = []
        while let end = raw[start...].firstIndex(of: 0x0A) {
            let stop = end > start && raw[end - 1] == 0x0D ? end - 1 : end
            if stop == start { return lines }
            // Latin 1 keeps every byte; text outside ASCII is shown as such and written back as it was.
            lines.append(String(String.UnicodeScalarView(raw[start..<stop].map { Unicode.Scalar($0) })))
            start = end + 1
        }
        return nil
    }

    /// As HTTP/1.1, up to the empty line and with it.
    package var head: [UInt8] {
        var head = "\(method) \(target) HTTP/1.1\r\n"
        for field in fields where !PlainRequest.framing.contains(field.name.lowercased()) {
            head += "\(field.name): \(field.value)\r\n"
        }
        head += "Content-Length: \(body.count)\r\n\r\n"
        return head.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) }
    }
    package var wire: [UInt8] { head + body }
    private static let framing: Set<String> = ["content-length", "transfer-encoding", "trailer", "expect"]

    package func value(of name: String) -> String? { fields.first { $0.isCalled(name) }?.value }

    package func with(body: [UInt8]) -> PlainRequest {
        var copy = self
        copy.body = body
        return copy
    }
    /// With every field of that name changed.
    package func mapping(_ name: String, _ change: (String) -> String) -> PlainRequest {
        var copy = self
        for index in copy.fields.indices where copy.fields[index].isCalled(name) {
            copy.fields[index].value = change(copy.fields[index].value)
        }
        return copy
    }
    package func adding(_ name: String, _ value: String) -> PlainRequest {
        var copy = self
        copy.fields.append(Field(name, value))
        return copy
    }
    package func with(method: String? = nil, target: String) -> PlainRequest {
        var copy = self
        copy.method = method ?? self.method
        copy.target = target
        return copy
    }
}

extension StringProtocol {
    /// Without the spaces and tabs around it; a non-breaking space is not one, since the codec keeps it.
    var trimmed: String {
        let start = drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
