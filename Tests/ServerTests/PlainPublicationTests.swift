// What the ingest loop reads of an event's body by itself, held against what the control API reads of it.
import FastPath
import Foundation
import Server
import TestSupport
import Testing

@Suite struct PlainPublicationTests {
    private func plain(_ text: [UInt8]) -> (type: String, payload: [UInt8], eventID: String?)? {
        text.withView { view in
            PlainPublication(view).map { found in
                let id = view.slice(found.eventID).text
                return (view.slice(found.type).text, view.slice(found.payload).array, id.isEmpty ? nil : id)
            }
        }
    }
    /// True when the loop takes it; then the control API takes it too, and finds the same.
    private func agrees(_ text: [UInt8]) -> Bool {
        guard let found = plain(text) else { return false }
        guard let order = try? PublishOrder(json: text) else {
            Issue.record("only the loop takes \(String(decoding: text, as: UTF8.self))")
            return true
        }
        #expect(order.type == found.type && order.body == found.payload && order.eventId == found.eventID)
        #expect(order.channels.isEmpty && order.tags.isEmpty && order.contentType == "application/json")
        return true
    }

    @Test(arguments: [
        #"{"type":"a.b/c:d_e-9","payload":{"x":[1,-2.5e+7,0,true,false,null,"t\u00e4\n\\\"/"],"y":{}}}"#,
        #"  { "event_id" : "inv-1" , "payload" : "x" , "type" : "t" } "#,
        #"{"payload":[],"type":"t"}"#, #"{"type":"t","payload":0}"#, #"{"type":"t","payload":[[[[{"a":{}}]]]]}"#,
    ]) func whatIsPlainIsTaken(text: String) { #expect(agrees(Array(text.utf8))) }

    @Test(arguments: [
        "", "{}", "[]", #"{"type":"t"}"#, #"{"payload":1}"#, #"{"type":"t","payload":1"#, #"{"type":"t","payload":1}x"#,
        #"{"type":"","payload":1}"#, #"{"type":"a b","payload":1}"#, #"{"type":"t","payload":1,"event_id":""}"#,
        #"{"type":"t","payload":1,"event_id":"a/b"}"#, #"{"type":"t","payload":1,"event_id":null}"#,
        #"{"type":"t","payload":1,"type":"u"}"#, #"{"type":"t","payload":1,"payload":2}"#,
        #"{"type":"t","payload":1,"tags":[]}"#, #"{"type":"t","payload":01}"#, #"{"type":"t","payload":1.}"#,
        #"{"type":"t","payload":-}"#, #"{"type":"t","payload":tru}"#, #"{"type":"t","payload":"\x"}"#,
        #"{"type":"t","payload":"\u12g4"}"#, #"{"type":"t","payload":[1,]}"#, #"{"type":"t","payload":{"a"}}"#,
        #"{"type":"t","payload":{,}}"#, #"{"t\u0079pe":"t","payload":1}"#, #"{"type":"t","payload":"ä"}"#,
        "{\"type\":\"t\",\"payload\":\"\n\"}", "{\"type\":\"t\",\"payload\":\"\u{0}\"}",
    ]) func whatIsNotPlainIsLeftToAWorker(text: String) { #expect(plain(Array(text.utf8)) == nil) }

    @Test func itsBoundsAreThoseOfTheControlAPI() {
        func nested(_ depth: Int) -> String {
            "{\"type\":\"t\",\"payload\":" + String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
                + "}"
        }
        let tooLong = String(repeating: "x", count: PlainPublication.bytesMax)
        for (text, isTaken) in [
            (nested(63), true), (nested(65), false),
            ("{\"type\":\"t\",\"payload\":" + String(repeating: "7", count: 512) + "}", true),
            ("{\"type\":\"t\",\"payload\":" + String(repeating: "7", count: 513) + "}", false),
            ("{\"type\":\"\(String(repeating: "t", count: 256))\",\"payload\":1}", true),
            ("{\"type\":\"\(String(repeating: "t", count: 257))\",\"payload\":1}", false),
            ("{\"type\":\"t\",\"payload\":\"\(tooLong)\"}", false),
        ] { #expect(agrees(Array(text.utf8)) == isTaken, "\(text.prefix(60))") }
    }

    @Test func ofManyMistakesItTakesNoneThatTheControlAPIRefuses() {
        var random = SeededRandom(0x5EED)
        let alphabet = Array(#"{}[]",:\ tn0-1.eEuab"#.utf8) + [0, 0x0A, 0x1F, 0x7F, 0x80, 0xC3, 0xFF]
        let base = Array(#"{"type":"a.b","payload":{"k":[1,2.5,"\n",true,null],"m":{"n":-3e7}},"event_id":"i"}"#.utf8)
        var takenCount = 0
        for _ in 0..<20_000 {
            var text = base
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<text.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: text[place] = alphabet.randomElement(using: &random) ?? 0
                case 1: text.insert(alphabet.randomElement(using: &random) ?? 0, at: place)
                default: text.remove(at: place)
                }
            }
            if agrees(text) { takenCount += 1 }
        }
        // Enough of them are still publications for this to say something.
        #expect(takenCount > 500)
    }
}
