// What a batch is made of, by itself: which events are due together, and what the body says of them.

import Engine
import FastPath
import Foundation
import Testing

/// In a reference, so that an expectation can change it.
private final class Window {
    private var window = BatchWindow()
    private let settings: BatchSettings
    init(events: Int = 3, within: Int = 1000, bytes: Int = 1024) {
        var settings = BatchSettings()
        (settings.events, settings.withinMillis, settings.bytes) = (events, within, bytes)
        self.settings = settings
    }
    func join(_ bytes: Int = 1, at now: Int64) -> Int64 { window.join(bytes, nowMillis: now, by: settings) }
    func fail(until due: Int64) -> Int64 { window.fail(until: due) }
    func taken(_ due: Int64) { window.taken(due) }
    var fullUntil: Int64 { window.fullUntil }
}

@Suite struct BatchWindowTests {
    @Test func whatComesWithinTheTimeIsDueTogether() {
        let window = Window()
        #expect(window.join(at: 100) == 1100 && window.join(at: 1099) == 1100 && window.fullUntil == 0)
        // That one is over.
        #expect(window.join(at: 1100) == 2100)
    }
    @Test func aFullOneGoesAndTheNextHasATimeOfItsOwn() {
        let window = Window()
        for _ in 0..<3 { #expect(window.join(at: 100) == 1100) }
        #expect(window.fullUntil == 1100)
        for _ in 0..<3 { #expect(window.join(at: 100) == 1101) }
        #expect(window.join(at: 100) == 1102 && window.fullUntil == 1101)
    }
    @Test func bytesFillItToo() {
        let window = Window(events: 100, bytes: 100)
        #expect(window.join(60, at: 0) == 1000 && window.fullUntil == 0)
        #expect(window.join(60, at: 0) == 1001 && window.fullUntil == 1000, "no room beside the first")
        #expect(window.join(5000, at: 0) == 1002 && window.fullUntil == 1002, "a large one alone")
    }
    @Test func whatHasFailedHasATimeOfItsOwn() {
        let window = Window()
        #expect(window.fail(until: 500) == 500 && window.fail(until: 500) == 501)
        window.taken(500)
        #expect(window.fail(until: 500) == 500)
    }
}

@Suite struct BatchBodyTests {
    private func item(
        _ body: String, lines: String = "Content-Type: application/json\r\n", type: String = "a.b"
    ) -> String {
        String(
            decoding: BatchBody.item(
                id: "evt_1", type: Array(type.utf8), source: Array("s".utf8), receivedAt: 1_700_000_000_000_000_000,
                fieldLines: Array(lines.utf8), body: Array(body.utf8)), as: UTF8.self)
    }
    private static let head = #"{"id":"evt_1","type":"a.b","source":"s","timestamp":"2023-11-14T22:13:20.000Z","#

    @Test func jsonStandsInDataAsItIs() {
        for body in [#"{"a":1.10,"b":[null]}"#, "7", #""text""#, "null", " [1] "] {
            #expect(item(body) == Self.head + "\"data\":\(body)}")
        }
        #expect(item("{\n \"a\" : 1\r\n}") == Self.head + "\"data\":{  \"a\" : 1  }}", "no line ends in it")
    }
    @Test func whatIsNotJSONGoesAsBase64() {
        let kind = "\"content_type\":\"application/json\","
        for body in ["", "no", "1 2", #"1},{"id":"x""#, #"1,"id":"x""#, #"1,"y":2"#, "\"a\nb\"", "{\"a\":\u{1}}"] {
            let base64 = Data(body.utf8).base64EncodedString()
            #expect(item(body) == Self.head + kind + "\"data_base64\":\"\(base64)\"}", "\(body)")
        }
        let packed = item("{}", lines: "Content-Encoding: gzip\r\n")
        #expect(packed == Self.head + #""content_encoding":"gzip","data_base64":"e30="}"#)
    }
    @Test func namesAreEscaped() throws {
        let text = item("{}", type: "a\"b\\\u{2}é")
        let read = try #require(JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(read["type"] as? String == "a\"b\\\u{2}é")
    }
    @Test func itemsAreAnArrayOrLines() {
        for (format, wanted) in [(BatchFormat.json, "[1,2]"), (.ndjson, "1\n2\n")] {
            var body = BatchBody(format)
            body.append(Array("1".utf8))
            body.append(Array("2".utf8))
            #expect(String(decoding: body.closed, as: UTF8.self) == wanted && body.count == 2)
        }
        let empty = BatchBody(.json)
        #expect(empty.has(roomFor: [1, 2], in: 5) && !empty.has(roomFor: [1, 2], in: 4))
    }
    @Test func anIDIsThatOfItsEvents() {
        func id(_ sequences: [UInt64], log: UInt64 = 1, endpoint: UInt32 = 1) -> String {
            BatchBody.id(logIdentity: log, endpoint: EndpointID(endpoint), sequences: sequences)
        }
        #expect(id([1, 2]) == id([1, 2]) && id([1, 2]).utf8.count == BatchBody.idBytes)
        let others = [id([1, 2]), id([1]), id([2, 1]), id([1, 2], log: 2), id([1, 2], endpoint: 2), id([1, 2, 3])]
        #expect(Set(others).count == others.count)
    }
}
