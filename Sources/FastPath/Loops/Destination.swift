// Where requests are sent to: a description from Engine, compiled once into an immutable destination that requests
// carry a pointer to.
//
// Invariants: a destination is never changed after its making; whoever sends keeps it alive until the outcome of the
// last request that names it. Two destinations with the same `key` may share connections: same addresses, same
// authority, same TLS context.
//
// Safety: the record and all it points to belong to the destination and live as long as it does.

import Synchronization

/// That a destination is reached over TLS, and whom it must prove to be.
package struct DestinationTLS: Equatable, Sendable {
    package let context: TLSContext
    /// A host name, or an address without brackets.
    package let name: String
    package let isAddress: Bool

    package init(context: TLSContext, name: String, isAddress: Bool) {
        self.context = context
        self.name = name
        self.isAddress = isAddress
    }
    package static func == (left: DestinationTLS, right: DestinationTLS) -> Bool {
        left.context === right.context && left.name == right.name && left.isAddress == right.isAddress
    }
}

/// That a destination is reached through a proxy, which is asked for a tunnel to one of the addresses.
package struct DestinationProxy: Equatable, Sendable {
    /// The proxy's, and behind each `ADDRESS:PORT` of the destination that it is asked for, in the order in which they
    /// are tried: each address of either comes at least once.
    package let addresses: [EgressAddress]
    package let targets: [String]

    /// Neither list is empty.
    package init(addresses: [EgressAddress], targets: [String]) {
        precondition(!addresses.isEmpty && !targets.isEmpty)
        let places = 0..<max(addresses.count, targets.count)
        self.addresses = places.map { addresses[$0 % addresses.count] }
        self.targets = places.map { targets[$0 % targets.count] }
    }
    /// The request for each tunnel.
    var requests: [String] { targets.map { "CONNECT \($0) HTTP/1.1\r\nHost: \($0)\r\n\r\n" } }
}

/// What the fields of a delivery's id, time and signature are called, and over what the signature goes.
package enum SignatureNames: UInt8, Codable, BitwiseCopyable, Sendable {
    /// Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    case webhook
    /// The same under the names `svix-…`.
    case svix
    /// `X-Webhook-Signature: sha256=` and the MAC of the body alone in hexadecimal, keyed with the secret's text;
    /// `X-Webhook-Event` says the type. No time is signed.
    case opsCenter
    /// Of the contract edge: `X-Request-Id` is the id, and a `SignatureForm` writes time and signature where there are
    /// any.
    case contract

    /// The loop writes a time and a signature of Standard Webhooks.
    var isStandard: Bool { self == .webhook || self == .svix }
}

/// An endpoint as the egress knows it, resolved and allowed. Times in milliseconds.
package struct DestinationDescription: Equatable, Sendable {
    /// In the order in which they are tried; not empty.
    package var addresses: [EgressAddress]
    /// The value of `Host`: `host` or `host:port`, IPv6 in brackets.
    package var authority: String
    /// Path and query, beginning with `/`.
    package var target: String
    package var method = "POST"
    /// Standard Webhooks secrets, the newest first; each signs. Empty: not signed.
    package var secrets: [String]
    /// Secrets that were rotated out and sign for a while yet.
    package var endingSecrets: [EndingSecret] = []
    package var names = SignatureNames.webhook
    /// Signed so and not by Standard Webhooks; `names` says then what the id's field is called.
    package var form: SignatureForm?
    /// The value of `User-Agent`; nil: `Sluice/` and the version.
    package var userAgent: String?
    /// Time and signature are among the request's own field lines: its keys are of a kind that takes the loop too long.
    package var isSignedAhead = false
    /// Nil: without TLS.
    package var tls: DestinationTLS?
    /// Nil: directly.
    package var proxy: DestinationProxy?
    /// Connections at most, each with one request at a time.
    package var concurrency = 16
    package var connectMillisMax = 5000
    /// From the end of sending to the end of the answer's head.
    package var headMillisMax = 15_000
    /// From the start of the attempt (which may wait for a connection of the endpoint before) to the end of the answer.
    package var totalMillisMax = 20_000

    package init(addresses: [EgressAddress], authority: String, target: String, secrets: [String]) {
        self.addresses = addresses
        self.authority = authority
        self.target = target
        self.secrets = secrets
    }
}

