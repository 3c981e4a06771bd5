// The chunked decoder alone: in place, over calls, and at each of its limits.
import FastPath
import TestSupport
import Testing

@Suite struct HTTPChunkedDecoderTests {
    enum ParseResult: Equatable {
        case incomplete(String)
        case complete(String, left: Int)
        case failed(HTTPError)
    }
    /// Feeds `text` in pieces; the data gathers at the front of one memory that ends at a guard page.
    private func decode(
        _ text: String, pieceBytes: Int = .max, bodyBytesMax: Int = 1 << 20, limits: IngestLimits = IngestLimits()
    ) -> ParseResult {
        let bytes = httpBytes(text)
        let guarded = GuardedBytes(bytes)
        let memory = guarded.start(count: bytes.count)
        var decoder = ChunkedDecoder()
        var (from, write) = (0, 0)
        func data() -> String { String(decoding: (0..<write).map { memory[$0] }, as: UTF8.self) }
        while from < bytes.count {
            let to = pieceBytes < bytes.count - from ? from + pieceBytes : bytes.count
            let result = decoder.decode(
                memory, from: from, to: to, writeAt: write, bodyBytesMax: bodyBytesMax, limits: limits)
            switch result {
            case .failed(let error): return .failed(error)
            case .incomplete(let consumed, let written):
                #expect(consumed == to - from)
                (from, write) = (to, write + written)
            case .complete(let consumed, let written):
                (from, write) = (from + consumed, write + written)
                #expect(decoder.bodyByteCount == write)
                return .complete(data(), left: bytes.count - from)
            }
            #expect(decoder.bodyByteCount == write)
        }
        return .incomplete(data())
    }
    private func repeated(_ text: String, _ count: Int) -> String { String(repeating: text, count: count) }

    @Test(arguments: [1, 2, 3, 5, 7, .max]) func gathersTheDataInPlace(_ pieceBytes: Int) {
        let text = "5\r\nhello\r\n1;x\r\n,\r\nA\r\n wonderful\r\n00\r\nT: v\r\nU:\r\n\r\nGET"
        #expect(decode(text, pieceBytes: pieceBytes) == .complete("hello, wonderful", left: 3))
        #expect(decode("5\r\nhel", pieceBytes: pieceBytes) == .incomplete("hel"))
        #expect(decode("0\r\n\r\n", pieceBytes: pieceBytes) == .complete("", left: 0))
    }
    static let refusals: [(String, HTTPError)] = [
        ("\r", .badChunkSize), (";", .badChunkSize), ("+", .badChunkSize), (" ", .badChunkSize), ("0x", .badChunkSize),
        ("5,", .badChunkSize), ("5\n", .bareLineFeed), ("5\r\r", .bareCarriageReturn), ("5 \r", .badChunkExtension),
        ("5;\r", .badChunkExtension), ("5; \r", .badChunkExtension), ("5;=", .badChunkExtension),
        ("5;a=\r", .badChunkExtension),
        ("5;a@", .badChunkExtension), ("5;a b", .badChunkExtension), ("5;a=b c", .badChunkExtension),
        ("5 a", .badChunkExtension),
        ("5;a=\"b\r", .badChunkExtension), ("5;a=\"\\\r", .badChunkExtension), ("5;a=\"b\"c", .badChunkExtension),
        ("5;a=\"\u{0}", .badChunkExtension), ("5;a\n", .bareLineFeed), ("5;a=\"\n", .bareLineFeed),
        ("5;a\rb", .bareCarriageReturn),
        ("1\r\nx\n", .badChunkEnd), ("1\r\nxy", .badChunkEnd), ("1\r\nx\rx", .badChunkEnd),
        ("1\r\nx\r\n\r", .badChunkSize),
        ("10000000000000000", .badChunkSize), ("00000000000000001", .badChunkSize),
        ("ffffffffffffffff\r\n", .bodyTooLarge), ("8000000000000000\r\n", .bodyTooLarge),
        ("7fffffffffffffff\r\n", .bodyTooLarge),
        ("0\r\n ", .leadingWhiteSpace), ("0\r\n:", .badFieldName), ("0\r\nA ", .badFieldName),
        ("0\r\nA\r", .badFieldName),
        ("0\r\n\n", .bareLineFeed), ("0\r\nA: b\n", .bareLineFeed), ("0\r\nA: b\rc", .bareCarriageReturn),
        ("0\r\nA: \u{1}", .badFieldValue), ("0\r\n\rx", .bareCarriageReturn),
    ]
    @Test(arguments: refusals) func refusesWithTheByteThatDecides(_ text: String, _ error: HTTPError) {
        #expect(decode(text) == .failed(error))
        #expect(decode(text, pieceBytes: 1) == .failed(error))
        let shorter = decode(String(text.unicodeScalars.dropLast()))
        guard case .incomplete = shorter else {
            if text.unicodeScalars.count > 1 { Issue.record("\(shorter)") }
            return
        }
    }
    @Test(arguments: [
        "5;a", "5 ;a", "5\t; a", "5;a=b", "5;a = b", "5;a=\"\"", "5;a=\"b;\\\"c\" ;d", "5;a;b;c=d", "0000000000000005",
        "5;a=\"\u{80}\"",
    ]) func takesEachFormOfExtension(_ size: String) {
        #expect(decode(size + "\r\nhello\r\n0;z=\"y\"\r\n\r\n") == .complete("hello", left: 0))
        #expect(decode(size + "\r\nhello\r\n0;z=\"y\"\r\n\r\n", pieceBytes: 1) == .complete("hello", left: 0))
    }
    @Test func holdsTheLimitOfTheBodyBeforeItsData() {
        #expect(decode("5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n", bodyBytesMax: 10) == .complete("helloworld", left: 0))
        #expect(decode("5\r\nhello\r\n6\r", bodyBytesMax: 10) == .incomplete("hello"))
        #expect(decode("5\r\nhello\r\n6\r\n", bodyBytesMax: 10) == .failed(.bodyTooLarge))
        #expect(decode("1\r\n", bodyBytesMax: 0) == .failed(.bodyTooLarge))
        #expect(decode("0\r\n\r\n", bodyBytesMax: 0) == .complete("", left: 0))
    }
    @Test func sumsTheExtensionsOfAllChunks() {
        var limits = IngestLimits()
        limits.chunkExtensionBytesMax = 10
        #expect(decode(repeated("1;abcd\r\nx\r\n", 2) + "0\r\n\r\n", limits: limits) == .complete("xx", left: 0))
        #expect(decode(repeated("1;abcd\r\nx\r\n", 2) + "0;", limits: limits) == .failed(.badChunkExtension))
        #expect(decode("1;abcdefghi", limits: limits) == .incomplete(""))
        #expect(decode("1;abcdefghij", limits: limits) == .failed(.badChunkExtension))
    }
    @Test func boundsTheTrailersInBytesAndNumber() {
        var limits = IngestLimits()
        limits.trailerBytesMax = 12
        #expect(decode("0\r\nA: b\r\nC: d\r\n\r\n", limits: limits) == .complete("", left: 0))
        #expect(decode("0\r\nA: b\r\nC: de\r\n", limits: limits) == .failed(.trailersTooLarge))
        limits.trailerBytesMax = 1 << 16
        #expect(decode("0\r\n" + repeated("a:\r\n", 100) + "\r\n", limits: limits) == .complete("", left: 0))
        #expect(decode("0\r\n" + repeated("a:\r\n", 100) + "a", limits: limits) == .failed(.tooManyFields))
    }
}
