// Who sent a request and what it was sent to: behind trusted proxies, and in spite of clients that pretend to be behind
// some.
import FastPath
import TestSupport
import Testing

@Suite struct ForwardedRequestTests {
    struct Read: Equatable {
        var client: String?
        var origin: String
    }
    /// `trusted` are 10.0.0.0/8 and 2001:db8::/32; the request came from `peer`, nil for a local socket.
    private func read(
        _ fields: [String], peer: String? = "10.0.0.1", secure: Bool = false, trusts: Bool = true, local: Bool = false
    ) -> Read {
        let lines = (["Host: inner:8080"] + fields).map { $0 + "\r\n" }.joined()
        let bytes = Array("POST /in/x?y=1 HTTP/1.1\r\n\(lines)\r\n".utf8)
        let memory = CompiledMemory()
        let set = AddressSet([CIDR("10.0.0.0/8")!, CIDR("2001:db8::/32")!], takesLocal: local, in: memory)
        return bytes.withView { view in
            var parser = HeadParser()
            var head = RequestHead()
            var table = FieldTable()
            guard case .complete = parser.parse(view, into: &head, fields: &table, limits: IngestLimits()) else {
                return Read(client: "unreadable", origin: "")
            }
            let request = ForwardedRequest(
                bytes: view, head: head, fields: table, peer: peer.flatMap { IPAddress($0) }, isPeerSecure: secure,
                trusted: trusts ? set : nil)
            let room = GuardedBytes(capacity: ForwardedRequest.originBytesMax)
            let origin = request.writeOrigin(to: room.start(count: room.capacity)).text
            withExtendedLifetime(memory) {}
            return Read(client: request.client?.text, origin: origin)
        }
    }
    private let inner = "http://inner:8080"

