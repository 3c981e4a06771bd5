// Answers of the blocking client: byte by byte, and what is none.
import FastPath
import Testing

private func read(
    _ text: String, isOver: Bool = false, bytesMax: Int = 1000, isCut: Bool = false
) throws(ExchangeFailure) -> ExchangeAnswer? {
    try ExchangeReading.answer(in: Array(text.utf8), isOver: isOver, AnswerBound(bytes: bytesMax, isCut: isCut))
}

@Suite struct CheckedExchangeTests {
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n"
            + "Content-Length: 4\r\n\r\nbody",
    ]) func isWholeWithItsLastByte(_ text: String) throws {
        for count in 0..<text.utf8.count {
            // Bytes: a line's end is one character of two.
            let start = String(decoding: text.utf8.prefix(count), as: UTF8.self)
            #expect(try read(start) == nil, "\(count)")
            #expect(throws: ExchangeFailure.connectionLost) { try read(start, isOver: true) }
        }
        let answer = try #require(try read(text))
        #expect(answer.status == 200 && answer.body == Array("body".utf8))
        #expect(try read(text, isOver: true) == answer)
    }
    @Test func withoutALengthItEndsWithTheConnection() throws {
        let text = "HTTP/1.1 401 Unauthorized\r\nRetry-After: 7\r\n\r\nbody"
        #expect(try read(text) == nil)
        let answer = try #require(try read(text, isOver: true))
        #expect(answer.status == 401 && answer.body == Array("body".utf8) && answer.retryAfterSeconds == 7)
        #expect(try read("HTTP/1.1 204 No Content\r\n\r\n")?.body == [])
    }
    @Test func aDateSaysHowLong() throws {
        let past = "HTTP/1.1 429 Slow\r\nRetry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n"
        #expect(try read(past)?.retryAfterSeconds == 0)
    }
    @Test func hasABound() throws {
        let large = String(repeating: "b", count: 11)
        #expect(throws: ExchangeFailure.answerTooLarge) {
            try read("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", bytesMax: 10)
        }
        #expect(throws: ExchangeFailure.answerTooLarge) { try read("HTTP/1.1 200 OK\r\n\r\n" + large, bytesMax: 10) }
        #expect(throws: ExchangeFailure.answerTooLarge) {
            try read("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", bytesMax: 10)
        }
    }
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n0123456789",
        "HTTP/1.1 200 OK\r\n\r\n0123456789",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\nffff\r\n456789",
    ]) func isCutAtItsBoundWhereThatIsAskedFor(_ text: String) throws {
        #expect(try read(text, bytesMax: 10, isCut: true)?.body == Array("0123456789".utf8))
        #expect(try read(String(text.dropLast()), bytesMax: 10, isCut: true) == nil)
        let whole = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n"
        #expect(try read(whole, bytesMax: 10, isCut: true)?.body == Array("0123456789".utf8))
        let short = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
        #expect(try read(short, bytesMax: 10, isCut: true)?.body == Array("ab".utf8))
    }
    @Test(arguments: [
        "SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ]) func whatIsInDoubtIsNone(_ text: String) {
        #expect(throws: ExchangeFailure.badAnswer) { try read(text) }
    }
}
