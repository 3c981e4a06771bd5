// Bodies behind a Content-Encoding: what comes out, that it has a bound, and that a signature over it is found.
import Engine
import FastPath
import Foundation
import TestSupport
import Testing

@Suite struct ContentDecodingTests {
    private func bytes(_ text: String) -> [UInt8] { TextEncoding.bytes(of: text, as: .base64) ?? [] }
    private let plain = Array(String(repeating: #"{"id":"evt_1","type":"order/created"}"#, count: 40).utf8)

    // Made by Python's gzip and zlib: `plain` with a dynamic code, "aaaa…" and "hello" with the fixed one, stored.
    @Test(arguments: ContentDecodingTests.rows) func decodesWhatLibrariesWrite(row: (String, String, String)) {
        let wanted =
            switch row.2 {
            case "plain": plain
            case "300 a": [UInt8](repeating: 0x61, count: 300)
            default: Array(row.2.utf8)
            }
        #expect(ContentDecoding.decoded(bytes(row.1), coding: row.0, bytesMax: 1 << 20) == wanted)
        // A bound below what would come out gives nothing; so does every stream that is cut off.
        #expect(ContentDecoding.decoded(bytes(row.1), coding: row.0, bytesMax: wanted.count - 1) == nil)
        let data = bytes(row.1)
        let trailer = row.0 == "gzip" ? 8 : 4
        for count in 0..<max(data.count - trailer, 0) {
            #expect(ContentDecoding.decoded(Array(data[..<count]), coding: row.0, bytesMax: 1 << 20) == nil, "\(count)")
        }
    }

    @Test func nothingThatIsNoStreamDecodes() {
        var random = SeededRandom(5)
        for _ in 0..<2000 {
            let noise = (0..<64).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let out = ContentDecoding.decoded(noise, coding: "deflate", bytesMax: 4096)
            #expect((out?.count ?? 0) <= 4096)
        }
        #expect(ContentDecoding.decoded([1, 2, 3], coding: "br", bytesMax: 10) == nil)
        #expect(ContentDecoding.decoded([], coding: "gzip", bytesMax: 10) == nil)
    }

    private func source(_ coding: String?) -> SourceConfiguration {
        var source = SourceConfiguration()
        source.name = "s"
        source.secrets = [SourceSecret("key")]
        var scheme = SchemeConfiguration()
        scheme.header = "X-Sig"
        scheme.contentCoding = coding
        source.scheme = scheme
        return source
    }
    private func verify(_ source: SourceConfiguration, _ body: [UInt8], signed: [UInt8], coding: String?) -> Bool {
        let memory = CompiledMemory()
        defer { withExtendedLifetime(memory) {} }
        let signature = SigningKey(secret: Array("key".utf8), algorithm: .sha256, in: memory).mac(over: signed)
        let line = coding.map { "Content-Encoding: \($0)\r\n" } ?? ""
        let head = "POST /in/s HTTP/1.1\r\nHost: h\r\nX-Sig: \(TextEncoding.hex(signature))\r\n\(line)"
        let raw = Array("\(head)Content-Length: \(body.count)\r\n\r\n".utf8) + body
        let outcome = VectorRunner.verify(source: source, origin: nil, now: 1, rawRequest: raw, engine: .openssl)
        if case .accepted = outcome { return true }
        return false
    }

    @Test func aSourceSaysThatTheDecodedBodyIsSigned() throws {
        let gzip = bytes(ContentDecodingTests.rows[0].1)
        #expect(verify(source("decoded"), gzip, signed: plain, coding: "gzip"))
        #expect(!verify(source("decoded"), gzip, signed: gzip, coding: "gzip"))
        #expect(verify(source("decoded"), plain, signed: plain, coding: nil))
        #expect(!verify(source(nil), gzip, signed: plain, coding: "gzip"))
        #expect(verify(source(nil), gzip, signed: gzip, coding: "gzip"))
        #expect(try SourceCompiler.compile(source("decoded")).verifier != nil)
        #expect(try SourceCompiler.compile(source(nil)).verifier == nil)
    }

    static let rows: [(String, String, String)] = [
        (
            "gzip",
            "H4sIAAAAAAACA6tWykxRslJKLSuJN1TSUSqpLEgFcvOLUlKL9JOLUhNLUlOU"
                + "aqtHFY0qGlU0qmhU0WBVBACCyWIQyAUAAA==", "plain"
        ),
        ("deflate", "eNqrVspMUbJSSi0riTdU0lEqqSxIBXLzi1JSi/STi1ITS1JTlGqrRxWNKhpVNKpoVNFgVQQAyUjo+A==", "plain"),
        ("deflate", "q1bKTFGyUkotK4k3VNJRKqksSAVy84tSUov0k4tSE0tSU5Rqq0cVjSoaVTSqaFTRYFUEAA==", "plain"),
        ("gzip", "H4sIAAAAAAACA8tIzcnJBwCGphA2BQAAAA==", "hello"),
        ("deflate", "eNrLSM3JyQcABiwCFQ==", "hello"),
        ("gzip", "H4sIAAAAAAAEAwEFAPr/aGVsbG+GphA2BQAAAA==", "hello"),
        ("deflate", "eNpLTBwFxAIA2KhxrQ==", "300 a"),
    ]
}
