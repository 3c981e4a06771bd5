// The PROXY preamble: each version whole, at each split, and what is none.
import FastPath
import TestSupport
import Testing

@Suite struct ProxyProtocolTests {
    private func parse(_ bytes: [UInt8]) -> ProxyPreambleResult {
        let guarded = GuardedBytes(bytes)
        defer { withExtendedLifetime(guarded) {} }
        return ProxyProtocol.parse(ByteView(UnsafePointer(guarded.start(count: bytes.count)), count: bytes.count))
    }
    private func parse(_ text: String) -> ProxyPreambleResult { parse(Array(text.utf8)) }
    private func preamble(_ source: String?, secure: Bool = false, bytes: Int) -> ProxyPreambleResult {
        var preamble = ProxyPreamble()
        preamble.source = source.flatMap { IPAddress($0) }
        preamble.isSecure = secure
        preamble.byteCount = bytes
        return .complete(preamble)
    }
    static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
    private func binary(_ command: UInt8, _ family: UInt8, _ payload: [UInt8]) -> [UInt8] {
        ProxyProtocolTests.signature + [command, family, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
            + payload
    }
    private let v4: [UInt8] = [192, 0, 2, 7, 198, 51, 100, 1, 0x30, 0x39, 0x00, 0x50]
    private let v6: [UInt8] =
        [0x20, 0x01, 0x0D, 0xB8] + [UInt8](repeating: 0, count: 11) + [1] + [UInt8](repeating: 9, count: 16)
        + [0x30, 0x39, 0x01, 0xBB]

    @Test func readsLines() {
        #expect(parse("PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\n") == preamble("192.0.2.7", bytes: 44))
        #expect(
            parse("PROXY TCP4 192.0.2.7 198.51.100.1 1 443\r\nGET /")
                == preamble("192.0.2.7", secure: true, bytes: 41))
        let six = "PROXY TCP6 2001:db8::1 ::1 65535 0\r\n"
        #expect(parse(six) == preamble("2001:db8::1", bytes: six.utf8.count))
        #expect(parse("PROXY UNKNOWN\r\n") == preamble(nil, bytes: 15))
        #expect(parse("PROXY UNKNOWN ffff::1 ::1 1 2\r\n") == preamble(nil, bytes: 31))
    }
    @Test func readsBinary() {
        #expect(parse(binary(0x21, 0x11, v4) + [0x47]) == preamble("192.0.2.7", bytes: 28))
        #expect(parse(binary(0x21, 0x21, v6)) == preamble("2001:db8::1", secure: true, bytes: 52))
        // LOCAL and an unspecified family say nothing, whatever follows.
        #expect(parse(binary(0x20, 0x00, [])) == preamble(nil, bytes: 16))
        #expect(parse(binary(0x20, 0x11, v4)) == preamble(nil, bytes: 28))
        #expect(parse(binary(0x21, 0x00, [1, 2, 3])) == preamble(nil, bytes: 19))
        #expect(parse(binary(0x21, 0x31, [UInt8](repeating: 0x61, count: 216))) == preamble(nil, bytes: 232))
        // The TLS field counts more than the port.
        let tls: [UInt8] = [0x20, 0, 5, 1, 0, 0, 0, 0]
        let plain: [UInt8] = [0x04, 0, 1, 0, 0x20, 0, 5, 0, 0, 0, 0, 1]
        #expect(parse(binary(0x21, 0x11, v4 + tls)) == preamble("192.0.2.7", secure: true, bytes: 36))
        #expect(parse(binary(0x21, 0x21, v6 + plain)) == preamble("2001:db8::1", bytes: 64))
    }
    @Test func aMappedAddressIsTheOneItMaps() {
        let mapped = [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF, 192, 0, 2, 7] + [UInt8](repeating: 0, count: 20)
        #expect(parse(binary(0x21, 0x21, mapped)) == preamble("192.0.2.7", bytes: 52))
    }
    @Test func waitsAtEachSplitOfEachVersion() {
        let whole = [
            Array("PROXY TCP4 192.0.2.7 198.51.100.1 12345 80\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8),
            binary(0x21, 0x11, v4), binary(0x21, 0x21, v6 + [4, 0, 0]), binary(0x20, 0, []),
        ]
        for bytes in whole {
            for count in 0..<bytes.count { #expect(parse(Array(bytes[..<count])) == .incomplete) }
            guard case .complete(let preamble) = parse(bytes + [0x41]) else {
                Issue.record("not complete")
                continue
            }
            #expect(preamble.byteCount == bytes.count)
        }
    }
    @Test func refusesWhatIsNoPreamble() {
        for text in [
            "GET / HTTP/1.1\r\n", "POST /", "PROXY  TCP4 192.0.2.7 192.0.2.8 1 2\r\n", "PROXY TCP4 192.0.2.7\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n", "PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n", "PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n", "PROXY TCP6 192.0.2.7 192.0.2.8 1 2\r\n",
            "PROXY TCP4 192.0.2.256 192.0.2.8 1 2\r\n", "PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n", "PROXY \r\n",
            "PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n", "PROXY TCP4 192.0.2.7 192.0.2.8 1 2\rX",
            "PROXY TCP4\t192.0.2.7 192.0.2.8 1 2\r\n", "proxy TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
            "PROXY UNKNOWN" + String(repeating: "x", count: 100),
        ] { #expect(parse(text) == .malformed, "\(text)") }
        var wrong = ProxyProtocolTests.signature
        wrong[11] = 0x0B
        #expect(parse(wrong) == .malformed)
        for (command, family) in [(0x11, 0x11), (0x22, 0x11), (0x21, 0x41), (0x21, 0x13)] as [(UInt8, UInt8)] {
            #expect(parse(binary(command, family, v4)) == .malformed)
        }
        #expect(parse(binary(0x21, 0x11, Array(v4.dropLast()))) == .malformed)
        #expect(parse(binary(0x21, 0x21, v4)) == .malformed)
        // A field that is cut off, or goes beyond the end.
        #expect(parse(binary(0x21, 0x11, v4 + [4, 0])) == .malformed)
        #expect(parse(binary(0x21, 0x11, v4 + [4, 0, 2, 1])) == .malformed)
        #expect(parse(binary(0x21, 0x11, v4 + [0x20, 0, 1, 1])) == .malformed)
        // Too large is known from the head alone.
        #expect(parse(ProxyProtocolTests.signature + [0x21, 0x11, 0x10, 0x00]) == .malformed)
    }
}