package enum DestinationError: Error, Equatable, Sendable {
    case noAddress
    /// `authority`, `target` or `userAgent` has a byte that would break the request's head.
    case badText
    /// Request line, Host and signatures together are larger than `max` bytes.
    case headTooLong(bytes: Int, max: Int)
    case badSecret(SchemeError)
}

/// The same as the loop reads it.
@safe struct DestinationPeer {
    let context: TLSContextView
    let name: UnsafePointer<CChar>
    let isAddress: Bool
}

/// What the loop reads for each request; trivially copyable.
/// Safety: points into the memory of its `Destination`, which the dispatcher keeps while a request is out.
@safe struct DestinationRecord {
    var key: UInt64
    var addresses: UnsafePointer<EgressAddress>
    var addressCount: Int
    /// Request line to `Content-Length: `, rendered.
    var prefix: ByteView
    var signer: WebhookSigner?
    var names: SignatureNames
    /// Writes time and signature in the signer's place.
    var form: FormSigner?
    var isSignedAhead: Bool
    var tls: DestinationPeer?
    /// What asks a proxy for each address; the addresses are the proxy's then.
    var tunnels: UnsafePointer<ByteView>?
    var concurrency: Int
    var connectNanos: UInt64
    var headNanos: UInt64
    var totalNanos: UInt64
    var needsTransport: Bool { unsafe tls != nil || tunnels != nil }
}

@safe package final class Destination: @unchecked Sendable {
    package let description: DestinationDescription
    let record: UnsafePointer<DestinationRecord>
    private let keys = CompiledMemory()
    /// Near nothing: a key is only compared.
    private static let lastKey = Atomic<UInt64>(0)

    /// `version` is what `User-Agent: Sluice/…` says. `predecessor` is what the same endpoint was before: connections
    /// made for it are kept when they lead to the same place.
    package init(
        _ description: DestinationDescription, version: String, requestHeadBytesMax: Int,
        predecessor: Destination? = nil
    ) throws(DestinationError) {
        guard !description.addresses.isEmpty else { throw .noAddress }
        let isPlain = { (text: String) in !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } }
        guard isPlain(description.authority), isPlain(description.target), isPlain(description.method),
            description.target.utf8.first == 0x2F,
            description.userAgent.map({ $0.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F } }) ?? true
        else { throw .badText }
        let text =
            "\(description.method) \(description.target) HTTP/1.1\r\nHost: \(description.authority)\r\n"
            + "User-Agent: \(description.userAgent ?? "Sluice/\(version)")\r\nContent-Length: "
        var signer: WebhookSigner?
        var form: FormSigner?
        if let asked = description.form {
            do {
                form = try FormSigner(
                    asked, secrets: description.secrets, ending: description.endingSecrets, in: keys)
            } catch { throw .badSecret(error) }
        } else if !description.secrets.isEmpty, !description.isSignedAhead {
            do {
                signer = try WebhookSigner(
                    secrets: description.secrets, ending: description.endingSecrets, names: description.names,
                    in: keys)
            } catch { throw .badSecret(error) }
        }
        // Length and time have 20 digits at most; the names around them are `EgressRequest`'s.
        let bytes =
            text.utf8.count + 40 + EgressRequest.nameByteCount + (signer?.byteCount ?? 0)
            + (form?.byteCount ?? 0)
        guard bytes <= requestHeadBytesMax else { throw .headTooLong(bytes: bytes, max: requestHeadBytesMax) }
        self.description = description
        let key: UInt64
        if let predecessor, predecessor.description.addresses == description.addresses,
            predecessor.description.authority == description.authority, predecessor.description.tls == description.tls,
            predecessor.description.proxy == description.proxy
        {
            key = unsafe predecessor.record.pointee.key
        } else {
            key = Destination.lastKey.add(1, ordering: .relaxed).newValue
        }
        let addresses: [EgressAddress]
        var tunnels: UnsafePointer<ByteView>?
        if let proxy = description.proxy {
            addresses = proxy.addresses
            let keys = keys
            unsafe tunnels = unsafe UnsafePointer(keys.place(proxy.requests.map { keys.place(text: $0) }))
        } else {
            addresses = description.addresses
        }
        let made = unsafe keys.place([
            DestinationRecord(
                key: key, addresses: UnsafePointer(keys.place(addresses)),
                addressCount: addresses.count, prefix: keys.place(bytes: Array(text.utf8)), signer: signer,
                names: description.names, form: form, isSignedAhead: description.isSignedAhead,
                tls: Destination.peer(description.tls, in: keys), tunnels: tunnels,
                concurrency: max(description.concurrency, 1),
                connectNanos: Destination.nanos(description.connectMillisMax),
                headNanos: Destination.nanos(description.headMillisMax),
                totalNanos: Destination.nanos(description.totalMillisMax))
        ])
        unsafe record = UnsafePointer(made)
    }
    package var addressCount: Int { description.proxy?.addresses.count ?? description.addresses.count }

    private static func peer(_ tls: DestinationTLS?, in memory: CompiledMemory) -> DestinationPeer? {
        guard let tls else { return nil }
        return unsafe DestinationPeer(
            context: tls.context.view, name: UnsafePointer(memory.place(Array(tls.name.utf8CString))),
            isAddress: tls.isAddress)
    }
    private static func nanos(_ millis: Int) -> UInt64 { UInt64(min(max(millis, 1), 86_400_000)) * 1_000_000 }
}

