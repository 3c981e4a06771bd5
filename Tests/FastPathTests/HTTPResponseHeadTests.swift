// The client's side: what an endpoint's answer may say, and that doubt ends the connection.
import FastPath
import TestSupport
import Testing

@Suite struct HTTPResponseHeadTests {
    static let headBytesMax = 16_384
    enum ParseResult: Equatable {
        case incomplete, failed
        case complete(Int, ResponseHead.Body, closes: Bool)
        /// The status is known, the end of the message is not.
        case doubtful(Int)
    }
    /// The verdict on `text` up to a guard page, cut at each of `cuts`; `then` sees a complete head.
    private func parse(
        _ text: String, isHead: Bool = false, cuts: [Int] = [], then: (ResponseHead) -> Void = { _ in }
    ) -> ParseResult {
        let bytes = httpBytes(text)
        let guarded = GuardedBytes(bytes)
        var parser = ResponseParser()
        var fields = FieldTable()
        for cut in cuts + [bytes.count] {
            let view = guarded.fill(bytes[..<cut])
            let result = parser.parse(view, isHead: isHead, fields: &fields, headBytesMax: Self.headBytesMax)
            switch result {
            case .incomplete: continue
            case .failed: return .failed
            case .complete(let head):
                then(head)
                if head.isDoubtful, head.closes, head.body == .none { return .doubtful(head.status) }
                return .complete(head.status, head.body, closes: head.closes)
            }
        }
        return .incomplete
    }
    static let heads: [(String, ParseResult)] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", .complete(200, .length(5), closes: false)),
        ("HTTP/1.1 202 \r\nTransfer-Encoding: Chunked\r\n\r\n", .complete(202, .chunked, closes: false)),
        ("HTTP/1.1 500\r\n\r\n", .complete(500, .untilClose, closes: true)),
        (
            "HTTP/1.1 200 caf\u{e9} \r\nConnection: close\r\ncontent-length: 0\r\n\r\n",
            .complete(200, .length(0), closes: true)
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", .complete(200, .length(5), closes: true)),
        (
            "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n",
            .complete(200, .length(5), closes: false)
        ),
        ("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n", .complete(200, .untilClose, closes: true)),
        ("HTTP/1.1 204 No Content\r\n\r\n", .complete(204, .none, closes: false)),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", .complete(204, .none, closes: false)),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", .complete(204, .none, closes: true)),
        ("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", .complete(204, .none, closes: true)),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", .complete(304, .none, closes: false)),
        ("HTTP/1.1 100 Continue\r\n\r\n", .complete(100, .none, closes: false)),
        ("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", .complete(103, .none, closes: false)),
        ("HTTP/1.1 999 Odd\r\nContent-Length: 1\r\n\r\n", .complete(999, .length(1), closes: false)),
        ("HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", .doubtful(103)),
        ("HTTP/1.1 100 x\r\nTransfer-Encoding: chunked\r\n\r\n", .doubtful(100)),
        ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", .doubtful(101)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", .doubtful(200)),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", .doubtful(200)),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", .doubtful(200)),
        ("HTTP/2.0 200 OK\r\n\r\n", .failed), ("HTTP/1.2 200 OK\r\n\r\n", .failed),
        ("HTTP/1.1 099 OK\r\n\r\n", .failed),
        ("HTTP/1.1 20 OK\r\n\r\n", .failed), ("HTTP/1.1  200 OK\r\n\r\n", .failed),
        ("HTTP/1.1 2000 OK\r\n\r\n", .failed),
        ("HTTP/1.1 200\tOK\r\n\r\n", .failed), ("HTTP/1.1 200 O\u{0}K\r\n\r\n", .failed),
        ("HTTP/1.1 200 OK\n\r\n", .failed),
        ("ICY 200 OK\r\n\r\n", .failed), ("\r\nHTTP/1.1 200 OK\r\n\r\n", .failed),
        ("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", .failed),
        ("HTTP/1.1 200 OK\r\n A: b\r\n\r\n", .failed), ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", .failed),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", .incomplete),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r", .incomplete),
        ("", .incomplete), ("HTT", .incomplete), ("HTTP/1.1 200", .incomplete), ("HTTP/1.1 200 OK\r", .incomplete),
    ]
    @Test(arguments: heads) func readsEachHeadTheSameHoweverItComes(_ text: String, _ verdict: ParseResult) {
        #expect(parse(text) == verdict)
        let count = text.unicodeScalars.count
        #expect(parse(text, cuts: Array(0..<count)) == verdict)
        for cut in 0..<count { #expect(parse(text, cuts: [cut]) == verdict, "cut at \(cut)") }
    }
    @Test func hasNoBodyAfterHead() {
        #expect(
            parse("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", isHead: true) == .complete(200, .none, closes: false))
        #expect(
            parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", isHead: true)
                == .complete(200, .none, closes: false))
        #expect(parse("HTTP/1.1 200 OK\r\n\r\n", isHead: true) == .complete(200, .none, closes: false))
    }
    @Test func readsRetryAfter() {
        let cases: [(String, ResponseHead.RetryAfter?)] = [
            ("Retry-After: 120\r\n", .seconds(120)), ("Retry-After: 0\r\n", .seconds(0)),
            ("retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", .unixSeconds(784_111_777)),
            ("Retry-After: -1\r\n", nil), ("Retry-After: soon\r\n", nil), ("Retry-After:\r\n", nil), ("", nil),
            ("Retry-After: 99999999999999999999\r\n", nil), ("Retry-After: 1\r\nRetry-After: 2\r\n", nil),
        ]
        for (line, wanted) in cases {
            let verdict = parse("HTTP/1.1 503 x\r\nContent-Length: 0\r\n\(line)\r\n") {
                #expect($0.retryAfter == wanted, "\(line)")
            }
            #expect(verdict == .complete(503, .length(0), closes: false))
        }
    }
    /// Interim answers are heads of their own: the caller counts them, so an endless row of them is its to end.
    @Test func stepsOverInterimAnswersOneByOne() {
        let bytes = httpBytes(
            String(repeating: "HTTP/1.1 100 Continue\r\n\r\n", count: 3)
                + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        var parser = ResponseParser()
        var fields = FieldTable()
        var statuses: [Int] = []
        var place = 0
        bytes.withView { view in
            while case .complete(let head) = parser.parse(
                view.slice(place, view.count - place), isHead: false, fields: &fields, headBytesMax: 1024)
            {
                statuses.append(head.status)
                #expect(head.isInterim == (head.status == 100))
                place += head.byteCount
            }
        }
        #expect(statuses == [100, 100, 100, 200] && place == bytes.count)
    }
    @Test func givesUpOnAHeadWithoutEnd() {
        let max = Self.headBytesMax
        #expect(parse("HTTP/1.1 200 " + String(repeating: "x", count: max - 14)) == .incomplete)
        #expect(parse("HTTP/1.1 200 " + String(repeating: "x", count: max - 13)) == .failed)
        #expect(parse("HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 101)) == .failed)
        #expect(parse("HTTP/1.1 200 OK\r\nA: " + String(repeating: "x", count: max)) == .failed)
    }
}
