// The head of a request: the same answer whole, byte by byte and cut anywhere; what is read of it, written down again,
// is what came; and one reading of its length.
import FastPath

enum RequestHeadFuzz {
    private struct Facts: Equatable {
        var numbers: [Int] = []
        var ranges: [ByteRange] = []
        var flags: [Bool] = []
        var method = Method.other
        var fields: [[UInt32]] = []

        init(_ head: RequestHead, _ table: borrowing FieldTable) {
            numbers = [head.byteCount, Int(head.versionMinor), head.contentLength]
            ranges = [head.methodRange, head.target, head.path, head.query, head.fieldLines, head.host]
            flags = [head.isChunked, head.closes, head.expectsContinue]
            method = head.method
            for index in 0..<table.count {
                let field = table[index]
                fields.append(
                    [field.name.start, field.name.count, field.value.start, field.value.count, field.hash])
            }
        }
    }
    private enum Outcome: Equatable {
        case incomplete
        case failed(HTTPError)
        case complete(Facts)
    }

    /// The usual limits, and some that an input meets.
    private static let limits: [IngestLimits] = {
        var narrow = IngestLimits()
        (narrow.requestLineBytesMax, narrow.headBytesMax, narrow.fieldCountMax) = (48, 160, 4)
        narrow.leadingEmptyLinesMax = 1
        return [IngestLimits(), narrow]
    }()

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        for limits in limits {
            try withExactBytes(input) { bytes throws(FuzzFinding) in
                let whole = parse(bytes, cuts: [], limits, keepsFields: true)
                for keepsFields in [true, false] {
                    let byByte = parse(bytes, cuts: Array(1..<max(bytes.count, 1)), limits, keepsFields: keepsFields)
                    try hold(byByte == whole, "byte by byte \(byByte), whole \(whole), keeps \(keepsFields)")
                }
                let split = parse(bytes, cuts: [cut(of: input)], limits, keepsFields: true)
                try hold(split == whole, "cut at \(cut(of: input)): \(split), whole \(whole)")
                if case .complete(let facts) = whole { try check(facts, bytes) }
            }
        }
    }

    /// As a connection feeds it: what is there up to each cut, then all.
    private static func parse(_ bytes: ByteView, cuts: [Int], _ limits: IngestLimits, keepsFields: Bool) -> Outcome {
        var parser = HeadParser()
        var head = RequestHead()
        var fields = FieldTable()
        for count in cuts + [bytes.count] {
            let result = parser.parse(
                bytes.slice(0, count), into: &head, fields: &fields, limits: limits, keepsFields: keepsFields)
            switch result {
            case .incomplete: continue
            case .failed(let error): return .failed(error)
            case .complete: return .complete(Facts(head, fields))
            }
        }
        return .incomplete
    }

    private static func check(_ facts: Facts, _ bytes: ByteView) throws(FuzzFinding) {
        let end = facts.numbers[0]
        var start = 0
        while bytes.slice(start, 2).equals("\r\n") { start += 2 }
        let (method, target, path, query, lines) = (
            facts.ranges[0], facts.ranges[1], facts.ranges[2], facts.ranges[3], facts.ranges[4]
        )
        var written = bytes.slice(method).array + [0x20] + bytes.slice(target).array
        written += Array(" HTTP/1.".utf8) + [bytes[target.end + 8]] + [0x0D, 0x0A]
        written += bytes.slice(lines).array + [0x0D, 0x0A]
        try hold(written == bytes.slice(start, end - start).array, "what was read is not what came")
        for part in [path, query] where !part.isEmpty {
            try hold(part.start >= target.start && part.end <= target.end, "a path outside of its target")
        }
        try hold(!facts.flags[0] || facts.numbers[2] == 0, "a length beside a coding")
        for field in facts.fields {
            let value = bytes.slice(Int(field[2]), Int(field[3])).array
            for edge in [value.first, value.last] {
                try hold(edge != 0x20 && edge != 0x09, "white space around a value")
            }
            try hold(!value.contains { $0 == 0x0D || $0 == 0x0A || $0 == 0 }, "a control character in a value")
            try hold(field[1] > 0, "a field without a name")
        }
    }
}
