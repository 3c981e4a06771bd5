// A world for a loop, in memory: sockets, a disk and clocks that the test moves. The loop asks it what it asks the
// kernel and hears what a kernel would say, in an order that the test chose.
//
// Model: a submission is carried out by the next `enter`, in the order it was made; its completion is there at once,
// unless the test holds the disk back. Received bytes go into buffers as large as the test says. A cancel always ends
// what it names. A connect succeeds, fails or waits as the test says. Left out: completions out of order between
// sockets, and errors of `accept`.

import FastPath
import Glibc

/// One connection, seen from the other end.
package final class SimulatedSocket {
    /// What the other end has sent and the loop not received.
    package var inbound: [UInt8] = []
    /// What the loop has sent.
    package var outbound: [UInt8] = []
    /// The other end sends no more.
    package var isDone = false
    package var isReset = false
    /// The loop sends no more; the loop has closed.
    package fileprivate(set) var isHalfClosed = false
    package fileprivate(set) var isClosed = false
    fileprivate var receive: Tag?
    fileprivate var poll: Tag?
    fileprivate var connect: Tag?
    fileprivate var isEndTold = false
    package var text: String { String(decoding: outbound, as: UTF8.self) }
}

package final class SimulatedWorld {
    package var disk: SimulatedDisk
    package var monotonic: UInt64 = 1_000_000_000
    package var wall: UInt64 = JournalHarness.start * 1_000_000_000
    /// What one send takes at most.
    package var sendBytesMax = Int.max
    package var holdsDisk = false {
        didSet { if !holdsDisk { released() } }
    }
    package private(set) var closedFileCount = 0
    /// What a connect of the loop's comes to.
    package var connectResult: Int32 = 0
    package var holdsConnects = false
    /// The addresses of the loop's connects, as the kernel would be given them.
    package private(set) var connectAddresses: [[UInt8]] = []
    /// The loop has connected to, in that order.
    package private(set) var connected: [SimulatedSocket] = []
    package let bufferCount: Int
    fileprivate let bufferBytes: Int
    fileprivate let memory: UnsafeMutablePointer<UInt8>
    fileprivate var freeBuffers: [Int]
    fileprivate var givenBuffers: [Int] = []
    fileprivate var queue: [() -> Void] = []
    fileprivate var waitingForDisk: [() -> Void] = []
    fileprivate var completions: [Completion] = []
    fileprivate var reaped: [Completion] = []
    fileprivate var sockets: [Int32: SimulatedSocket] = [:]
    private var order: [Int32] = []
    fileprivate var accept: Tag?
    fileprivate var wake: Tag?
    private var nextDescriptor: Int32 = 1000
    fileprivate var isLinkBroken = false
    /// Files whose writes must be aligned.
    fileprivate var directFiles: Set<Int32> = []

    package init(seed: UInt64, bufferCount: Int = 64, bufferBytes: Int = 4096) {
        disk = SimulatedDisk(seed: seed)
        self.bufferCount = bufferCount
        self.bufferBytes = bufferBytes
        memory = .allocate(capacity: bufferCount * bufferBytes)
        freeBuffers = Array(0..<bufferCount)
    }
    deinit { memory.deallocate() }

    /// Receive buffers that are nobody's.
    package var freeBufferCount: Int { freeBuffers.count }
    package var openCount: Int { sockets.count }
    /// A client connects; nil while the loop accepts nobody.
    package func connect() -> SimulatedSocket? {
        guard let accept else { return nil }
        let descriptor = openSocket()
        complete(accept, descriptor, hasMore: true)
        return sockets[descriptor]
    }
    fileprivate func openSocket() -> Int32 {
        sockets[nextDescriptor] = SimulatedSocket()
        order.append(nextDescriptor)
        nextDescriptor += 1
        return nextDescriptor - 1
    }
    fileprivate func connect(_ socket: SimulatedSocket, to address: [UInt8], _ tag: Tag) {
        connectAddresses.append(address)
        if holdsConnects {
            socket.connect = tag
        } else {
            if connectResult == 0 { connected.append(socket) }
            complete(tag, connectResult)
        }
    }
    fileprivate func send(_ socket: SimulatedSocket, _ bytes: [UInt8], _ tag: Tag) {
        if socket.isReset { return complete(tag, -104) }
        let sent = min(bytes.count, sendBytesMax)
        socket.outbound += bytes.prefix(sent)
        complete(tag, Int32(sent))
    }
    fileprivate func complete(_ tag: Tag, _ result: Int32, hasMore: Bool = false, buffer: Int? = nil) {
        completions.append(Completion(tag: tag, result: result, hasMore: hasMore, buffer: buffer))
    }
    private func released() {
        let waiting = waitingForDisk
        waitingForDisk = []
        for step in waiting { step() }
    }
    fileprivate func onDisk(_ step: @escaping () -> Void) {
        if holdsDisk { waitingForDisk.append(step) } else { step() }
    }
    fileprivate func enter() -> Int {
        let steps = queue
        queue = []
        for step in steps { step() }
        order.removeAll { sockets[$0] == nil }
        for descriptor in order { pump(sockets[descriptor]!) }
        reaped = completions
        completions = []
        return reaped.count
    }
    private func pump(_ socket: SimulatedSocket) {
        if let tag = socket.poll, socket.isReset || socket.isDone || !socket.inbound.isEmpty {
            socket.poll = nil
            complete(tag, 1)
        }
        while let tag = socket.receive {
            if socket.isReset { return end(socket, tag, -104) }
            if socket.inbound.isEmpty {
                guard socket.isDone, !socket.isEndTold else { return }
                socket.isEndTold = true
                return end(socket, tag, 0)
            }
            guard let buffer = freeBuffers.popLast() else { return end(socket, tag, -105) }
            let count = min(bufferBytes, socket.inbound.count)
            for index in 0..<count { memory[buffer * bufferBytes + index] = socket.inbound[index] }
            socket.inbound.removeFirst(count)
            complete(tag, Int32(count), hasMore: true, buffer: buffer)
        }
    }
    private func end(_ socket: SimulatedSocket, _ tag: Tag, _ result: Int32) {
        socket.receive = nil
        complete(tag, result)
    }
    fileprivate func cancel(_ socket: SimulatedSocket) {
        if let tag = socket.receive { end(socket, tag, -125) }
        if let tag = socket.poll {
            socket.poll = nil
            complete(tag, -125)
        }
        if let tag = socket.connect {
            socket.connect = nil
            complete(tag, -125)
        }
    }
    fileprivate func close(_ descriptor: Int32) {
        if let socket = sockets.removeValue(forKey: descriptor) { socket.isClosed = true } else { closedFileCount += 1 }
    }
}

