// What a server makes of the bytes of one connection, without a socket: the head parser and the chunked decoder over
// pipelined messages, fed in pieces. Each piece is seen through memory that ends at a guard page.
import FastPath

/// One thing that the model got out of the bytes.
package enum HTTPOutcome: Equatable, CustomStringConvertible {
    case request(method: String, target: String, fields: [String], body: [UInt8], closes: Bool, expects: Bool)
    case error(HTTPError)
    case incomplete

    package var description: String {
        switch self {
        case .request(let method, let target, _, let body, let closes, _):
            "\(method) \(target) +\(body.count) \(closes)"
        case .error(let error): "error \(error.rawValue)"
        case .incomplete: "incomplete"
        }
    }
    package var isRequest: Bool { if case .request = self { true } else { false } }
    package var isIncomplete: Bool { self == .incomplete }
    package var error: HTTPError? { if case .error(let error) = self { error } else { nil } }
}

/// The loop's use of the codec, in the smallest form. After an error, or a request that closes, bytes are ignored.
package struct HTTPServerModel: ~Copyable {
    package private(set) var outcomes: [HTTPOutcome] = []
    private var limits: IngestLimits
    private var parser = HeadParser()
    private var decoder = ChunkedDecoder()
    private var fields = FieldTable()
    private var head: RequestHead?
    private var headText: (method: String, target: String, fields: [String]) = ("", "", [])
    private var body: [UInt8] = []
    private var buffer: [UInt8] = []
    private var isClosed = false
    private let memory: GuardedBytes

    package init(limits: IngestLimits = IngestLimits(), capacity: Int = 1 << 12) {
        self.limits = limits
        memory = GuardedBytes(capacity: capacity)
    }
    /// The outcomes, with what is unfinished at the end.
    package var verdict: [HTTPOutcome] {
        // Empty lines behind a message are nothing.
        let isQuiet = head == nil && (outcomes.isEmpty ? false : buffer.allSatisfy { $0 == 13 || $0 == 10 })
        return isClosed || isQuiet ? outcomes : outcomes + [.incomplete]
    }

    package mutating func receive(_ bytes: some Collection<UInt8>) {
        guard !isClosed else { return }
        buffer += bytes
        while !isClosed, advance() {}
    }
    /// True when something was finished and there may be more.
    private mutating func advance() -> Bool {
        guard let head else { return parseHead() }
        if head.isChunked { return decodeChunks() }
        guard buffer.count >= head.contentLength else { return false }
        body = Array(buffer[..<head.contentLength])
        buffer.removeFirst(head.contentLength)
        finish()
        return true
    }
    private mutating func parseHead() -> Bool {
        guard !buffer.isEmpty else { return false }
        var fresh = RequestHead()
        // A byte more than a head may have is all that the parser needs to see.
        let view = memory.fill(buffer.prefix(limits.headBytesMax + 1))
        switch parser.parse(view, into: &fresh, fields: &fields, limits: limits) {
        case .incomplete: return false
        case .failed(let error): fail(error)
        case .complete:
            var texts: [String] = []
            for index in 0..<fields.count {
                let field = fields[index]
                precondition(field.hash == HeaderName.hash(of: view.slice(field.name)))
                texts.append("\(view.slice(field.name).text):\(view.slice(field.value).text)")
            }
            headText = (view.slice(fresh.methodRange).text, view.slice(fresh.target).text, texts)
            buffer.removeFirst(fresh.byteCount)
            head = fresh
            if !fresh.isChunked, fresh.contentLength > limits.bodyBytesMax { fail(.bodyTooLarge) }
        }
        return true
    }
    private mutating func decodeChunks() -> Bool {
        guard !buffer.isEmpty else { return false }
        let count = buffer.count
        memory.fill(buffer)
        let start = memory.start(count: count)
        let result = decoder.decode(
            start, from: 0, to: count, writeAt: 0, bodyBytesMax: limits.bodyBytesMax, limits: limits)
        switch result {
        case .failed(let error): fail(error)
        case .incomplete(let consumed, let written), .complete(let consumed, let written):
            precondition(written <= consumed)
            body += (0..<written).map { start[$0] }
            buffer.removeFirst(consumed)
            guard case .complete = result else {
                precondition(buffer.isEmpty)
                return false
            }
            finish()
        }
        return true
    }
    private mutating func finish() {
        guard let head else { return }
        outcomes.append(
            .request(
                method: headText.method, target: headText.target, fields: headText.fields, body: body,
                closes: head.closes,
                expects: head.expectsContinue))
        isClosed = head.closes
        self.head = nil
        body = []
        decoder = ChunkedDecoder()
    }
    private mutating func fail(_ error: HTTPError) {
        outcomes.append(.error(error))
        isClosed = true
    }
}

/// The outcomes of `bytes` cut at each of `cuts`.
package func httpOutcomes(
    _ bytes: [UInt8], cuts: [Int] = [], limits: IngestLimits = IngestLimits()
) -> [HTTPOutcome] {
    var model = HTTPServerModel(limits: limits, capacity: max(1, bytes.count))
    var start = 0
    for cut in cuts + [bytes.count] {
        model.receive(bytes[start..<cut])
        start = cut
    }
    return model.verdict
}
/// The same, byte by byte.
package func httpOutcomesBytewise(_ bytes: [UInt8], limits: IngestLimits = IngestLimits()) -> [HTTPOutcome] {
    httpOutcomes(bytes, cuts: Array(0...bytes.count), limits: limits)
}
/// Latin-1, as the cases are written.
package func httpBytes(_ text: String) -> [UInt8] { text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) } }
