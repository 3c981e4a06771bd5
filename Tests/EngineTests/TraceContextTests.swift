// `traceparent` and `tracestate` of a request, by the cases of W3C Trace Context and its validation suite.

import Engine
import FastPath
import Testing

@Suite struct TraceContextTests {
    private static let right = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    private func read(_ lines: String) -> TraceContext? { Array(lines.utf8).withView { TraceContext(lines: $0) } }
    private func value(_ text: String) -> TraceContext? { Array(text.utf8).withView { TraceContext(value: $0) } }

    @Test func takesOneApart() {
        let context = value(Self.right)
        #expect(context?.trace == TraceID(high: 0x0AF7_6519_16CD_43DD, low: 0x8448_EB21_1C80_319C))
        #expect(context?.trace.hex == "0af7651916cd43dd8448eb211c80319c")
        #expect(context?.parent == 0xB7AD_6B71_6920_3331 && context?.isSampled == true)
        #expect(value(String(Self.right.dropLast()) + "0")?.isSampled == false)
        #expect(value(String(Self.right.dropLast(2)) + "ff")?.isSampled == true, "unknown flags are let be")
    }
    @Test func whatAPublisherSaysBecomesFieldLines() {
        let parent = "traceparent: \(Self.right)\r\n"
        #expect(TraceContext.lines(parents: [Self.right], states: []) == parent)
        let states = ["a=1", "", "b=2"]
        #expect(TraceContext.lines(parents: [Self.right], states: states) == parent + "tracestate: a=1,b=2\r\n")
        let later = "01" + Self.right.dropFirst(2) + "-more"
        #expect(TraceContext.lines(parents: [later], states: []) == "traceparent: \(later)\r\n")
        let long = String(repeating: "x", count: 513)
        #expect(TraceContext.lines(parents: [Self.right], states: [long]) == parent, "no more has to be passed on")
        #expect(TraceContext.lines(parents: [Self.right], states: ["a=1\r\nX: y"]) == parent)
        for parents in [[], [Self.right, Self.right], ["nonsense"], [later + String(repeating: "-x", count: 120)]] {
            #expect(TraceContext.lines(parents: parents, states: ["a=1"]).isEmpty, "\(parents)")
        }
        #expect(TraceContext.lines(parents: [later + "\r\nX: y"], states: []).isEmpty)
    }
    /// The right one with other text at a place.
    private static func changed(_ text: String, at place: Int) -> String {
        var bytes = Array(right.utf8)
        bytes.replaceSubrange(place..<place + text.utf8.count, with: Array(text.utf8))
        return String(decoding: bytes, as: UTF8.self)
    }
    private static let zeros = String(repeating: "0", count: 32)
    static let wrong: [String] = [
        "", "00", String(right.dropLast()), "\(right)0", "\(right)-", "\(right)-more", right.uppercased(), " \(right)",
        changed("ff", at: 0), changed("0g", at: 0), changed("_", at: 2), changed(zeros, at: 3),
        changed(String(zeros.prefix(16)), at: 36), changed(".", at: 34), changed("_", at: 35), changed(".", at: 51),
        changed(".", at: 52), changed("x", at: 54), changed("A", at: 3), changed("B", at: 36), changed("F", at: 54),
    ]
    @Test(arguments: TraceContextTests.wrong)
    func refusesWhatIsNone(text: String) { #expect(value(text) == nil) }
    @Test func laterVersionsAreReadAsFarAsThisOneGoes() {
        let later = Self.changed("cc", at: 0)
        #expect(value(later)?.trace.low == 0x8448_EB21_1C80_319C)
        #expect(value(later + "-what-the-future-will-be")?.isSampled == true)
        #expect(value(later + ".what") == nil)
    }
    @Test func isFoundAmongOtherLines() {
        let line = "TraceParent:\t \(Self.right)  \r\n"
        #expect(read("Host: a\r\n" + line + "X: y\r\n") == value(Self.right))
        #expect(read("traceparent:\(Self.right)\r\n") == value(Self.right))
        #expect(read("X-traceparent: \(Self.right)\r\ntraceparents: \(Self.right)\r\n") == nil)
        #expect(read(line + line) == nil, "said twice is not said")
        #expect(read(line + "traceparent: nothing\r\n") == nil)
        #expect(read("") == nil && read("t") == nil && read("traceparent") == nil && read("traceparent:") == nil)
    }
    @Test func statesOfSeveralLinesAreOneList() {
        func state(_ lines: String) -> String { Array(lines.utf8).withView { TraceContext.state(in: $0) } }
        #expect(state("tracestate: a=1,b=2\r\nX: y\r\nTraceState: c=3\r\ntracestate:\r\n") == "a=1,b=2,c=3")
        #expect(state("X: y\r\n") == "")
        #expect(state("tracestate: " + String(repeating: "a", count: 512) + "\r\n").utf8.count == 512)
        #expect(state("tracestate: " + String(repeating: "a", count: 513) + "\r\n") == "")
    }
    @Test func whatIsWrittenIsRead() {
        let context = TraceContext(trace: TraceID(high: 1, low: 0xFF), parent: 7, flags: 0xFF)
        let line = String(decoding: context.line(span: 0xA), as: UTF8.self)
        #expect(line == "traceparent: 00-000000000000000100000000000000ff-000000000000000a-03\r\n")
        #expect(line.utf8.count == TraceContext.lineBytes)
        #expect(read(line) == TraceContext(trace: context.trace, parent: 0xA, flags: 3))
    }
    @Test func aLineOfTheEndpointsOwnIsSeen() {
        #expect(TraceContext.isNamed(in: Array("Authorization: x\r\nTraceParent: mine\r\n".utf8)))
        #expect(!TraceContext.isNamed(in: Array("X-Traceparent: mine\r\n".utf8)))
        #expect(!TraceContext.isNamed(in: []))
    }
}
