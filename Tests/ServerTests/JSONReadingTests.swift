// Bodies as JSON values: what RFC 8259 allows and nothing else; what is read in two ways or made to cost is refused, on
// every surface.
import Engine
import Foundation
import Server
import Testing

@Suite struct JSONReadingTests {
    private func problem(_ text: String) -> JSONProblem? { problem(Array(text.utf8)) }
    private func problem(_ bytes: [UInt8]) -> JSONProblem? {
        do throws(JSONProblem) {
            _ = try JSONReading.value(bytes)
            return nil
        } catch { return error }
    }

    @Test func valuesAreWhatTheyAre() throws {
        let text = ##"""
             { "a" : [ 1 , -2, 0, 1.5, 1e2, -0.25E-2, 9223372036854775808, 1.0 ],
            "b":{"":null,"t":true,"f":false}, "ä\u00e4\n\"\\\/\b\f\r\t": "\ud83d\ude00 😀", "e":[], "o":{} }
            """##
        let expected: JSONValue = [
            "a": [1, -2, 0, .number(1.5), 100, .number(-0.0025), .number(9_223_372_036_854_775_808), 1],
            "b": ["": .null, "t": true, "f": false], "ää\n\"\\/\u{8}\u{c}\r\t": "😀 😀", "e": [], "o": [:],
        ]
        #expect(try JSONReading.value(Array(text.utf8)) == expected)
        for (text, value) in [("7", JSONValue.integer(7)), ("\"x\"", "x"), (" null ", .null), ("[[]]", [[]])] {
            #expect(try JSONReading.value(Array(text.utf8)) == value)
        }
    }
    @Test func whatTheDecoderReadsIsReadAlike() throws {
        let texts = [
            #"{"a":1.0,"b":[0.1,123456789012345678]}"#, #"["\u0041\u00df\u6771\ud834\udd1e"]"#,
            #"{"n":{"m":{"l":[{},[],"",0]}}}"#,
        ]
        for text in texts {
            let decoded = try JSONDecoder().decode(JSONValue.self, from: Data(text.utf8))
            #expect(try JSONReading.value(Array(text.utf8)) == decoded, "\(text)")
        }
    }
    @Test func whatIsNoJSONIsRefused() {
        let wrong = [
            "", " ", "{", "[", "}", "[1,]", "[,1]", "{,}", #"{"a":1,}"#, #"{"a"}"#, #"{"a":}"#, "{a:1}", "[1 2]", "01",
            "-", "+1", ".5", "1.", "1e", "0x1", "NaN", "Infinity", "tru", "nulls", "'a'", #""a"#, "\"\n\"", #""\x""#,
            #""\u12""#, #""\ud800""#, #""\ud800\u0041""#, #""\udc00""#, #""\u+123""#, "[] []", "{} x", "// a\n1",
            "\u{FEFF}1",
        ]
        for text in wrong { #expect(problem(text) != nil, "\(text)") }
        #expect(problem([0x22, 0xFF, 0x22]) == .notUTF8)
        // Every truncation of what is whole is refused, and none reads beyond its end.
        let whole = Array(#"{"a":[1.5e3,"\u00e4x",true,null,{"b":false}]}"#.utf8)
        for count in 0..<whole.count { #expect(problem(Array(whole.prefix(count))) != nil, "\(count)") }
    }
    @Test func whatIsReadInTwoWaysOrMadeToCostIsRefused() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(problem(nested(64)) == nil && problem(nested(65)) == .tooDeep && problem(nested(100_000)) == .tooDeep)
        #expect(problem(String(repeating: #"{"a":"#, count: 1_000_000)) == .tooDeep)
        #expect(problem(#"{"a":1,"b":{"c":1,"c":1}}"#) == .repeated("c"))
        #expect(problem(#"{"a":1,"\u0061":2}"#) == .repeated("a"), "however it is written")
        #expect(problem(String(repeating: "9", count: 512)) == .numberOutOfRange)
        #expect(problem(String(repeating: "9", count: 513)) == .numberTooLong)
        #expect(problem("0." + String(repeating: "1", count: 1000)) == .numberTooLong)
        #expect(problem("1e" + String(repeating: "0", count: 1000)) == .numberTooLong)
        #expect(problem("1e999") == .numberOutOfRange)
    }
    /// Each body is right but for one thing, and is of a call that takes it otherwise.
    @Test func everySurfaceRefusesThem() async throws {
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        let digits = String(repeating: "7", count: 1000)
        try await ControlServer.run { server in
            let calls: [(String, String, String, [String], Set<Int>)] = [
                ("POST", "/api/v1/app", #""name":"a""#, [], [422]),
                ("POST", "/api/v1/app/app_1/msg", #""eventType":"a","payload":{}"#, [], [422]),
                ("POST", "/api/v1/event-type/import/openapi", #""spec":{}"#, [], [422]),
                ("POST", "/api/v1/events", #""type":"a","payload":{}"#, ["X-Sluice-Request: 1"], [400, 422]),
                ("POST", "/api/v1/tenants", #""name":"a""#, ["X-Sluice-Request: 1"], [400]),
                ("POST", "/api/v1/replays", #""event":"evt_1""#, ["X-Sluice-Request: 1"], [400]),
                ("POST", "/api/replay", #""event":"evt_1""#, ["X-Sluice-Request: 1"], [400]),
                ("POST", "/api/v1/webhooks", #""url":"http://h/""#, [], [400, 422]),
                ("POST", "/api/v1/operational_webhooks", #""url":"http://h/""#, [], [400, 422]),
            ]
            for (method, path, right, fields, statuses) in calls {
                let wrong = [#""x":\#(deep)"#, #""x":1,"x":1"#, #""x":\#(digits)"#]
                for one in wrong {
                    let body = "{\(right),\(one)}"
                    let type = ["Content-Type: application/json"]
                    let answer = try await server.send(method, path, fields + type, body, host: "127.0.0.1")
                    #expect(statuses.contains(answer.status), "\(path) \(one.prefix(20)): \(answer.status)")
                    let says = ["nested more than", "twice", "number of more than"]
                    #expect(says.contains { answer.body.contains($0) }, "\(path): \(answer.body.prefix(200))")
                }
            }
            #expect(server.gateway.calls.isEmpty)
        }
    }
}
