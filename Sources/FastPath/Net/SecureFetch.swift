// One GET over TLS for a small file, such as a certificate: blocks, for worker threads only.
//
// Invariants: the peer has proved to be `host` to the system's roots before a byte is sent; what comes back is 200 with
// a stated length and no more than `bytesMax`, or nothing (a redirect is not followed); all of it, the resolver aside,
// within `deadlineMillis`.
//
// Safety: descriptor and session are owned by the call and released once, session first.

import CShims

package enum SecureFetch {
    package static let bytesMax = 65_536
    static let headBytesMax = 16_384
    package static let deadlineMillis: UInt64 = 5000

    /// `roots`: PEM instead of the system's. Nil on any failure.
    package static func get(
        host: String, path: String, port: UInt16 = 443, roots: [UInt8]? = nil
    ) -> [UInt8]? {
        guard let addresses = try? Resolver.resolve(host: host, port: port) else { return nil }
        let deadline = sluice_clock_monotonic() + deadlineMillis * 1_000_000
        for address in addresses.prefix(4) {
            guard let descriptor = connect(address, until: deadline) else { continue }
            defer { _ = sluice_close(descriptor) }
            // Roots that are given and are none must not fall back to the system's.
            let session: OpaquePointer?
            if let roots {
                unsafe session = sluice_tls_open(descriptor, host, roots, roots.count)
            } else {
                unsafe session = sluice_tls_open(descriptor, host, nil, 0)
            }
            guard let session = unsafe session else { return nil }
            defer { unsafe sluice_tls_close(session) }
            return unsafe exchange(session, descriptor, host, path, deadline)
        }
        return nil
    }

    static func millisLeft(until deadline: UInt64) -> Int32 {
        let now = sluice_clock_monotonic()
        return now >= deadline ? 0 : Int32((deadline - now) / 1_000_000) + 1
    }

    static func connect(_ address: SocketAddress, until deadline: UInt64) -> Int32? {
        let bytes = address.address.bytes
        let descriptor = unsafe sluice_tcp_begin(bytes, bytes.count, address.scope, address.port)
        guard descriptor >= 0 else { return nil }
        // Another address may answer where this one is silent.
        let wait = min(millisLeft(until: deadline), 2000)
        if sluice_socket_wait(descriptor, 1, wait) == 1, sluice_tcp_error(descriptor) == 0 { return descriptor }
        _ = sluice_close(descriptor)
        return nil
    }

    private static func exchange(
        _ session: OpaquePointer, _ descriptor: Int32, _ host: String, _ path: String, _ deadline: UInt64
    ) -> [UInt8]? {
        guard repeated(descriptor, deadline, { unsafe Int64(sluice_tls_handshake(session)) }) == 0 else { return nil }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nAccept: */*\r\nConnection: close\r\n\r\n".utf8)
        var sent = 0
        while sent < request.count {
            let rest = Array(request[sent...])
            let count = repeated(descriptor, deadline) { unsafe sluice_tls_write(session, rest, rest.count) }
            guard count > 0 else { return nil }
            sent += Int(count)
        }
        var received: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        while received.count <= headBytesMax + bytesMax {
            let count = repeated(descriptor, deadline) { unsafe sluice_tls_read(session, &piece, piece.count) }
            guard count > 0 else { return nil }
            received += piece[..<Int(count)]
            switch content(of: received) {
            case .incomplete: continue
            case .failed: return nil
            case .complete(let bytes): return bytes
            }
        }
        return nil
    }

    /// Calls until it neither wants to read nor to write, or the time is over.
    static func repeated(_ descriptor: Int32, _ deadline: UInt64, _ step: () -> Int64) -> Int64 {
        while true {
            let result = step()
            guard result == Int64(SLUICE_TLS_WANTS_READ) || result == Int64(SLUICE_TLS_WANTS_WRITE)
            else { return result }
            let writes: Int32 = result == Int64(SLUICE_TLS_WANTS_WRITE) ? 1 : 0
            let wait = millisLeft(until: deadline)
            guard wait > 0, sluice_socket_wait(descriptor, writes, wait) == 1 else {
                return Int64(SLUICE_TLS_FAILED)
            }
        }
    }

    package enum Content: Equatable, Sendable {
        case incomplete
        case complete([UInt8])
        case failed
    }
    /// The body of the answer that `received` begins with.
    package static func content(of received: [UInt8]) -> Content {
        var parser = ResponseParser()
        var fields = FieldTable()
        let result = received.withView {
            parser.parse($0, isHead: false, fields: &fields, headBytesMax: headBytesMax)
        }
        switch result {
        case .incomplete: return .incomplete
        case .failed: return .failed
        case .complete(let head):
            guard head.status == 200, case .length(let count) = head.body, count <= bytesMax else { return .failed }
            guard received.count - head.byteCount >= count else { return .incomplete }
            return .complete(Array(received[head.byteCount..<head.byteCount + count]))
        }
    }
}
