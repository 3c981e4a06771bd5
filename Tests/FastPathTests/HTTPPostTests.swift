// The answer to a small POST, read from what has come so far.

import FastPath
import Testing

@Suite struct HTTPPostTests {
    private func read(_ text: String, isWhole: Bool = false) -> HTTPPost.Reading {
        HTTPPost.answer(in: Array(text.utf8), isWhole: isWhole)
    }
    private func complete(_ status: Int, _ body: String = "", retryAfter: Int? = nil) -> HTTPPost.Reading {
        .complete(PostAnswer(status: status, retryAfterSeconds: retryAfter, body: Array(body.utf8)))
    }

    /// Its first bytes: a line's end is one character of two.
    private func start(of text: String, _ count: Int) -> String {
        String(decoding: text.utf8.prefix(count), as: UTF8.self)
    }

    @Test func anAnswerOfAStatedLengthIsReadAtEachTruncation() {
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
        for count in 0..<text.utf8.count { #expect(read(start(of: text, count)) == .incomplete) }
        #expect(read(text) == complete(200, "{}"))
    }
    @Test func aChunkedAnswerIsReadAtEachTruncation() {
        let text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
        for count in 0..<text.utf8.count { #expect(read(start(of: text, count)) == .incomplete, "\(count)") }
        #expect(read(text) == complete(200, "{}"))
    }
    @Test func oneThatEndsWithItsConnectionIsReadThen() {
        let text = "HTTP/1.0 503 Busy\r\nRetry-After: 7\r\n\r\nlater"
        #expect(read(text) == .incomplete)
        #expect(read(text, isWhole: true) == complete(503, "later", retryAfter: 7))
    }
    @Test func interimAnswersAreSteppedOver() {
        let interim = "HTTP/1.1 100 Continue\r\n\r\n"
        #expect(read(interim) == .incomplete)
        #expect(read(interim + interim + "HTTP/1.1 204 No Content\r\n\r\n") == complete(204))
    }
    @Test func aDateSaysHowLong() {
        let past = "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
        #expect(read(past) == complete(429, retryAfter: 0))
    }
    @Test(arguments: [
        "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ])
    func whatIsNoneFails(text: String) { #expect(read(text) == .failed) }
}