package struct SimulatedIO: LoopIO, ~Copyable {
    package let world: SimulatedWorld

    package init(_ world: SimulatedWorld) { self.world = world }

    // MARK: sockets

    package func accept(listener: Int32, tag: Tag) { world.queue.append { [world] in world.accept = tag } }
    package func receive(_ descriptor: Int32, tag: Tag) {
        world.queue.append { [world] in world.sockets[descriptor]!.receive = tag }
    }
    package func awaitBytes(_ descriptor: Int32, tag: Tag) {
        world.queue.append { [world] in world.sockets[descriptor]!.poll = tag }
    }
    package func send(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int, tag: Tag) {
        world.queue.append { [world] in
            world.send(world.sockets[descriptor]!, Array(UnsafeBufferPointer(start: bytes, count: count)), tag)
        }
    }
    package func sendMessage(_ descriptor: Int32, _ message: UnsafePointer<msghdr>, tag: Tag) {
        world.queue.append { [world] in
            var bytes: [UInt8] = []
            for index in 0..<Int(message.pointee.msg_iovlen) {
                let part = message.pointee.msg_iov[index]
                bytes += UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len)
            }
            world.send(world.sockets[descriptor]!, bytes, tag)
        }
    }
    package func openSocket(_ family: EgressAddress.Family) -> Int32 { world.openSocket() }
    package func connect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, byteCount: Int, tag: Tag) {
        world.queue.append { [world] in
            let bytes = Array(UnsafeRawBufferPointer(start: address, count: byteCount))
            world.connect(world.sockets[descriptor]!, to: bytes, tag)
        }
    }
    package func sendNow(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) {
        guard let socket = world.sockets[descriptor], !socket.isReset else { return }
        socket.outbound += UnsafeBufferPointer(start: bytes, count: count)
    }
    package func cancel(_ target: Tag, tag: Tag) {
        world.queue.append { [world] in
            if world.accept == target {
                world.accept = nil
                world.complete(target, -125)
            }
            if world.wake == target {
                world.wake = nil
                world.complete(target, -125)
            }
            for socket in world.sockets.values where socket.receive == target { world.cancel(socket) }
            world.complete(tag, 0)
        }
    }
    package func cancelAll(_ descriptor: Int32, tag: Tag) {
        world.queue.append { [world] in
            world.cancel(world.sockets[descriptor]!)
            world.complete(tag, 0)
        }
    }
    package func close(_ descriptor: Int32, tag: Tag) {
        world.queue.append { [world] in
            world.close(descriptor)
            world.complete(tag, 0)
        }
    }
    package func halfClose(_ descriptor: Int32) { world.sockets[descriptor]!.isHalfClosed = true }
    package func closeNow(_ descriptor: Int32) { world.close(descriptor) }
    package func peer(_ descriptor: Int32) -> IPAddress? { IPAddress("127.0.0.1") }

    // MARK: the log

    /// Never comes: the test ticks its loop.
    package func readWake(_ descriptor: Int32, into value: UnsafeMutablePointer<UInt64>, tag: Tag) { world.wake = tag }
    package func writeAndSync(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, write: Tag, sync: Tag
    ) {
        disk(descriptor, bytes, count, offset) { [world] written, synced in
            world.complete(write, Int32(written))
            world.complete(sync, Int32(synced))
        }
    }
    package func writeDurably(_ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, tag: Tag) {
        disk(descriptor, bytes, count, offset) { [world] written, synced in
            // A short write is durable as far as it went.
            let isCut = written >= 0 && written < count
            world.complete(tag, Int32(synced < 0 && !isCut ? synced : written))
        }
    }
    package func setDirect(_ descriptor: Int32, _ isDirect: Bool) -> Bool {
        if isDirect { world.directFiles.insert(descriptor) } else { world.directFiles.remove(descriptor) }
        return true
    }
    private func disk(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: UInt64,
        _ done: @escaping (Int, Int) -> Void
    ) {
        let isAligned = (UInt(bitPattern: bytes) | UInt(count) | UInt(offset)) % UInt(RecordFormat.blockBytes) == 0
        precondition(isAligned || !world.directFiles.contains(descriptor), "a write past the page cache is not aligned")
        world.queue.append { [world] in
            world.onDisk {
                if world.isLinkBroken {
                    world.isLinkBroken = false
                    return done(-125, -125)
                }
                let write = CommitWrite(file: descriptor, bytes: bytes, byteCount: count, fileOffset: offset)
                let result = world.disk.perform(write)
                done(result.written, result.synced)
            }
        }
    }
    package func renameAndSync(
        folder: Int32, from: UnsafePointer<CChar>, to: UnsafePointer<CChar>, rename: Tag, sync: Tag
    ) {
        world.queue.append { [world] in
            world.onDisk {
                let result = world.disk.rename(String(cString: from), to: String(cString: to))
                world.isLinkBroken = result < 0
                world.complete(rename, Int32(result))
                world.complete(sync, result < 0 ? -125 : 0)
            }
        }
    }

    // MARK: completions and time

    package mutating func enter(waitNanos: UInt64) -> Int { world.enter() }
    package func completion(_ index: Int) -> Completion { world.reaped[index] }
    package func bytes(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8> { world.memory + index * world.bufferBytes }
    package var hasRestingBuffers: Bool { false }
    package mutating func give(buffer index: Int) { world.givenBuffers.append(index) }
    package mutating func publishBuffers() {
        // What is read after it was given back is not what came.
        for buffer in world.givenBuffers {
            for index in 0..<world.bufferBytes { world.memory[buffer * world.bufferBytes + index] = 0xDD }
        }
        world.freeBuffers += world.givenBuffers
        world.givenBuffers = []
    }
    package func monotonicNanos() -> UInt64 { world.monotonic }
    package func wallNanos() -> UInt64 { world.wall }
}
