// Where each of many pipelined requests ends: heads with a length, whose bodies are skipped, and heads of chunked
// bodies, which are decoded. All that stands between the bytes of a connection and its requests.
import FastPath

enum FramingClaim {
    private static let requestCount = 32
    private static let bodyBytes = 512

    static let claim = Claim(name: "framing") { effort in
        try [("with a length", false), ("chunked", true)].map { name, isChunked in
            let work = Work(isChunked: isChunked)
            guard work.run(1) != 0 else { throw BenchmarkError("the requests were not found \(name)") }
            let timing = Stopwatch.best(effort, count: effort.count(20_000), [work.run])[0]
            return Measurement(
                name: "framing, \(name)", value: timing.nanos / Double(requestCount), unit: "ns",
                claim: "a request of \(bodyBytes) B among \(requestCount) pipelined ones", hash: timing.hash)
        }
    }

    private final class Work {
        private let input: ByteMemory
        /// Decoding moves bytes, so each pass begins with a copy.
        private let memory: ByteMemory
        private var fields = FieldTable()

        init(isChunked: Bool) {
            let body = String(repeating: "x", count: bodyBytes)
            let framing = isChunked ? "Transfer-Encoding: chunked" : "Content-Length: \(bodyBytes)"
            let head =
                "POST /in/github HTTP/1.1\r\nHost: hooks.example.com\r\nX-GitHub-Event: push\r\n\(framing)\r\n\r\n"
            let half = String(bodyBytes / 2, radix: 16) + "\r\n" + body.prefix(bodyBytes / 2) + "\r\n"
            input = ByteMemory(
                String(repeating: head + (isChunked ? half + half + "0\r\n\r\n" : body), count: requestCount))
            memory = ByteMemory([UInt8](repeating: 0, count: input.count))
        }
        /// 0 when a request is refused or is not where it should be.
        func run(_ count: Int) -> UInt64 {
            let limits = IngestLimits()
            var hash: UInt64 = 1
            for _ in 0..<count {
                input.copy(to: memory)
                var place = 0
                for _ in 0..<requestCount {
                    let rest = memory.view.slice(place, memory.count - place)
                    var parser = HeadParser()
                    var head = RequestHead()
                    guard case .complete = parser.parse(rest, into: &head, fields: &fields, limits: limits) else {
                        return 0
                    }
                    place += head.byteCount
                    if head.isChunked {
                        var decoder = ChunkedDecoder()
                        let result = decoder.decode(
                            memory.start, from: place, to: memory.count, writeAt: place, bodyBytesMax: 1 << 20,
                            limits: limits)
                        guard case .complete(let consumed, _) = result else { return 0 }
                        place += consumed
                    } else {
                        place += Int(head.contentLength)
                    }
                    hash.mix(place)
                }
                guard place == memory.count else { return 0 }
            }
            return hash
        }
    }
}
