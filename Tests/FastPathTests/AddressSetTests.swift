// Address lists and the reading of addresses from bytes, compared with the slow ones that were there before.
import FastPath
import Testing

@Suite struct AddressSetTests {
    private func set(_ ranges: [String], local: Bool = false, _ check: (AddressSet) -> Void) {
        let memory = CompiledMemory()
        check(AddressSet(ranges.map { CIDR($0)! }, takesLocal: local, in: memory))
        withExtendedLifetime(memory) {}
    }
    private func address(_ text: String) -> IPAddress { IPAddress(text)! }

    @Test func containsExactlyItsRanges() {
        set(["10.0.0.0/8", "192.0.2.7", "192.0.2.8/31", "2001:db8::/32", "0.0.0.0/32", "255.255.255.255"]) { set in
            for inside in [
                "10.0.0.0", "10.255.255.255", "192.0.2.7", "192.0.2.9", "2001:db8::", "2001:db8:ffff::1", "0.0.0.0",
                "255.255.255.255", "::ffff:10.1.2.3",
            ] { #expect(set.contains(address(inside)), "\(inside)") }
            for outside in [
                "9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.10", "2001:db7:ffff::", "2001:db9::", "0.0.0.1",
                "::a00:0", "::",
            ] { #expect(!set.contains(address(outside)), "\(outside)") }
        }
        set(["::/0"]) { #expect($0.contains(address("ffff::")) && !$0.contains(address("10.0.0.1"))) }
        set(["0.0.0.0/0"]) { #expect($0.contains(address("::ffff:1.2.3.4")) && !$0.contains(address("::1"))) }
        set(["::ffff:10.0.0.0/104"]) {
            #expect($0.contains(address("10.9.9.9")) && !$0.contains(address("11.0.0.1")))
        }
        set([]) { #expect($0.isEmpty && !$0.contains(address("10.0.0.1"))) }
        set([], local: true) { #expect(!$0.isEmpty && $0.takesLocal) }
    }
    @Test func agreesWithAListOfRanges() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let ranges = (0..<Int.random(in: 0...12, using: &generator)).map { _ -> CIDR in
                let bits = Int.random(in: 20...32, using: &generator)
                let base = UInt32.random(in: 0...0xFFFF, using: &generator) & (bits == 32 ? .max : ~(.max >> bits))
                return CIDR(base: IPAddress(v4: base), prefixBits: bits)!
            }
            let memory = CompiledMemory()
            let set = AddressSet(ranges, in: memory)
            for _ in 0..<200 {
                let asked = IPAddress(v4: UInt32.random(in: 0...0x1_0FFF, using: &generator))
                #expect(set.contains(asked) == ranges.contains { $0.contains(asked) })
            }
        }
    }
    @Test func readsAddressesAsTheTextInitialiserDoes() {
        for text in [
            "1.2.3.4", "255.255.255.255", "0.0.0.0", "01.2.3.4", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1..2.3",
            ".1.2.3",
            "1.2.3.", "", "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::8",
            "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7", "1:::2", "::1::", ":1", "1:", "12345::", "g::", "1::2:3.4.5.6",
            "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4::", "fe80::1%eth0", "[::1]",
            "abcd:EF01:2345:6789:abcd:ef01:2345:6789", "::0:0", "0::0:0:0:0:0:0:0", "0:0:0:0:0:0:0::0",
        ] {
            let read = Array(text.utf8).withView { IPAddress.parse($0) }
            #expect(read == IPAddress(text)?.unmapped, "\(text)")
        }
        #expect(Array("::ffff:192.0.2.7".utf8).withView { IPAddress.parse($0) } == IPAddress("192.0.2.7"))
    }
}