    @Test func believesNobodyWhoIsNotTrusted() {
        let lies = [
            "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.example",
            "X-Forwarded-Port: 1", "Forwarded: for=192.0.2.1;proto=https;host=evil.example",
        ]
        #expect(read(lies, peer: "198.51.100.9") == Read(client: "198.51.100.9", origin: inner))
        #expect(read(lies, trusts: false) == Read(client: "10.0.0.1", origin: inner))
        #expect(read(lies, peer: nil) == Read(client: nil, origin: inner))
        #expect(read([]) == Read(client: "10.0.0.1", origin: inner))
        #expect(read([], secure: true).origin == "https://inner:8080")
    }
    @Test func takesTheWordOfATrustedProxy() {
        let common = ["X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: hooks.example"]
        #expect(read(common) == Read(client: "192.0.2.1", origin: "https://hooks.example"))
        #expect(read(common, peer: nil, local: true) == Read(client: "192.0.2.1", origin: "https://hooks.example"))
        #expect(read(["X-Forwarded-Proto: HTTPS"]) == Read(client: "10.0.0.1", origin: "https://inner:8080"))
        let standard = "Forwarded: For=\"[2001:db9::1]:4711\";proto=https;Host=\"hooks.example:8443\";by=10.0.0.1"
        #expect(read([standard]) == Read(client: "2001:db9::1", origin: "https://hooks.example:8443"))
        #expect(read(["forwarded: for=192.0.2.1:80; proto=http"]) == Read(client: "192.0.2.1", origin: inner))
    }
    @Test func writesThePortThatTheHostLacks() {
        let start = ["X-Forwarded-Proto: https", "X-Forwarded-Host: h.example"]
        #expect(read(start + ["X-Forwarded-Port: 8443"]).origin == "https://h.example:8443")
        #expect(read(start + ["X-Forwarded-Port: 443"]).origin == "https://h.example")
        #expect(read(["X-Forwarded-Host: h.example", "X-Forwarded-Port: 443"]).origin == "http://h.example:443")
        #expect(read(["X-Forwarded-Host: h.example:9", "X-Forwarded-Port: 8443"]).origin == "http://h.example:9")
        #expect(
            read(["X-Forwarded-Host: [2001:db8::1]", "X-Forwarded-Port: 81"]).origin == "http://[2001:db8::1]:81")
        for port in ["0", "65536", "08", "-1", "x", ""] {
            #expect(read(start + ["X-Forwarded-Port: \(port)"]).origin == "https://h.example", "\(port)")
        }
    }
    @Test func theFirstUntrustedHopFromTheRightIsTheClient() {
        #expect(read(["X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.9, 10.0.0.8"]).client == "192.0.2.1")
        #expect(read(["X-Forwarded-For: 1.1.1.1", "X-Forwarded-For: 192.0.2.1"]).client == "192.0.2.1")
        #expect(read(["X-Forwarded-For: 10.0.0.3, 10.0.0.2"]).client == "10.0.0.3")
        #expect(read(["X-Forwarded-For: 192.0.2.1,,"]).client == "192.0.2.1")
        // Two trusted hops: what the outer one saw, not what the inner one did.
        let two = read(["Forwarded: for=192.0.2.1;proto=https;host=h.example, for=10.0.0.7;proto=http;host=inner2"])
        #expect(two == Read(client: "192.0.2.1", origin: "https://h.example"))
        let lists = [
            "X-Forwarded-For: 192.0.2.1, 10.0.0.7", "X-Forwarded-Proto: https, http",
            "X-Forwarded-Host: h.example, i",
        ]
        #expect(read(lists) == Read(client: "192.0.2.1", origin: "https://h.example"))
    }
    /// What a client writes stands left of what the proxy adds.
    @Test func aClientCannotSmuggleThroughAProxyThatAppends() {
        let common = [
            "X-Forwarded-For: 10.0.0.5, 203.0.113.66", "X-Forwarded-Proto: https, http",
            "X-Forwarded-Host: evil.example, hooks.example",
        ]
        #expect(read(common) == Read(client: "203.0.113.66", origin: "http://hooks.example"))
        let standard = ["Forwarded: for=10.0.0.5;proto=https;host=evil.example, for=203.0.113.66;host=hooks.example"]
        #expect(read(standard) == Read(client: "203.0.113.66", origin: "http://hooks.example"))
        // A quote left open on the left must not swallow what the proxy wrote.
        #expect(read(["Forwarded: for=\"10.0.0.5, for=203.0.113.66"]).client == nil)
        #expect(read(["Forwarded: for=\"10.0.0.5", "Forwarded: for=203.0.113.66"]).client == "203.0.113.66")
        #expect(read(["Forwarded: for=\"a\\\", for=10.0.0.5\", for=203.0.113.66"]).client == "203.0.113.66")
    }
    /// A proxy passes the kind of field on that it does not write: then the two disagree, and nobody is believed.
    @Test func twoKindsThatDisagreeLeaveTheClientUnknown() {
        #expect(read(["X-Forwarded-For: 203.0.113.66", "Forwarded: for=192.0.2.1"]).client == nil)
        #expect(read(["X-Forwarded-For: 192.0.2.1", "Forwarded: for=203.0.113.66"]).client == nil)
        #expect(read(["X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1"]).client == "192.0.2.1")
        #expect(read(["X-Forwarded-For: 192.0.2.1", "Forwarded: proto=https"]).client == nil)
    }
    @Test func whatCannotBeReadIsUnknown() {
        for value in [
            "unknown", "_hidden", "192.0.2.256", "192.0.2.1.", "192.0.2.1:x", "[2001:db9::1", "[192.0.2.1]",
            "\u{e9}", "192.0.2.1 192.0.2.2", "192.0.2.1:123456",
        ] { #expect(read(["X-Forwarded-For: \(value)"]).client == nil, "\(value)") }
        for value in [
            "for=unknown", "for=_x", "for=192.0.2.1;for=192.0.2.2", "for", "=192.0.2.1", "for=", "for=\"192.0.2.1",
            "for=192.0.2.1;", "for=192.0.2.1 proto=https", "for=\"192.0.2.\\1\"",
            "proto=https;proto=http;for=192.0.2.1",
        ] { #expect(read(["Forwarded: \(value)"]).client == nil, "\(value)") }
        // A chain longer than anyone's.
        let long = "X-Forwarded-For: 192.0.2.1" + String(repeating: ", 10.0.0.9", count: 40)
        #expect(read([long]).client == nil)
    }
    @Test func noAuthorityButAHostWithItsPort() {
        for host in [
            "evil.example/path", "user@evil.example", "a b", "evil.example, ", "h.example:99999", ":80",
            "h.example#x", String(repeating: "h", count: 300),
        ] {
            let origin = read(["X-Forwarded-Host: \(host)"]).origin
            #expect(origin == inner || origin == "http://evil.example", "\(host): \(origin)")
            #expect(!origin.contains("@") && !origin.contains("path"))
        }
        for scheme in ["ftp", "javascript", "https:", "httpss"] {
            #expect(read(["X-Forwarded-Proto: \(scheme)"]).origin == inner, "\(scheme)")
        }
    }

    /// How far one walk to the leftmost element went, how many elements it gave, and whether they were too many.
    private func walk(_ values: [String]) -> (bytesRead: Int, count: Int, isMalformed: Bool) {
        let lines = values.map { "X-Forwarded-For: \($0)\r\n" }.joined()
        let bytes = Array("POST / HTTP/1.1\r\nHost: h\r\n\(lines)\r\n".utf8)
        return bytes.withView { view in
            var parser = HeadParser()
            var head = RequestHead()
            var table = FieldTable()
            guard case .complete = parser.parse(view, into: &head, fields: &table, limits: .widest) else {
                return (-1, 0, false)
            }
            var elements = FieldElements(table, .addresses)
            var count = 0
            while elements.previous(view, table) != nil { count += 1 }
            return (elements.bytesRead, count, elements.isMalformed)
        }
    }
    /// Each element was once looked for from the left again: 64 KiB of commas held a loop for two seconds.
    @Test func aWalkReadsEachByteOnce() {
        let most = FieldElements.countMax
        let full = Array(repeating: "10.0.0.9", count: most).joined(separator: ", ")
        #expect(walk([full]) == (full.utf8.count, most, false))
        #expect(walk([full + ","]).isMalformed)
        #expect(walk(["1.1.1.1", full]).isMalformed)
        let half = Array(repeating: "10.0.0.9", count: most / 2).joined(separator: ",")
        #expect(walk([half, half]) == (2 * half.utf8.count, most, false))
        let quoted = "\"" + String(repeating: ",\\\"", count: 5000) + "\", 10.0.0.9"
        #expect(walk([quoted]) == (quoted.utf8.count, 2, false))
        for value in [",", "a,", ", ", "10.0.0.9,"] {
            let long = String(repeating: value, count: 16_000 / value.utf8.count)
            let result = walk([long])
            #expect(result.isMalformed && result.count == 0, "\(value)")
            #expect(result.bytesRead <= (most + 1) * value.utf8.count, "\(value): \(result.bytesRead)")
        }
        let empty = walk(Array(repeating: "", count: 90))
        #expect(empty == (0, 0, true))
    }
    /// Empty elements count: nobody is the client of such a list, and the peer is not either.
    @Test func aListOfTooManyElementsLeavesTheClientUnknown() {
        let commas = String(repeating: ",", count: 100)
        #expect(read(["X-Forwarded-For: \(commas)"]).client == nil)
        #expect(read(["X-Forwarded-For: \(commas)192.0.2.1"]).client == nil)
        #expect(read(["X-Forwarded-For: 192.0.2.1\(commas)"]).client == nil)
        #expect(read(["Forwarded: \(commas)"]).client == nil)
        #expect(read(["Forwarded: \(commas)", "X-Forwarded-For: 192.0.2.1"]).client == nil)
        #expect(read(["X-Forwarded-For: 192.0.2.1,,,,,,,,"]).client == "192.0.2.1")
        // What is left of the line that names the client is not looked at.
        #expect(read(["X-Forwarded-For: \(commas)", "X-Forwarded-For: 192.0.2.1"]).client == "192.0.2.1")
        let host = ["X-Forwarded-Host: \(commas)evil.example", "X-Forwarded-Proto: \(commas)https"]
        #expect(read(host).origin == inner)
    }
}
