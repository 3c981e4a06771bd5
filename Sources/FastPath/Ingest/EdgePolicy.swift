// What the loops must know of the world in front of them: whose word counts on where a request came from. Part of a
// snapshot and of a source; trivially copyable.
//
// Safety: the sets point into memory that the snapshot owns.

/// Gateway-wide.
package struct EdgePolicy: Sendable {
    /// Proxies whose fields and preambles are believed; nil = none.
    package var trusted: AddressSet?

    package init(trusted: AddressSet? = nil) { self.trusted = trusted }
}

/// A source's own.
package struct SourceEdge: Sendable {
    /// `https://hooks.example.com`; empty = told by the request and its proxies.
    package var publicOrigin = ByteView.empty
    /// True exactly when its scheme or verifier signs the URL.
    package var needsOrigin = false
    /// Requests from elsewhere are answered 403; nil = from everywhere.
    package var addresses: AddressSet?
    /// What a client's certificate must be; nil = none is asked for. Others are answered 403.
    package var certificate: ClientCertificateRule?
    /// The methods of its events, and those of its challenges.
    package var eventMethods: MethodSet = .post
    package var handshakeMethods: MethodSet = []
    /// What a 405 names.
    package var allow = ByteView("POST")
    /// What a 401 of it asks for; empty where its scheme is none of HTTP's.
    package var authenticate = ByteView.empty

    package init() {}
}

/// What a loop keeps of the request it looks at: written when a request is complete, read until the next one is.
/// Safety: owns its memory; writes are bounded by its size.
@safe struct EdgeScratch: ~Copyable {
    private let memory: UnsafeMutablePointer<UInt8>
    /// Of a refused request: the loop's own table may hold another's by then.
    private var refusedFields = FieldTable()
    /// One bit a listener whose connections begin with a PROXY preamble.
    let preambleListeners: UInt64
    /// Scheme and authority as the sender used them; empty when not asked for or not known.
    var origin = ByteView.empty

    init(preambleListeners: UInt64) {
        self.preambleListeners = preambleListeners
        unsafe memory = .allocate(capacity: ForwardedRequest.originBytesMax)
    }
    deinit { unsafe memory.deallocate() }

    /// The client's address; nil when it is not known.
    @inline(__always) mutating func read(
        _ bytes: ByteView, _ head: RequestHead, _ fields: borrowing FieldTable, peer: IPAddress?, isPeerSecure: Bool,
        trusted: AddressSet?, source: SourceEdge
    ) -> IPAddress? {
        let request = ForwardedRequest(
            bytes: bytes, head: head, fields: fields, peer: peer, isPeerSecure: isPeerSecure, trusted: trusted)
        if source.needsOrigin {
            origin = unsafe source.publicOrigin.count > 0 ? source.publicOrigin : request.writeOrigin(to: memory)
        }
        return request.client
    }
    /// The client of a request whose fields the loop does not hold any more: reads its head once more, which was good.
    mutating func client(
        _ bytes: ByteView, peer: IPAddress?, trusted: AddressSet?, limits: IngestLimits
    ) -> IPAddress? {
        // Without proxies that are believed nothing in the head counts.
        guard let trusted else { return peer }
        var parser = HeadParser()
        var head = RequestHead()
        guard case .complete = parser.parse(bytes, into: &head, fields: &refusedFields, limits: limits) else {
            return nil
        }
        return ForwardedRequest(
            bytes: bytes, head: head, fields: refusedFields, peer: peer, isPeerSecure: false, trusted: trusted
        ).client
    }
}

/// How a connection began.
struct ConnectionEdge {
    /// True exactly until the PROXY preamble has come.
    var expectsPreamble = false
    /// Bytes are TLS's, and its handshake is not done.
    var isSecure = false
    var isHandshaking = false
    /// Nothing has come yet: what is with the kernel instead of a receive takes no bytes.
    var isSilent = false
    /// Its handshake was let in, and has not been reckoned up.
    var isHandshakePaid = false
    /// The handshake goes on when what it has to say was sent.
    var isHandshakeStalled = false
    var listener: UInt16 = 0
    /// Which of the loop's `trust` its certificate was verified under, and what came of it.
    var trust: UInt32 = 0
    var isBelieved = true
    /// Counted among its address' connections.
    var counted: IPAddress?
    var isPeerKnown = false
    var isPeerSecure = false
    /// The other end, or whom its preamble names; nil for a local socket.
    var peer: IPAddress?
}
