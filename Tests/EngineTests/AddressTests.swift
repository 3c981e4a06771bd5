// Addresses and endpoint URLs: the edges of every refused range, the spellings that parsers disagree about.

import Engine
import FastPath
import Testing

private func neighbours(_ range: CIDR) -> (before: IPAddress?, last: IPAddress, after: IPAddress?) {
    let hostBits = range.base.bitCount - range.prefixBits
    func ones(_ bits: Int) -> UInt64 { bits <= 0 ? 0 : bits >= 64 ? .max : (1 << UInt64(bits)) - 1 }
    let (high, low) = (range.base.high, range.base.low)
    if range.base.family == .v4 {
        let last = low | ones(hostBits)
        return (
            low == 0 ? nil : IPAddress(v4: UInt32(low - 1)), IPAddress(v4: UInt32(last)),
            last == 0xFFFF_FFFF ? nil : IPAddress(v4: UInt32(last + 1))
        )
    }
    let last = IPAddress(v6High: high | ones(hostBits - 64), low: low | ones(min(hostBits, 64)))
    let before = high == 0 && low == 0 ? nil : IPAddress(v6High: low == 0 ? high - 1 : high, low: low &- 1)
    let isEnd = last.high == .max && last.low == .max
    let after = isEnd ? nil : IPAddress(v6High: last.low == .max ? last.high + 1 : last.high, low: last.low &+ 1)
    return (before, last, after)
}

@Test func everySpecialRangeIsRefusedFromItsFirstToItsLastAddress() throws {
    let rules = try AddressRules(allow: [])
    let table = AddressRules.special4 + AddressRules.special6
    for (range, _) in table {
        let edges = neighbours(range)
        #expect(rules.refusal(of: range.base) != nil, "first of \(range)")
        #expect(rules.refusal(of: edges.last) != nil, "last of \(range)")
        for outside in [edges.before, edges.after].compactMap({ $0 }) {
            let isListed = table.contains { $0.0.contains(outside) }
            let isGlobal = outside.family == .v4 || outside.high >> 61 == 1
            #expect((rules.refusal(of: outside) == nil) == (!isListed && isGlobal), "beside \(range): \(outside.text)")
        }
    }
}

/// Independent of the table: what smokescreen, Svix and the IANA registries refuse, spelled out.
@Test(arguments: [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "100.100.100.200", "127.0.0.1",
    "127.255.255.254", "169.254.0.1", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192",
    "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1",
    "::ffff:8.8.8.8",
    "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "2002:7f00:1::", "2001::1", "fe80::1",
    "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "3fff::1", "100::1", "5f00::1", "4000::1",
])
func refuses(_ text: String) throws {
    let address = try #require(IPAddress(text))
    #expect(try AddressRules(allow: []).refusal(of: address) != nil)
}

@Test(arguments: [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
    "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
    "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::8a", "2001:4860:4860::8888", "2003::1",
])
func allows(_ text: String) throws {
    let address = try #require(IPAddress(text))
    #expect(try AddressRules(allow: []).refusal(of: address) == nil)
}

@Test func anOpenedRangeOpensItselfAndNoMetadata() throws {
    let rules = try AddressRules(allow: ["127.0.0.0/8", "169.254.0.0/16", "::1/128"])
    #expect(rules.refusal(of: IPAddress("127.0.0.1")!) == nil)
    #expect(rules.refusal(of: IPAddress("::ffff:127.0.0.1")!) == nil)
    #expect(rules.refusal(of: IPAddress("::1")!) == nil)
    #expect(rules.refusal(of: IPAddress("10.0.0.1")!) == .privateUse)
    #expect(rules.refusal(of: IPAddress("169.254.1.1")!) == nil)
    #expect(rules.refusal(of: IPAddress("169.254.169.254")!) == .metadata)
    #expect(try AddressRules(allow: ["169.254.169.254/32"]).refusal(of: IPAddress("169.254.169.254")!) == nil)
    for bad in ["10.1.2.3/8", "10.0.0.0/33", "10.0.0/8", "x", "", "10.0.0.0/", "::/129", "10.0.0.0/8/8"] {
        #expect(throws: AddressRulesError.notARange(bad)) { try AddressRules(allow: [bad]) }
    }
}

