// What the egress tests deliver to: a server of plain sockets whose every connection runs a script, and a loop with its
// rings.

import FastPath
import Glibc
import Synchronization
import Testing

/// Runs `body` on a thread of its own; `join` waits for it.
final class TestThread: @unchecked Sendable {
    private var thread = pthread_t()
    private let body: () -> Void

    init(_ body: @escaping () -> Void) {
        self.body = body
        let started = pthread_create(
            &thread, nil,
            { context in
                Unmanaged<TestThread>.fromOpaque(context!).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(started == 0)
    }
    func join() { pthread_join(thread, nil) }
}

struct ReceivedRequest: Sendable {
    var head: String
    var body: [UInt8]

    /// The value of the first field called `name`.
    func field(_ name: String) -> String? {
        for line in head.split(separator: "\r\n").dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2, parts[0].lowercased() == name {
                return String(parts[1].drop { $0 == " " })
            }
        }
        return nil
    }
}

/// The server's end of one connection.
final class ServerConnection: @unchecked Sendable {
    let index: Int
    private let descriptor: Int32
    private var buffer: [UInt8] = []
    private let slowly: Bool
    private let secure: TLSSide?

    init(_ descriptor: Int32, index: Int, slowly: Bool, tls: TLSContext?) {
        self.descriptor = descriptor
        self.index = index
        self.slowly = slowly
        secure = tls.flatMap { try? TLSSide.accepting($0) }
    }
    var isResumed: Bool { secure?.isResumed ?? false }
    /// More bytes into the buffer; false at the end.
    private func fill() -> Bool {
        if slowly { usleep(200) }
        var chunk = [UInt8](repeating: 0, count: slowly ? 8192 : 65_536)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        guard secure != nil else {
            buffer += chunk[0..<count]
            return true
        }
        secure?.take(Array(chunk[0..<count]))
        flush()
        buffer += secure?.plaintext ?? []
        secure?.plaintext = []
        return secure?.last == .wantsInput
    }
    private func flush() {
        while let waiting = secure?.give(65_536), !waiting.isEmpty { sendRaw(waiting) }
    }
    /// Says that nothing more comes, where there is TLS to say it.
    func finish() {
        secure?.session.finish()
        flush()
    }
    /// One whole request; nil when the client closed instead.
    func readRequest() -> ReceivedRequest? {
        var end: Int?
        while true {
            end = headEnd()
            if end != nil { break }
            guard fill() else { return nil }
        }
        var request = ReceivedRequest(head: String(decoding: buffer[0..<end!], as: UTF8.self), body: [])
        let length = Int(request.field("content-length") ?? "0") ?? 0
        while buffer.count < end! + length { guard fill() else { return nil } }
        request.body = Array(buffer[end!..<end! + length])
        buffer.removeFirst(end! + length)
        return request
    }
    private func headEnd() -> Int? {
        guard buffer.count >= 4 else { return nil }
        for index in 0...(buffer.count - 4)
        where buffer[index] == 13 && buffer[index + 1] == 10 && buffer[index + 2] == 13 && buffer[index + 3] == 10 {
            return index + 4
        }
        return nil
    }
    func send(_ text: String) {
        var rest = Array(text.utf8)[...]
        guard secure != nil else { return sendRaw(Array(rest)) }
        while !rest.isEmpty, let taken = secure?.write(Array(rest)), taken > 0 {
            rest = rest.dropFirst(taken)
            flush()
        }
    }
    private func sendRaw(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress!, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { return }
            sent += count
        }
    }
    func answer(_ status: Int = 200, _ body: String = "ok") {
        send("HTTP/1.1 \(status) X\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
    /// Waits until the client closes.
    func waitForClose() {
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) > 0 {}
    }
    /// The close that follows the script sends a reset.
    func resetAtClose() {
        var option = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
    }
}

/// A loopback server; each accepted connection runs the script on its own thread and is closed behind it.
final class ScriptedServer: @unchecked Sendable {
    let port: UInt16
    private let listener: Int32
    private let accepted = Atomic<Int>(0)
    private let open = Atomic<Int>(0)
    private let openMost = Atomic<Int>(0)
    private let requests = Mutex<[ReceivedRequest]>([])

    init(slowly: Bool = false, tls: TLSContext? = nil, _ script: @escaping @Sendable (ServerConnection) -> Void) {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        if slowly {
            var bytes: Int32 = 4096
            setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &bytes, 4)
        }
        let listener = listener
        port = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                precondition(bind(listener, generic, length) == 0 && listen(listener, 512) == 0)
                precondition(getsockname(listener, generic, &length) == 0)
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        _ = TestThread { [self] in
            while true {
                let descriptor = accept(listener, nil, nil)
                guard descriptor >= 0 else { return }
                let index = accepted.wrappingAdd(1, ordering: .relaxed).oldValue
                let now = open.wrappingAdd(1, ordering: .relaxed).newValue
                _ = openMost.max(now, ordering: .relaxed)
                _ = TestThread { [self] in
                    script(ServerConnection(descriptor, index: index, slowly: slowly, tls: tls))
                    _ = open.wrappingSubtract(1, ordering: .relaxed)
                    close(descriptor)
                }
            }
        }
    }
    deinit { close(listener) }
    var acceptedCount: Int { accepted.load(ordering: .relaxed) }
    var openCountMost: Int { openMost.load(ordering: .relaxed) }
    func keep(_ request: ReceivedRequest) { requests.withLock { $0.append(request) } }
    var kept: [ReceivedRequest] { requests.withLock { $0 } }
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    func endpoint(secrets: [String] = [], target: String = "/hooks") -> DestinationDescription {
        DestinationDescription(
            addresses: [EgressAddress(literal: "127.0.0.1", port: port)!], authority: "127.0.0.1:\(port)",
            target: target, secrets: secrets)
    }
}

