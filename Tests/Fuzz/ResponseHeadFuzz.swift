// The head of an answer: the same whole, byte by byte and cut anywhere; where its end is in doubt it closes and has no
// body.
import FastPath

enum ResponseHeadFuzz {
    private struct Facts: Equatable {
        var numbers: [Int]
        var body: ResponseHead.Body
        var flags: [Bool]
        var retryAfter: ResponseHead.RetryAfter?

        init(_ head: ResponseHead) {
            numbers = [head.byteCount, head.status, Int(head.versionMinor)]
            (body, flags, retryAfter) = (head.body, [head.closes, head.isDoubtful], head.retryAfter)
        }
    }
    private enum Outcome: Equatable {
        case incomplete, failed
        case complete(Facts)
    }

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        for (isHead, headBytesMax) in [(false, 16_384), (true, 16_384), (false, 96)] {
            try withExactBytes(input) { bytes throws(FuzzFinding) in
                let whole = parse(bytes, cuts: [], isHead, headBytesMax)
                let byByte = parse(bytes, cuts: Array(1..<max(bytes.count, 1)), isHead, headBytesMax)
                try hold(byByte == whole, "byte by byte \(byByte), whole \(whole)")
                let split = parse(bytes, cuts: [cut(of: input)], isHead, headBytesMax)
                try hold(split == whole, "cut at \(cut(of: input)): \(split), whole \(whole)")
                guard case .complete(let facts) = whole else { return }
                let (status, end) = (facts.numbers[1], facts.numbers[0])
                try hold((100...999).contains(status), "status \(status)")
                try hold(bytes.slice(end - 4, 4).equals("\r\n\r\n"), "the head ends elsewhere than at an empty line")
                try hold(end <= headBytesMax, "longer than its limit")
                if facts.body == .untilClose || facts.flags[1] {
                    try hold(facts.flags[0], "its end is unknown and its connection stays")
                }
                if isHead || facts.flags[1] { try hold(facts.body == .none, "a body that nobody may read") }
            }
        }
    }

    private static func parse(_ bytes: ByteView, cuts: [Int], _ isHead: Bool, _ headBytesMax: Int) -> Outcome {
        var parser = ResponseParser()
        var fields = FieldTable()
        for count in cuts + [bytes.count] {
            let result = parser.parse(
                bytes.slice(0, count), isHead: isHead, fields: &fields, headBytesMax: headBytesMax)
            switch result {
            case .incomplete: continue
            case .failed: return .failed
            case .complete(let head): return .complete(Facts(head))
            }
        }
        return .incomplete
    }
}