/// The head that precedes a request's own field lines.
enum EgressRequest {
    /// What `render` writes beside prefix, digits and signatures, at most.
    static let nameByteCount = 2 + 19 + 2 + 21 + 2

    /// Signs with the wall clock of the moment of sending. The signature covers the id, the time and the body, or the
    /// body alone.
    @inline(__always) static func render(
        _ request: OutboundRequest, wallSeconds: UInt64, into message: inout OutboundMessage
    ) {
        message.beginHead()
        unsafe message.append(request.destination.pointee.prefix)
        message.append(decimal: UInt64(request.body.count))
        if let form = unsafe request.destination.pointee.form {
            unsafe message.append { memory, capacity in
                unsafe form.write(
                    id: request.eventID, timestamp: wallSeconds, body: request.body, into: memory, capacity: capacity)
            }
            message.append("\r\n")
            return message.endHead(fieldLines: request.fieldLines, body: request.body)
        }
        let names = unsafe request.destination.pointee.names
        if unsafe names.isStandard && !request.destination.pointee.isSignedAhead {
            message.append(names == .svix ? "\r\nsvix-timestamp: " : "\r\nwebhook-timestamp: ")
            message.append(decimal: wallSeconds)
        }
        if let signer = unsafe request.destination.pointee.signer {
            switch names {
            case .webhook: message.append("\r\nwebhook-signature: ")
            case .svix: message.append("\r\nsvix-signature: ")
            case .opsCenter: message.append("\r\nX-Webhook-Signature: ")
            case .contract: message.append("\r\nX-Signature: ")
            }
            unsafe message.append { memory, capacity in
                unsafe signer.sign(
                    id: request.eventID, timestamp: wallSeconds, body: request.body, into: memory, capacity: capacity)
            }
        }
        message.append("\r\n")
        message.endHead(fieldLines: request.fieldLines, body: request.body)
    }
}