/// A loop with its rings and the memory of the requests given to it. Destinations are named by their place, which is
/// also their pool.
final class EgressHarness {
    let loop: EgressThread
    private var destinations: [Destination]
    /// Requests may be out to destinations of before.
    private var retired: [Destination] = []
    private var memory: [UnsafeMutablePointer<UInt8>] = []
    private(set) var nextToken: UInt64 = 1
    private(set) var outcomes: [UInt64: DeliveryOutcome] = [:]
    private(set) var answers: [UInt64: [UInt8]] = [:]
    private(set) var repeatedTokens: [UInt64] = []

    init(
        _ descriptions: [DestinationDescription], limits: EgressLimits = EgressHarness.smallLimits,
        ringCapacity: Int = 1024
    ) throws {
        let orders = try #require(OutboundRequestRing(capacity: ringCapacity))
        let outcomeRing = try #require(OutcomeRing(capacity: ringCapacity))
        destinations = try descriptions.map { try EgressHarness.destination($0, limits) }
        loop = try #require(
            EgressThread(
                orders: orders, outcomes: outcomeRing, answers: try AnswerMemory(roomCount: 2048), limits: limits))
        try loop.start()
    }
    static var smallLimits: EgressLimits {
        var limits = EgressLimits()
        limits.connectionCountMax = 64
        limits.orderCountMax = 512
        limits.poolCountMax = 16
        limits.receiveBufferCount = 16
        return limits
    }
    private static func destination(
        _ description: DestinationDescription, _ limits: EgressLimits, predecessor: Destination? = nil
    ) throws -> Destination {
        try Destination(
            description, version: "test", requestHeadBytesMax: limits.requestHeadBytesMax, predecessor: predecessor)
    }
    /// What comes now goes there.
    func replace(_ index: Int, with description: DestinationDescription) throws {
        retired.append(destinations[index])
        destinations[index] = try EgressHarness.destination(description, loop.limits, predecessor: destinations[index])
    }
    private func place(_ bytes: [UInt8]) -> ByteView {
        let block = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
        bytes.withUnsafeBufferPointer { if let first = $0.baseAddress { block.update(from: first, count: $0.count) } }
        memory.append(block)
        return ByteView(block, count: bytes.count)
    }
    @discardableResult
    func deliver(
        _ body: [UInt8] = Array("{}".utf8), endpoint: UInt32 = 0, id: String = "evt_1", pool: UInt32? = nil,
        change: (inout OutboundRequest) -> Void = { _ in }
    ) -> UInt64 {
        let token = nextToken
        nextToken += 1
        let lines = "Content-Type: application/json\r\nwebhook-id: \(id)\r\n"
        var request = OutboundRequest(
            token: token, pool: pool ?? endpoint, destination: destinations[Int(endpoint)],
            eventID: place(Array(id.utf8)), fieldLines: place(Array(lines.utf8)), body: place(body))
        change(&request)
        while !loop.orders.push(request) { sched_yield() }
        loop.orders.signal()
        return token
    }
    private func collect() {
        _ = loop.outcomes.drain(maximum: 1024) { outcome in
            answers[outcome.token] = loop.answers.bytes(of: outcome)
            if outcomes.updateValue(outcome, forKey: outcome.token) != nil { repeatedTokens.append(outcome.token) }
        }
    }
    /// Waits until `count` outcomes have come since the start; a lost one would wait half a minute and then fail the
    /// test.
    func wait(for count: Int) {
        var patience = 3000
        while outcomes.count < count, patience > 0 {
            collect()
            if outcomes.count < count {
                loop.outcomes.sleep(timeoutMillis: 10)
                patience -= 1
            }
        }
    }
    func outcome(_ token: UInt64) throws -> DeliveryOutcome {
        wait(for: Int(nextToken - 1))
        return try #require(outcomes[token])
    }
    func deliverAndWait(
        _ body: [UInt8] = Array("{}".utf8), endpoint: UInt32 = 0, change: (inout OutboundRequest) -> Void = { _ in }
    ) throws -> DeliveryOutcome {
        try outcome(deliver(body, endpoint: endpoint, change: change))
    }
    /// Stops, joins, and looks that nothing came twice.
    func finish() {
        loop.stop()
        loop.join()
        collect()
        #expect(repeatedTokens.isEmpty)
        #expect(outcomes.count == Int(nextToken - 1))
        for block in memory { block.deallocate() }
        memory = []
    }
}
