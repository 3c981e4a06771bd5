// The head parser beyond the cases: offsets, exact limits, the kind of each error, and that it comes with its byte.
import FastPath
import TestSupport
import Testing

@Suite struct HTTPHeadParserTests {
    let limits = IngestLimits()

    /// What one call on `text`, at a guard page, gives.
    private func parse(
        _ text: String, limits: IngestLimits = IngestLimits(),
        _ check: (RequestHead, borrowing FieldTable, ByteView) -> Void = { _, _, _ in }
    ) -> HTTPOutcomeKind {
        let guarded = GuardedBytes(httpBytes(text))
        let view = ByteView(UnsafePointer(guarded.start(count: guarded.capacity)), count: guarded.capacity)
        var parser = HeadParser()
        var head = RequestHead()
        var fields = FieldTable()
        switch parser.parse(view, into: &head, fields: &fields, limits: limits) {
        case .incomplete: return .incomplete
        case .failed(let error): return .failed(error)
        case .complete:
            check(head, fields, view)
            withExtendedLifetime(guarded) {}
            return .complete
        }
    }
    enum HTTPOutcomeKind: Equatable {
        case complete, incomplete
        case failed(HTTPError)
    }

    @Test func fillsOffsetsOfEveryPart() {
        let text =
            "\r\nPOST /in/a%20b?x=1&y=?2 HTTP/1.1\r\nHost: h.example:80\r\nX-Empty:\r\n"
            + "Content-Length:\t 12 \r\nX-A:  b c\t\r\n\r\nbody"
        let result = parse(text) { head, fields, view in
            #expect(head.byteCount == view.count - 4)
            #expect(head.method == .post && view.slice(head.methodRange).text == "POST")
            #expect(view.slice(head.target).text == "/in/a%20b?x=1&y=?2")
            #expect(view.slice(head.path).text == "/in/a%20b")
            #expect(view.slice(head.query).text == "x=1&y=?2")
            #expect(view.slice(head.host).text == "h.example:80")
            #expect(
                view.slice(head.fieldLines).text
                    == "Host: h.example:80\r\nX-Empty:\r\nContent-Length:\t 12 \r\nX-A:  b c\t\r\n")
            #expect(head.contentLength == 12 && !head.isChunked && !head.closes && !head.expectsContinue)
            #expect(fields.count == 4)
            #expect(fields.firstIndex(of: HeaderName("x-a"), in: view) == 3)
            #expect(view.slice(fields[3].value).text == "b c")
            #expect(fields[1].value.isEmpty)
        }
        #expect(result == .complete)
    }
    @Test(arguments: [
        ("GET http://h/p/q?r HTTP/1.1\r\nHost: h\r\n\r\n", "/p/q", "r"),
        ("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", "", ""),
        ("GET HTTPS://h:1?r HTTP/1.1\r\nHost: h:1\r\n\r\n", "", "r"),
        ("GET http://A.example/p HTTP/1.1\r\nHost: a.example:80\r\n\r\n", "/p", ""),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "*", ""),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", "", ""), ("GET / HTTP/1.0\r\n\r\n", "/", ""),
        ("GET /? HTTP/1.7\r\nHost:\r\n\r\n", "/", ""),
        ("GET /a|b\"{} HTTP/1.1\r\nHost: [v1.a:b]:\r\n\r\n", "/a|b\"{}", ""),
    ]) func findsPathAndQueryInEveryForm(_ text: String, _ path: String, _ query: String) {
        let result = parse(text) { head, _, view in
            #expect(view.slice(head.path).text == path)
            #expect(view.slice(head.query).text == query)
        }
        #expect(result == .complete)
    }
    @Test(arguments: [
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: a, Close\r\n\r\n", true, false),
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", false, false),
        ("GET / HTTP/1.0\r\n\r\n", true, false), ("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, false),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", true, false),
        ("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n", false, true),
        ("PUT / HTTP/1.0\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n", true, false),
        ("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n", false, false),
    ]) func decidesCloseAndContinue(_ text: String, _ closes: Bool, _ expects: Bool) {
        let result = parse(text) { head, _, _ in
            #expect(head.closes == closes)
            #expect(head.expectsContinue == expects)
        }
        #expect(result == .complete)
    }
    static let refusals: [(String, HTTPError)] = [
        ("GET /\r", .badRequestLine), ("GET  ", .badRequestLine), ("G@", .badMethod), ("GET\r", .badMethod),
        (" ", .badMethod),
        ("GET /\n", .bareLineFeed), ("\n", .bareLineFeed), ("\rG", .bareCarriageReturn),
        ("\r\n\r\n\r\n", .tooManyEmptyLines), ("GET /\u{7f}", .badTarget), ("GET /\u{80}", .badTarget),
        ("GET /%0 HTTP/1.1\r\n", .badTarget), ("GET /%00 HTTP/1.1\r\n", .badTarget),
        ("GET /a#b HTTP/1.1\r\n", .badTarget),
        ("GET a HTTP/1.1\r\n", .badTarget), ("GET http:/a HTTP/1.1\r\n", .badTarget),
        ("GET http:///a HTTP/1.1\r\n", .badTarget),
        ("GET http://u@h/ HTTP/1.1\r\n", .badTarget), ("GET ftp://h/ HTTP/1.1\r\n", .badTarget),
        ("GET * HTTP/1.1\r\n", .badTarget),
        ("CONNECT /x HTTP/1.1\r\n", .badTarget), ("CONNECT h HTTP/1.1\r\n", .badTarget),
        ("CONNECT :1 HTTP/1.1\r\n", .badTarget),
        ("GET / h", .badVersion), ("GET / HTTP/1.1 ", .badVersion), ("GET / HTTP/2.0\r\n", .unsupportedVersion),
        ("GET / HTTP/1.1\rx", .bareCarriageReturn), ("GET / HTTP/1.1\n", .bareLineFeed),
        ("GET / HTTP/1.1\r\n ", .leadingWhiteSpace), ("GET / HTTP/1.1\r\nA: b\r\n\t", .leadingWhiteSpace),
        ("GET / HTTP/1.1\r\n:", .badFieldName), ("GET / HTTP/1.1\r\nA ", .badFieldName),
        ("GET / HTTP/1.1\r\nA\r", .badFieldName),
        ("GET / HTTP/1.1\r\nA\n", .bareLineFeed), ("GET / HTTP/1.1\r\nA: b\n", .bareLineFeed),
        ("GET / HTTP/1.1\r\nA: b\rc", .bareCarriageReturn), ("GET / HTTP/1.1\r\nA: b\u{0}", .badFieldValue),
        ("GET / HTTP/1.1\r\nA: b\u{7f}", .badFieldValue), ("GET / HTTP/1.1\r\n\rx", .bareCarriageReturn),
        ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", .duplicateHost),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", .badHost),
        ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: [v.a]\r\n\r\n", .badHost),
        ("GET / HTTP/1.1\r\nHost: a:999999999999999999999\r\n\r\n", .badHost),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", .duplicateContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\n", .badContentLength),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775808\r\n\r\n", .badContentLength),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            .lengthAndTransferEncoding
        ),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .transferEncodingInVersion10),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked,\r\n\r\n", .badTransferEncoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", .badTransferEncoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked;q=1\r\n\r\n", .badTransferEncoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", .badTransferEncoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", .unsupportedTransferCoding),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", .unsupportedTransferCoding),
    ]
    /// Each text ends with the byte that decides: one byte less is still the beginning of something good.
    @Test(arguments: refusals) func refusesWithTheByteThatDecides(_ text: String, _ error: HTTPError) {
        #expect(parse(text) == .failed(error))
        #expect(parse(String(text.unicodeScalars.dropLast())) == .incomplete)
        #expect(httpOutcomesBytewise(httpBytes(text)) == [.error(error)])
    }
    @Test func parsesTheLargestLength() {
        let result = parse("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n") { head, _, _ in
            #expect(head.contentLength == Int.max)
        }
        #expect(result == .complete)
    }

    private func requestLine(bytes count: Int) -> String {
        "GET /" + String(repeating: "a", count: count - 14) + " HTTP/1.1\r\nHost: h\r\n\r\n"
    }
    @Test func holdsTheLimitOfTheRequestLineToTheByte() {
        let max = limits.requestLineBytesMax
        #expect(parse(requestLine(bytes: max)) == .complete)
        #expect(parse(requestLine(bytes: max + 1)) == .failed(.targetTooLong))
        #expect(parse("GET /" + String(repeating: "a", count: max - 6)) == .incomplete)
        #expect(parse("GET /" + String(repeating: "a", count: max)) == .failed(.targetTooLong))
        #expect(parse(String(repeating: "M", count: max - 1)) == .incomplete)
        #expect(parse(String(repeating: "M", count: max)) == .failed(.targetTooLong))
    }
    @Test func holdsTheLimitOfTheHeadToTheByte() {
        let start = "GET / HTTP/1.1\r\nHost: h\r\nX: "
        let fill = limits.headBytesMax - start.utf8.count - 4
        let largest = start + String(repeating: "v", count: fill) + "\r\n\r\n"
        #expect(parse(largest + "body") == .complete)
        #expect(parse(start + String(repeating: "v", count: fill + 1) + "\r\n\r\n") == .failed(.headTooLarge))
        #expect(parse(String(largest.dropLast())) == .incomplete)
        #expect(parse(start + String(repeating: "v", count: fill + 4)) == .failed(.headTooLarge))
        #expect(httpOutcomesBytewise(httpBytes(largest)) == httpOutcomes(httpBytes(largest)))
    }
    @Test func holdsTheLimitOfFields() {
        let start = "GET / HTTP/1.1\r\nHost: h\r\n"
        let most = start + String(repeating: "a: b\r\n", count: FieldTable.usualCount - 1)
        #expect(parse(most + "\r\n") == .complete)
        #expect(parse(most + "a") == .failed(.tooManyFields))
        var few = limits
        few.fieldCountMax = 2
        #expect(parse(start + "a: b\r\n\r\n", limits: few) == .complete)
        #expect(parse(start + "a: b\r\nc", limits: few) == .failed(.tooManyFields))
        // A limit above the table's room is the table's.
        few.fieldCountMax = 1000
        let full = start + String(repeating: "a: b\r\n", count: FieldTable.capacity - 1)
        #expect(parse(full + "\r\n", limits: few) == .complete)
        #expect(parse(full + "a: b\r\n", limits: few) == .failed(.tooManyFields))
    }
    /// One table serves a whole loop: what another connection left in it between two receives must not show.
    @Test func survivesThatOthersUseTheTableInBetween() {
        let one = httpBytes("POST /one HTTP/1.1\r\nHost: one\r\nContent-Length: 5\r\n\r\n")
        let other = httpBytes("GET /other HTTP/1.1\r\nHost: other\r\nX: y\r\nZ: w\r\n\r\n")
        var fields = FieldTable()
        for cut in 1..<one.count {
            var (parser, otherParser) = (HeadParser(), HeadParser())
            var (head, otherHead) = (RequestHead(), RequestHead())
            one.withView { view in
                let first = parser.parse(view.slice(0, cut), into: &head, fields: &fields, limits: limits)
                guard case .incomplete = first else {
                    Issue.record("\(first) at \(cut)")
                    return
                }
                _ = other.withView { otherParser.parse($0, into: &otherHead, fields: &fields, limits: limits) }
                let second = parser.parse(view, into: &head, fields: &fields, limits: limits)
                guard case .complete = second else {
                    Issue.record("\(second) at \(cut)")
                    return
                }
                #expect(fields.count == 2 && head.contentLength == 5 && view.slice(head.host).text == "one")
                #expect(view.slice(head.path).text == "/one" && head.fieldLines.count == 30)
            }
        }
    }
    /// 256 values at each place of a good request: never a crash at the guard page, never another verdict by another
    /// split.
    @Test func givesTheSameVerdictForEveryByteAtEveryPlaceHoweverSplit() {
        let good = httpBytes(
            "POST /a?b=%41 HTTP/1.1\r\nHost: [::1]:80\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "2;a=\"b\"\r\nok\r\n0\r\nT: v\r\n\r\n"
        )
        for place in good.indices {
            for byte in UInt8.min...UInt8.max {
                var bytes = good
                bytes[place] = byte
                let whole = httpOutcomes(bytes)
                guard httpOutcomesBytewise(bytes) == whole, httpOutcomes(bytes, cuts: [place]) == whole,
                    httpOutcomes(bytes, cuts: [place + 1]) == whole
                else {
                    Issue.record("byte \(byte) at \(place): \(whole), bytewise \(httpOutcomesBytewise(bytes))")
                    return
                }
            }
        }
    }
}
