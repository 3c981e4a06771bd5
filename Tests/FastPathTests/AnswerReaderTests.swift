// The reader of answers: the same verdict however the bytes come, and what an answer still says when nobody can
// tell where it ends.
//
// Safety: the room and each piece are allocated here and outlive the calls that read them.

import FastPath
import Testing

@Suite struct AnswerReaderTests {
    /// Feeds `text` in pieces cut at `cuts`; the last progress and the reader.
    private func read(
        _ text: String, cuts: [Int], headBytesMax: Int = 256, ending: Bool = false
    ) -> (AnswerProgress, ResponseReader) {
        var limits = EgressLimits()
        limits.answerHeadBytesMax = headBytesMax
        let room = UnsafeMutablePointer<UInt8>.allocate(capacity: headBytesMax)
        defer { room.deallocate() }
        var reader = ResponseReader(room: room, limits: limits)
        var fields = FieldTable()
        let all = Array(text.utf8)
        var progress = AnswerProgress.more
        var start = 0
        for end in cuts + [all.count] {
            var piece = Array(all[start..<end])
            let count = piece.count
            guard count > 0, progress == .more else { continue }
            progress = piece.withUnsafeMutableBufferPointer {
                reader.feed($0.baseAddress!, count: count, fields: &fields, wallSeconds: 1000)
            }
            start = end
        }
        if ending, progress == .more { _ = reader.settle() }
        return (progress, reader)
    }
    @Test func readsTheSameAnswerHoweverItIsCut() {
        let text =
            "HTTP/1.1 103 Early\r\nLink: a\r\n\r\nHTTP/1.1 102 P\r\n\r\n"
            + "HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
            + "4\r\nabcd\r\n2\r\nef\r\n0\r\nTrailer: x\r\n\r\n"
        for first in 0...text.utf8.count {
            for second in stride(from: first, through: text.utf8.count, by: 3) {
                let (progress, reader) = read(text, cuts: [first, second])
                #expect(progress == .complete(isLastByte: true), "\(first) \(second)")
                #expect(reader.status == 503 && reader.retryAfterSeconds == 7 && reader.keepsConnection)
            }
        }
        let (progress, _) = read(text, cuts: Array(0..<text.utf8.count))
        #expect(progress == .complete(isLastByte: true))
    }
    @Test func seesAByteBehindTheEndHoweverItIsCut() {
        for ending in ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"] {
            let text = "HTTP/1.1 200 OK\r\n\(ending)"
            for cut in 0..<text.utf8.count {
                #expect(read(text + "X", cuts: [cut]).0 == .complete(isLastByte: false))
                #expect(read(text, cuts: [cut]).0 == .complete(isLastByte: true))
            }
        }
    }
    /// How the answer is over when the connection ends behind `text`: the status, or nil when none could be read.
    private func settled(_ text: String, cuts: [Int]) -> (status: UInt16, retryAfter: UInt32)? {
        let (progress, reader) = read(text, cuts: cuts, ending: true)
        guard reader.hasHead, progress != .malformed, progress != .headTooLarge else { return nil }
        return (reader.status, reader.retryAfterSeconds)
    }
    private static let longField = "X: \(String(repeating: "y", count: 300))\r\n"
    /// Behind each status line comes what makes the end of the message doubtful; `RA` stands for a Retry-After field.
    private static let oddities = [
        " OK\nContent-Length: 2\nRA\n\nok", "\nRA\n\n",
        " OK\r\nContent-Length: 2\r\nContent-Length: 2\r\nRA\r\n\r\nok",
        " OK\r\nContent-Length: 2, 2\r\nRA\r\n\r\nok",
        " OK\r\nRA\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        " OK\r\nA: b\r\n c\r\nRA\r\n\r\nRetry-After: 9\r\n", " OK\r\n A: b\r\nRA\r\n\r\n",
        " OK\r\nA : b\r\nRA\r\n\r\n",
        " OK\r\nno field at all\r\nRA\r\n\r\nok", " OK\r\n: x\r\nRA\r\n\r\n", " O\u{1}K\r\nRA\r\n\r\n",
        " OK\r\nRA\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", " OK\r\nRA\r\nTransfer-Encoding: gzip\r\n\r\nzz",
        " OK\r\nRA\r\n\(longField)\r\nok",
        " OK\r\nRA\r\nContent-Length: 10\r\n\r\nabc", " OK\r\nRA\r\nX: cut shor", "\tOK\r\nRA\r\n\r\n",
        " OK\r\nContent-Length: 5\r\nRA\n\nok",
    ]
    @Test func aFinalStatusThatCouldBeReadDecidesWhateverFollows() {
        let starts = [("HTTP/1.1 200", 200), ("HTTP/1.1 503", 503), ("HTTP/1.0 404", 404), ("HTTP/2 429", 429)]
        for (start, status) in starts {
            for oddity in AnswerReaderTests.oddities {
                let text = start + oddity.replacing("RA", with: "Retry-After: 7")
                let cuts = [[], Array(0..<text.utf8.count)] + stride(from: 0, to: text.utf8.count, by: 5).map { [$0] }
                for cut in cuts {
                    let outcome = settled(text, cuts: cut)
                    #expect(outcome?.status == UInt16(status), "\(text.prefix(60)) cut at \(cut.first ?? -1)")
                    #expect(outcome?.retryAfter == 7, "\(text.prefix(60)) cut at \(cut.first ?? -1)")
                }
                #expect(read(text, cuts: []).0 != .complete(isLastByte: true))
            }
        }
    }
    @Test func oddInterimAnswersHideNoFinalOne() {
        let final = "HTTP/1.1 202 A\r\nContent-Length: 0\r\n\r\n"
        for interim in [
            "HTTP/1.1 103 x\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 100 C\n\n",
            "HTTP/1.1 103 x\r\nA : b\r\n\r\n", "\r\n\r\n", "\n",
            String(repeating: "HTTP/1.1 102 P\r\n\r\n", count: 1000),
        ] {
            let text = interim + final
            for cut in stride(from: 0, to: min(text.utf8.count, 200), by: 1) {
                let (progress, reader) = read(text, cuts: [cut])
                #expect(reader.status == 202)
                guard case .complete = progress else {
                    Issue.record("\(interim.prefix(40)) cut at \(cut): \(progress)")
                    continue
                }
                let isPlain = interim.contains("102")
                #expect(reader.keepsConnection == isPlain)
            }
        }
        let endless = String(repeating: "HTTP/1.1 102 P\r\n\r\n", count: 4000)
        #expect(read(endless, cuts: []).0 == .headTooLarge)
        #expect(read("HTTP/1.1 103 E\r\n" + AnswerReaderTests.longField, cuts: []).0 == .headTooLarge)
    }
    @Test func aSwitchOfProtocolsEndsTheAnswer() {
        let (progress, reader) = read("HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n", cuts: [])
        #expect(progress == .complete(isLastByte: false) && reader.status == 101 && !reader.keepsConnection)
    }
    @Test(arguments: [
        "", "HTTP", "HTTP/1.1 2", "HTTP/1.1 200", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n",
        "SSH-2.0\r\n\r\n",
        "HTTP/ 200 OK\r\n\r\n", "HTTP/1.1200 OK\r\n\r\n", "HTTP/11.1 200 OK\r\n\r\n", "ICY 200 OK\r\n\r\n",
        "okHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 20x OK\r\n\r\n", "HTTP/1.1 100 C\r\n\r\n", "<html>200 OK</html>",
    ])
    func whatIsNoFinalStatusIsNone(text: String) {
        for cut in 0...text.utf8.count {
            let outcome = settled(text, cuts: [cut])
            #expect(outcome == nil, "cut at \(cut)")
        }
    }
    @Test func aHeadOfAnyNumberOfFieldsIsRead() {
        let fields = (0..<500).map { "\($0): x\r\n" }.joined()
        let text = "HTTP/1.1 429 T\r\n\(fields)Retry-After: 7\r\nContent-Length: 2\r\n\r\nok"
        for cut in stride(from: 0, to: text.utf8.count, by: 7) {
            let (progress, reader) = read(text, cuts: [cut], headBytesMax: 8192)
            #expect(progress == .complete(isLastByte: false) && reader.status == 429 && reader.retryAfterSeconds == 7)
        }
    }
    @Test func aLongHeadIsOverWhereTheRoomEnds() {
        let text = "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n" + AnswerReaderTests.longField + "\r\n"
        for cut in 0..<256 {
            let (progress, reader) = read(text, cuts: [cut])
            #expect(progress == .complete(isLastByte: false) && reader.status == 503 && reader.retryAfterSeconds == 3)
            #expect(reader.keptCount == 0)
        }
    }
    @Test func aRetryAfterDateCountsFromNow() {
        let head = "HTTP/1.1 429 T\r\nContent-Length: 0\r\nRetry-After: "
        #expect(read(head + "Thu, 01 Jan 1970 00:17:00 GMT\r\n\r\n", cuts: []).1.retryAfterSeconds == 20)
        #expect(read(head + "Thu, 01 Jan 1970 00:16:00 GMT\r\n\r\n", cuts: []).1.retryAfterSeconds == 0)
        #expect(read(head + "soon\r\n\r\n", cuts: []).1.retryAfterSeconds == .max)
        #expect(read(head + "99999999999\r\n\r\n", cuts: []).1.retryAfterSeconds >= UInt32.max - 1)
    }
}
