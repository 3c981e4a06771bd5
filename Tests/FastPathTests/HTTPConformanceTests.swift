// The cases of Tests/Fixtures/http through the codec, without a socket: whole, byte by byte, and cut at every place.
// The verdict is the case's, and the outcomes are the same however the bytes come.
import FastPath
import Foundation
import TestSupport
import Testing

struct HTTPCase: Decodable, Sendable, CustomTestStringConvertible {
    let id: String
    let expect: String
    let status: [Int]
    let allow: [Int]?
    let responses: Int?
    let close: CloseRule?
    let raw: String?
    let raw_gen: [Piece]?
    let body_len: Int?
    let prefer: String?

    struct Piece: Decodable, Sendable {
        let text: String
        let count: Int
        init(from decoder: any Decoder) throws {
            var values = try decoder.unkeyedContainer()
            text = HTTPCase.filled(try values.decode(String.self))
            if let number = try? values.decode(Int.self) {
                count = number
            } else {
                count = Int(HTTPCase.filled(try values.decode(String.self))) ?? -1
            }
        }
    }
    enum CloseRule: Decodable, Sendable {
        case must, any
        init(from decoder: any Decoder) throws {
            self = (try? decoder.singleValueContainer().decode(Bool.self)) == true ? .must : .any
        }
    }

    var testDescription: String { id }
    static let bodyBytesMax = IngestLimits().bodyBytesMax
    static func filled(_ text: String) -> String {
        text.replacingOccurrences(of: "{{P}}", with: "/in/test").replacingOccurrences(of: "{{H}}", with: "localhost")
            .replacingOccurrences(of: "{{MAX64K1}}", with: "\(bodyBytesMax / 65536 + 1)")
            .replacingOccurrences(of: "{{MAX1}}", with: "\(bodyBytesMax + 1)")
            .replacingOccurrences(of: "{{MAX}}", with: "\(bodyBytesMax)")
    }
    var bytes: [UInt8] {
        if let raw { return httpBytes(HTTPCase.filled(raw)) }
        return (raw_gen ?? []).flatMap { piece in
            let unit = httpBytes(piece.text)
            return Array((0..<piece.count).map { _ in unit }.joined())
        }
    }
    /// Why `outcomes` are not what the case expects; nil when they are.
    func fault(_ outcomes: [HTTPOutcome]) -> String? {
        let requestCount = outcomes.prefix { $0.isRequest }.count
        let error = outcomes.last?.error
        switch expect {
        case "accept", "framed":
            if let error, allow?.contains(error.status) == true { return nil }
            guard requestCount == responses ?? 1, outcomes.allSatisfy({ $0.isRequest }) else { return "\(outcomes)" }
            guard case .request(_, _, _, let body, let closes, _)? = outcomes.last else { return "nothing" }
            if case .must? = close, !closes { return "left open" }
            if let body_len, body.count != body_len { return "a body of \(body.count)" }
            return nil
        case "reject", "reject_or_close":
            guard let error, status.contains(error.status) else { return "\(outcomes)" }
            return requestCount == (responses ?? 1) - 1 ? nil : "\(requestCount) requests before the error"
        case "wait": return outcomes == [.incomplete] ? nil : "\(outcomes)"
        case "wait_or_reject":
            guard let error else { return outcomes == [.incomplete] ? nil : "\(outcomes)" }
            return status.contains(error.status) ? nil : "\(error)"
        case "either":
            if let error { return (status + (allow ?? []) + [400]).contains(error.status) ? nil : "\(error)" }
            return requestCount >= 1 ? nil : "\(outcomes)"
        case "expect100":
            guard outcomes == [.incomplete] else { return "\(outcomes)" }
            return nil
        default: return "an expectation that this test does not know: \(expect)"
        }
    }

    static func load(_ name: String) -> [HTTPCase] {
        let file = Repository.fixture("http/\(name).json")
        do {
            let data = try Data(contentsOf: file)
            if name == "limits" { return try JSONDecoder().decode(Limits.self, from: data).limits }
            return try JSONDecoder().decode([HTTPCase].self, from: data)
        } catch {
            fatalError("\(file.path()): \(error)")
        }
    }
    private struct Limits: Decodable { let limits: [HTTPCase] }
}

@Suite struct HTTPConformanceTests {
    static let own = HTTPCase.load("own")
    static let limits = HTTPCase.load("limits")
    /// Beyond this a case is fed whole, byte by byte, and cut near its ends only.
    static let everyCutBytesMax = 1500

    @Test func hasAllCases() {
        #expect(Self.own.count >= 270)
        #expect(Self.limits.count >= 35)
    }
    @Test(arguments: own) func givesTheExpectedVerdictHoweverTheBytesCome(_ httpCase: HTTPCase) {
        let bytes = httpCase.bytes
        let whole = httpOutcomes(bytes)
        #expect(httpCase.fault(whole) == nil)
        #expect(httpOutcomesBytewise(bytes) == whole)
        let cuts = bytes.count <= Self.everyCutBytesMax ? Array(0...bytes.count) : Array(0...100)
        for cut in cuts where httpOutcomes(bytes, cuts: [cut]) != whole {
            Issue.record("cut at \(cut): \(httpOutcomes(bytes, cuts: [cut])), whole: \(whole)")
        }
    }
    @Test(arguments: limits) func holdsTheLimits(_ httpCase: HTTPCase) {
        let bytes = httpCase.bytes
        let whole = httpOutcomes(bytes)
        #expect(httpCase.fault(whole) == nil)
        // Pieces as a receive buffer would bring them.
        #expect(httpOutcomes(bytes, cuts: Array(stride(from: 0, to: bytes.count, by: 4093))) == whole)
    }
    /// Where the cases leave it open, the risky ones are refused.
    @Test func refusesWhatTheCasesPreferRefused() {
        let ignored: Set = ["ex-unknown"]
        for httpCase in Self.own where httpCase.prefer == "reject" && !ignored.contains(httpCase.id) {
            let outcomes = httpOutcomes(httpCase.bytes)
            #expect(outcomes.first?.error != nil, "\(httpCase.id): \(outcomes)")
        }
    }
    @Test func leavesTheBytesBehindAGoodRequestAlone() {
        let good = httpBytes("POST /in/test HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nok")
        for httpCase in Self.own where httpCase.expect == "accept" {
            let outcomes = httpOutcomes(good + httpCase.bytes + good)
            #expect(outcomes.count == 2 + (httpCase.responses ?? 1), "\(httpCase.id): \(outcomes)")
            #expect(outcomes.first == outcomes.last && outcomes.last?.isRequest == true, "\(httpCase.id)")
        }
    }
}
