// What the egress loop knows of its endpoints: a description from Engine, compiled into an immutable snapshot that the
// loop reads, and the box in which a new snapshot is handed over.
//
// Invariants: a snapshot is never changed after its making; a loop keeps the one it uses alive; an order's `endpoint`
// is a place in it. A place keeps its meaning from snapshot to snapshot, or is empty in between for as long as orders
// may name it.
//
// Safety: records and rendered bytes belong to the snapshot and live as long as it does. Signers point into `keys`,
// which the snapshot owns too.

import Synchronization

/// One endpoint, resolved and allowed. Times in milliseconds.
package struct EgressEndpoint: Equatable, Sendable {
    package var address: EgressAddress
    /// The value of `Host`: `host` or `host:port`, IPv6 in brackets.
    package var authority: String
    /// Path and query, beginning with `/`.
    package var target: String
    /// Standard Webhooks secrets, the newest first; each signs. Empty: not signed.
    package var secrets: [String]
    /// Connections at most, each with one order at a time.
    package var concurrency = 16
    package var connectMillisMax = 5000
    /// From the end of sending to the end of the answer's head.
    package var headMillisMax = 15_000
    /// From the start of the attempt (which may wait for a connection of the endpoint before) to the end of the answer.
    package var totalMillisMax = 20_000

    package init(address: EgressAddress, authority: String, target: String, secrets: [String]) {
        self.address = address
        self.authority = authority
        self.target = target
        self.secrets = secrets
    }
    /// True exactly when connections made for one may carry orders of the other.
    func sharesConnections(with other: EgressEndpoint) -> Bool {
        address == other.address && authority == other.authority
    }
}

package enum EgressEndpointError: Error, Equatable, Sendable {
    /// `authority` or `target` has a byte that would break the request's head.
    case badText(endpoint: Int)
    /// Request line, Host and signatures do not fit `requestHeadBytesMax`.
    case headTooLong(endpoint: Int)
    case badSecret(endpoint: Int, SchemeError)
    case tooManyEndpoints
}

/// What the loop reads for each order; trivially copyable.
struct EgressRecord {
    var address: EgressAddress
    /// Request line to `Content-Length: `, rendered.
    var prefix: ByteView
    var signer: WebhookSigner?
    /// 0 where no endpoint is.
    var concurrency: Int
    var connectNanos: UInt64
    var headNanos: UInt64
    var totalNanos: UInt64
}

@safe package final class EgressSnapshot: @unchecked Sendable {
    /// Nil where no endpoint is; orders that name such a place come back `abandoned`.
    package let endpoints: [EgressEndpoint?]
    let records: UnsafeMutablePointer<EgressRecord>
    private let keys = CompiledMemory()

    /// `version` is what `User-Agent: Sluice/…` says.
    package init(
        endpoints: [EgressEndpoint?], version: String, limits: EgressLimits = EgressLimits()
    ) throws(EgressEndpointError) {
        guard endpoints.count <= limits.endpointCountMax else { throw .tooManyEndpoints }
        self.endpoints = endpoints
        records = .allocate(capacity: max(endpoints.count, 1))
        for (index, endpoint) in endpoints.enumerated() {
            guard let endpoint else {
                (records + index).initialize(to: EgressSnapshot.blank)
                continue
            }
            (records + index).initialize(to: try EgressSnapshot.compile(endpoint, index, version, limits, keys))
        }
    }
    deinit { records.deallocate() }

    private static var blank: EgressRecord {
        EgressRecord(
            address: .none, prefix: .empty, signer: nil, concurrency: 0, connectNanos: 0, headNanos: 0, totalNanos: 0)
    }
    private static func compile(
        _ endpoint: EgressEndpoint, _ index: Int, _ version: String, _ limits: EgressLimits, _ keys: CompiledMemory
    ) throws(EgressEndpointError) -> EgressRecord {
        let isPlain = { (text: String) in !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        guard isPlain(endpoint.authority), isPlain(endpoint.target), endpoint.target.utf8.first == 0x2F else {
            throw .badText(endpoint: index)
        }
        let text = "POST \(endpoint.target) HTTP/1.1\r\nHost: \(endpoint.authority)\r\n"
            + "User-Agent: Sluice/\(version)\r\nContent-Length: "
        var signer: WebhookSigner?
        if !endpoint.secrets.isEmpty {
            do { signer = try WebhookSigner(secrets: endpoint.secrets, in: keys) } catch {
                throw .badSecret(endpoint: index, error)
            }
        }
        // Length and time have 20 digits at most; the names around them are `EgressRequest`'s.
        let bytes = text.utf8.count + 40 + EgressRequest.nameByteCount + (signer?.byteCount ?? 0)
        guard bytes <= limits.requestHeadBytesMax else { throw .headTooLong(endpoint: index) }
        return EgressRecord(
            address: endpoint.address, prefix: keys.place(bytes: Array(text.utf8)), signer: signer,
            concurrency: max(endpoint.concurrency, 1), connectNanos: nanos(endpoint.connectMillisMax),
            headNanos: nanos(endpoint.headMillisMax), totalNanos: nanos(endpoint.totalMillisMax))
    }
    private static func nanos(_ millis: Int) -> UInt64 { UInt64(min(max(millis, 1), 86_400_000)) * 1_000_000 }
}

/// The head that precedes an order's own field lines.
enum EgressRequest {
    /// What `render` writes beside prefix, digits and signatures.
    static let nameByteCount = 2 + 19 + 2 + 19 + 2

    /// Signs with the wall clock of the moment of sending. The signature covers the id, the time and the body.
    @inline(__always) static func render(
        _ order: DeliveryOrder, _ record: EgressRecord, wallSeconds: UInt64, into message: inout OutboundMessage
    ) {
        message.beginHead()
        message.append(record.prefix)
        message.append(decimal: UInt64(order.body.count))
        message.append("\r\nwebhook-timestamp: ")
        message.append(decimal: wallSeconds)
        if let signer = record.signer {
            message.append("\r\nwebhook-signature: ")
            message.append { memory, capacity in
                signer.sign(
                    id: order.eventID, timestamp: wallSeconds, body: order.body, into: memory, capacity: capacity)
            }
        }
        message.append("\r\n")
        message.endHead(fieldLines: order.fieldLines, body: order.body)
    }
}

/// What other threads tell the loop: a new snapshot, and that it shall stop. The loop looks at two atomics a tick and
/// locks only when there is a new snapshot.
final class EgressMailbox: Sendable {
    private let letter = Mutex<EgressSnapshot?>(nil)
    private let isFull = Atomic<Bool>(false)
    private let stopRequested = Atomic<Bool>(false)

    init() {}
    func put(_ snapshot: EgressSnapshot) {
        letter.withLock { $0 = snapshot }
        isFull.store(true, ordering: .releasing)
    }
    func requestStop() { stopRequested.store(true, ordering: .releasing) }
    @inline(__always) var hasNew: Bool { isFull.load(ordering: .acquiring) }
    @inline(__always) var wantsStop: Bool { stopRequested.load(ordering: .acquiring) }
    /// Nil when a later call of `put` has been served already.
    func take() -> EgressSnapshot? {
        // Before the letter: one that is put in between raises the flag again.
        isFull.store(false, ordering: .sequentiallyConsistent)
        return letter.withLock { $0.take() }
    }
}