@Test func addressesKeepTheirText() throws {
    let same = ["1.2.3.4", "::", "::1", "2001:db8::1", "fe80::1:0:0:2", "1:2:3:4:5:6:7:8", "1:0:3:4:5:6:7:8", "ff02::"]
    for text in same { #expect(try #require(IPAddress(text)).text == text) }
    #expect(IPAddress("::FFFF:1.2.3.4")?.text == "::ffff:102:304")
    let bad = [
        "", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", "1.2.3.4 ", "0x7f.0.0.1", ":", ":::", "1::2::3",
        "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "::1:2:3:4:5:6:7:8", "12345::", "g::", "::1%eth0", "1.2.3.4::", "::1.2.3", "1:", ":1",
    ]
    for text in bad { #expect(IPAddress(text) == nil, "\(text)") }
}

@Test func urlsComeApartAsWritten() throws {
    let plain = try EndpointAddress("http://Example.COM/hooks?x=1")
    #expect(plain.host == "example.com" && plain.port == 80 && plain.target == "/hooks?x=1")
    #expect(plain.hostField == "example.com")
    let ported = try EndpointAddress("HTTP://127.0.0.1:9000")
    #expect(
        ported.host == "127.0.0.1" && ported.port == 9000 && ported.target == "/"
            && ported.hostField == "127.0.0.1:9000")
    let six = try EndpointAddress("http://[2001:DB8::1]:8080?q")
    #expect(six.host == "2001:db8::1" && six.hostField == "[2001:db8::1]:8080" && six.target == "/?q")
    #expect(try EndpointAddress("http://a.b_c.example./").host == "a.b_c.example")
}

@Test(arguments: [
    "ftp://example.com/", "https:///x", "https://user@example.com/",
    "https://example.com:25/", "file:///etc/passwd", "http:/127.0.0.1/", "http:127.0.0.1",
    "//127.0.0.1/",
    "http://", "http:///x", "http://user:pass@127.0.0.1/", "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://example.com\\@127.0.0.1/", "http://exa mple.com/", "http://example.com\r\nHost: x/",
    "http://example.com/\r\nX: y", "http://example.com\t/", "http://example.com:0/", "http://example.com:65536/",
    "http://example.com:99999999999/", "http://example.com:22/", "http://example.com:6379/",
    "http://example.com:443:80/",
    "http://example.com:/", "http://example.com:+80/", "http://2130706433/", "http://017700000001/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://127.1/", "http://0/", "http://425.510.425.510/",
    "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "http://[127.0.0.1]/", "http://[::1/", "http://[fe80::1%25eth0]/",
    "http://127.0.0.1%00.example.com/", "http://127.0.0.1%2eexample.com/", "http://-a.example/", "http://a..example/",
    "http://[::1]x/", "javascript:alert(1)", "",
])
func refusesTheURL(_ url: String) {
    #expect(throws: EndpointAddressError.self) { try EndpointAddress(url) }
}

@Test func takesAnHTTPSURLApart() throws {
    let plain = try EndpointAddress("https://Example.com/a?b")
    #expect(plain.isSecure && plain.port == 443 && plain.hostField == "example.com" && plain.target == "/a?b")
    let numbered = try EndpointAddress("https://[2001:db8::1]:80/")
    #expect(numbered.isSecure && numbered.port == 80 && numbered.hostField == "[2001:db8::1]:80")
    #expect(try !EndpointAddress("http://example.com:443/").isSecure)
}

@Test func oneRefusedAddressCondemnsTheName() throws {
    let rules = try AddressRules(allow: [])
    let good = SocketAddress(address: IPAddress("8.8.8.8")!, port: 80)
    let bad = SocketAddress(address: IPAddress("10.0.0.1")!, port: 80)
    #expect(rules.refusal(of: [good]) == nil)
    let refusal = try #require(rules.refusal(of: [good, bad]))
    #expect(refusal.0 == bad && refusal.1 == .privateUse)
}

@Test func theSystemsResolverKnowsLocalhost() throws {
    let found = try Resolver.resolve(host: "localhost", port: 80)
    #expect(found.contains { AddressRules.classify($0.address) == .loopback })
    #expect(throws: ResolveError.self) { try Resolver.resolve(host: "no-such-name.invalid", port: 80) }
}
