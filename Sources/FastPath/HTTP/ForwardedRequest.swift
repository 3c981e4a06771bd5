// What the sender of a request saw, told by the proxies between: scheme, authority, and the address it came from. From
// `Forwarded` (RFC 7239), else from `X-Forwarded-For`, `-Proto`, `-Host`, `-Port`, and only when the peer is a trusted
// proxy. Passive, bounded by the head; nothing is copied but the origin's text.
//
// The rule: hops are read from the right, nearest first. A hop is believed when the one that reported it is trusted;
// the first address that is not trusted is the client's, and what stands left of it was written by the client itself.
//
// Invariants: an untrusted peer's fields change nothing. An address that cannot be read, and two kinds of field that
// name different clients, leave the client unknown, so that an allow-list refuses it: a proxy passes on the kind that
// it does not write. So does a list of more elements than `FieldElements.countMax`.
//
// Safety: `writeOrigin` writes at most `originBytesMax` bytes to memory that its caller owns; the views are of the head
// and live as long as that.

package struct ForwardedRequest: Sendable {
    /// Nil when a trusted proxy names none that can be read, or the peer has none (a local socket).
    package var client: IPAddress?
    package var isSecure = false
    /// In the request's bytes: host with its port, as the sender wrote it; empty when there is none.
    package var authority = ByteView.empty
    /// A port that the authority lacks; 0 for none.
    package var port = 0

    /// The longest text that `writeOrigin` makes: `https://`, a host and `:65535`.
    package static let originBytesMax = 8 + authorityBytesMax + 6
    private static let authorityBytesMax = 262
    /// Hops that are looked at; a chain that is longer is nobody's.
    private static let hopCountMax = 32

    /// `peer`: the address at the other end of the connection, or the one its PROXY preamble names; nil for a local
    /// socket.
    @_noAllocation @_noLocks
    package init(
        bytes: ByteView, head: RequestHead, fields: borrowing FieldTable, peer: IPAddress?, isPeerSecure: Bool,
        trusted: AddressSet?
    ) {
        client = peer
        isSecure = isPeerSecure
        let host = bytes.slice(head.host)
        if ForwardedRequest.isAuthority(host) { authority = host }
        guard let trusted, ForwardedRequest.isTrusted(peer, trusted) else { return }
        let standard = Hops(bytes, fields, KnownHops.forwarded, peer, trusted)
        let common = Hops(bytes, fields, KnownHops.addresses, peer, trusted)
        if standard.isPresent {
            client = standard.client
            if common.isPresent, common.client != standard.client { client = nil }
            if let secure = standard.isSecure { isSecure = secure }
            if standard.authority.count > 0 { authority = standard.authority }
            return
        }
        if common.isPresent { client = common.client }
        readCommon(bytes, fields, hopCount: max(common.trustedCount, 1))
    }

    private static func isTrusted(_ address: IPAddress?, _ trusted: AddressSet) -> Bool {
        guard let address else { return trusted.takesLocal }
        return trusted.contains(address)
    }
    fileprivate static func isAuthority(_ text: ByteView) -> Bool {
        text.count > 0 && text.count <= authorityBytesMax && HostRules.isValid(text) && text[0] != ASCII.colon
    }

    /// `X-Forwarded-Proto`, `-Host` and `-Port`: each trusted proxy overwrote the value or added one, so the value of
    /// the outermost stands `hopCount` from the right, or is the only one.
    private mutating func readCommon(_ bytes: ByteView, _ fields: borrowing FieldTable, hopCount: Int) {
        let scheme = FieldElements.fromRight(bytes, fields, .scheme, hopCount)
        if FieldRules.matches(scheme, "https") { isSecure = true }
        if FieldRules.matches(scheme, "http") { isSecure = false }
        let host = FieldElements.fromRight(bytes, fields, .host, hopCount)
        if ForwardedRequest.isAuthority(host) { authority = host }
        if let number = FieldRules.contentLength(FieldElements.fromRight(bytes, fields, .port, hopCount)),
            number > 0, number <= 65_535
        {
            port = number
        }
    }

    /// `https://host[:port]`; empty when the request names no host. `memory` has room for `originBytesMax`.
    @_noAllocation @_noLocks package func writeOrigin(to memory: UnsafeMutablePointer<UInt8>) -> ByteView {
        guard authority.count > 0 else { return .empty }
        let scheme = ByteView(isSecure ? "https://" : "http://")
        unsafe UnsafeMutableRawPointer(memory).copyMemory(from: scheme.base, byteCount: scheme.count)
        unsafe UnsafeMutableRawPointer(memory + scheme.count).copyMemory(
            from: authority.base, byteCount: authority.count)
        var count = scheme.count + authority.count
        if port > 0, port != (isSecure ? 443 : 80), !hasPort {
            unsafe memory[count] = ASCII.colon
            count += 1
            var divisor = 10_000
            while divisor > port { divisor /= 10 }
            while divisor > 0 {
                unsafe memory[count] = ASCII.zero + UInt8(truncatingIfNeeded: port / divisor % 10)
                count += 1
                divisor /= 10
            }
        }
        return unsafe ByteView(UnsafePointer(memory), count: count)
    }
    private var hasPort: Bool {
        var place = authority.count
        while place > 0, CharacterClasses.isDigit(authority[place - 1]) { place -= 1 }
        return place > 0 && authority[place - 1] == ASCII.colon
    }

    /// One kind of field, walked from the right.
    private struct Hops {
        var isPresent = false
        var client: IPAddress?
        /// The hops that trusted proxies reported, the peer's report among them.
        var trustedCount = 0
        var isSecure: Bool?
        var authority = ByteView.empty

        init(
            _ bytes: ByteView, _ fields: borrowing FieldTable, _ kind: KnownHops, _ peer: IPAddress?,
            _ trusted: AddressSet
        ) {
            client = peer
            var walk = FieldElements(fields, kind.field)
            while let element = walk.previous(bytes, fields) {
                isPresent = true
                trustedCount += 1
                guard trustedCount <= hopCountMax else {
                    client = nil
                    return
                }
                client = kind == .forwarded ? readPairs(element) : HopAddress.parse(element)
                guard let client, trusted.contains(client) else { return }
            }
            if walk.isMalformed {
                isPresent = true
                client = nil
            }
        }
        /// `for=…;proto=…;host=…`; nil when the address cannot be read. Of two equal names the element is malformed.
        private mutating func readPairs(_ element: ByteView) -> IPAddress? {
            var node: ByteView?
            var scheme: ByteView?
            var host: ByteView?
            var pairs = ForwardedPairs(element)
            while let pair = pairs.next() {
                if FieldRules.matches(pair.name, "for") {
                    if node != nil { return nil }
                    node = pair.value
                } else if FieldRules.matches(pair.name, "proto") {
                    if scheme != nil { return nil }
                    scheme = pair.value
                } else if FieldRules.matches(pair.name, "host") {
                    if host != nil { return nil }
                    host = pair.value
                }
            }
            guard !pairs.isMalformed else { return nil }
            if let scheme {
                if FieldRules.matches(scheme, "https") { isSecure = true }
                if FieldRules.matches(scheme, "http") { isSecure = false }
            }
            if let host, ForwardedRequest.isAuthority(host) { authority = host }
            return node.flatMap { HopAddress.parse($0) }
        }
    }
}
