// Fields of forms, in both of their spellings, and JSON in a field.
import FastPath
import TestSupport
import Testing

@Suite struct FormFieldsTests {
    private let memory = CompiledMemory()
    private static let encoded = "application/x-www-form-urlencoded"

    private func select(_ place: String, _ body: String, _ type: String? = encoded) throws -> String? {
        let headers = type.map { [("Content-Type", $0)] } ?? []
        return try GuardedRequest(headers, body: Array(body.utf8)).select([place], in: memory)
    }

    @Test func findsAFieldByItsDecodedName() throws {
        for (body, value) in [
            ("id=1", "1"), ("a=b&id=x+y%26", "x y&"), ("%69d=1&id=2", "1"), ("id", nil), ("id=", nil), ("", nil),
            ("a=id=1", nil), ("i+d=1", nil), ("=1&&id=2", "2"), ("id=%", "%"),
        ] as [(String, String?)] {
            #expect(try select("form:id", body) == value, "\(body)")
        }
        #expect(try select("form:data[id]", "data%5Bid%5D=7") == "7")
    }

    @Test func onlyTheContentTypeMakesABodyAForm() throws {
        for type in [nil, "application/json", "text/plain", Self.encoded + "x"] {
            #expect(try select("form:id", "id=1", type) == nil)
        }
        for type in [Self.encoded + "; charset=utf-8", "Application/X-WWW-Form-URLEncoded"] {
            #expect(try select("form:id", "id=1", type) == "1")
        }
    }

    @Test func aBodyIsNoFormAndAJSONDocumentAtOnce() throws {
        for front in ["{", "[{", " \r\n{", "\u{FEFF}{"] {
            let url = front + #""id":"json","x":"&id=form&"}"#
            let part = multipart([(#"Content-Disposition: form-data; name="id""#, "1")])
            let parts = front + #""id":"json"}"# + "\r\n" + part
            for (body, type) in [(url, Self.encoded), (parts, multi)] {
                #expect(try select("form:id", body, type) == nil, "\(body)")
            }
            if front.last == "{", front.first != "[" { #expect(try select("json:$.id", url) == "json", "\(url)") }
        }
        #expect(try select("json:$.id", #"id=form&{"id":"json"}"#) == nil)
    }

    private func multipart(_ parts: [(String, String)], end: String = "--XX--\r\n") -> String {
        parts.map { "--XX\r\n\($0.0)\r\n\r\n\($0.1)\r\n" }.joined() + end
    }
    private let multi = "multipart/form-data; boundary=XX"

    @Test func findsAFieldOfSeveralParts() throws {
        let body = multipart([
            (#"Content-Disposition: form-data; name="file"; filename="token""#, "token=no"),
            (#"Content-Disposition: form-data; name="empty""#, ""),
            (#"content-disposition: form-data; NAME=bare"#, "a\r\n--X\r\nb"),
            ("X: y\r\nContent-Disposition: form-data; name=\"token\"\r\nContent-Type: text/plain", "a+b%41"),
        ])
        for (name, value) in [
            ("token", "a+b%41"), ("bare", "a\r\n--X\r\nb"), ("file", nil), ("empty", nil), ("X", nil),
        ] as [(String, String?)] {
            #expect(try select("form:\(name)", body, multi) == value, "\(name)")
            #expect(try select("form:\(name)", "preamble\r\n" + body, multi) == value, "\(name)")
        }
        #expect(try select("form:token", body, #"multipart/form-data; a=b; boundary="XX""#) == "a+b%41")
        #expect(try select("form:token", body, "multipart/form-data") == nil)
        #expect(try select("form:token", body, "multipart/form-data; boundary=YY") == nil)
        #expect(try select("form:token", body, "multipart/mixed; boundary=XX") == nil)
    }

    /// Cut anywhere it is a shorter form or none, and never reads past its end.
    @Test func takesABrokenFormAsFarAsItGoes() throws {
        let body = multipart([
            (#"Content-Disposition: form-data; name="a""#, "1"), (#"Content-Disposition: form-data; name="b""#, "2"),
        ])
        for count in 0..<body.utf8.count {
            let cut = String(decoding: Array(body.utf8)[..<count], as: UTF8.self)
            let (a, b) = (try select("form:a", cut, multi), try select("form:b", cut, multi))
            #expect(a == nil || a == "1")
            #expect(b == nil || b == "2" && a == "1")
        }
    }

    @Test func readsJSONInAField() throws {
        let payload = "payload=%7B%22type%22%3A%22view_submission%22%2C%22view%22%3A%7B%22id%22%3A%22V%5C%2F1%22%7D%7D"
        #expect(try select("form:payload.$.type", payload) == "view_submission")
        #expect(try select("form:payload.$.view.id", payload) == "V/1")
        #expect(try select("form:payload.$.missing", payload) == nil)
        #expect(try select("form:payload.$['type']", payload) == "view_submission")
        #expect(try select("form:payload.$[0].a", "payload=%5B%7B%22a%22%3A1%7D%5D") == "1")
        #expect(try select("form:payload.$.a", "payload=nothing") == nil)
        #expect(try select("form:payload.$.a", "payload=%7B%22a%22%3Anull%7D") == nil)
        // The next alternative counts where the first has no value.
        let request = GuardedRequest([("Content-Type", Self.encoded)], body: Array("command=%2Fdeploy".utf8))
        #expect(try request.select(["json:$.type", "form:payload.$.type", "form:command"], in: memory) == "/deploy")
    }
}
