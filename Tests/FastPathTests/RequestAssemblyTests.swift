// Requests put together from pieces: the same request, with the same fields, however the pieces fall and whoever used
// the loop's field table in between; and no more memory than what came deserves.

import FastPath
import TestSupport
import Testing

/// `#expect` cannot hold a call that changes its value.
private func check<T: Equatable>(
    _ value: T, _ expected: T, sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(value == expected, sourceLocation: sourceLocation)
}

/// One assembly with an arena of its own, fed as a loop feeds it.
private struct Bench: ~Copyable {
    var assembly = RequestAssembly()
    var arena: BuddyArena
    var fields = FieldTable()
    private let limits = IngestLimits()

    init(arenaBytes: Int = 256 << 10) throws { arena = try BuddyArena(byteCount: arenaBytes, blockBytesMax: 64 << 10) }

    var usedBytes: Int { arena.byteCount - arena.freeBytes }

    struct Request: Equatable {
        var head: String
        var body: String
        var fields: [String]
    }
    /// What a request of another connection leaves in the table.
    private mutating func useTableForAnother() {
        fields.removeAll()
        _ = fields.append(
            HeaderField(name: ByteRange(start: 0, count: 1), value: ByteRange(start: 1, count: 1), hash: 1))
    }
    /// The requests that are complete when `bytes` have come, and why the last one is not.
    mutating func feed(_ bytes: [UInt8], _ found: inout [Request]) -> AssemblyStep {
        useTableForAnother()
        let isKept = bytes.withUnsafeBufferPointer { assembly.append($0.baseAddress!, $0.count, &arena) }
        #expect(isKept)
        while true {
            let step = assembly.advance(&fields, &arena, limits)
            switch step {
            case .head: assembly.route(bodyBytesMax: 50_000, discards: false)
            case .request:
                found.append(request())
                assembly.nextRequest(&arena)
                if !assembly.hasInput { return .more }
            default: return step
            }
        }
    }
    private func request() -> Request {
        let bytes = ByteView(assembly.base(arena), count: assembly.head.byteCount)
        let lines = (0..<fields.count).map { index in
            let field = fields[index]
            let name = HeaderName(bytes.slice(field.name).text)
            #expect(name.hash == field.hash)
            return "\(bytes.slice(field.name).text)=\(bytes.slice(field.value).text)"
        }
        return Request(head: bytes.text, body: assembly.body(arena).text, fields: lines)
    }
}

private let requests = [
    "POST /a?q=1 HTTP/1.1\r\nHost: a\r\nX-Long-Name:   value with blanks  \r\nContent-Length: 5\r\n\r\nhello",
    "POST /b HTTP/1.0\r\n\r\n",
    "POST /c HTTP/1.1\r\nHost: b\r\nEmpty:\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n",
    "GET /d HTTP/1.1\r\nHost: c\r\n\r\n",
]

struct RequestAssemblyTests {
    @Test func findsTheSameRequestsHoweverThePiecesFall() throws {
        let stream = Array(requests.joined().utf8)
        var whole: [Bench.Request] = []
        var bench = try Bench()
        check(bench.feed(stream, &whole), .more)
        #expect(whole.map(\.body) == ["hello", "", "abcde", ""])
        #expect(whole[0].fields == ["Host=a", "X-Long-Name=value with blanks", "Content-Length=5"])
        #expect(whole[1].fields.isEmpty)
        for size in 1...stream.count {
            var pieces: [Bench.Request] = []
            var other = try Bench()
            for begin in stride(from: 0, to: stream.count, by: size) {
                _ = other.feed(Array(stream[begin..<min(begin + size, stream.count)]), &pieces)
            }
            #expect(pieces == whole, "in pieces of \(size)")
            check(other.usedBytes, 0)
        }
    }
    @Test func aPromiseTakesNoMoreThanFourTimesWhatCame() throws {
        var bench = try Bench()
        var found: [Bench.Request] = []
        let head = Array("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n".utf8)
        check(bench.feed(head, &found), .more)
        check(bench.usedBytes, BuddyArena.unitBytes)
        check(bench.feed([UInt8](repeating: 0x61, count: 9000), &found), .more)
        check(bench.usedBytes <= 64 << 10, true)
        check(bench.feed([UInt8](repeating: 0x61, count: 31_000), &found), .more)
        #expect(found.map(\.body.utf8.count) == [40_000])
        check(bench.usedBytes, 0)
    }
    @Test func saysWhatIsWrongWhereverItWasCut() throws {
        let bad: [(String, HTTPError)] = [
            ("POST /a HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n\r\n", .badFieldName),
            ("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", .duplicateContentLength),
            ("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", .badChunkSize),
            ("POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", .bodyTooLarge),
        ]
        for (text, error) in bad {
            let bytes = Array(text.utf8)
            for cut in 1..<bytes.count {
                var bench = try Bench()
                var found: [Bench.Request] = []
                var step = bench.feed(Array(bytes[..<cut]), &found)
                if step == .more { step = bench.feed(Array(bytes[cut...]), &found) }
                #expect(step == .failed(error), "\(error) cut at \(cut)")
            }
        }
    }
    @Test func emptyLinesBeginNothing() throws {
        var bench = try Bench()
        var found: [Bench.Request] = []
        check(bench.feed([13, 10], &found), .emptyLines)
        check(bench.feed([13, 10], &found), .emptyLines)
    }
}
