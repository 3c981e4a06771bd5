// The loop's side of its port: what a loop asks of the kernel, asked of the simulated world.
//
// Safety: what a submission points to stays until its completion, as for the kernel.

import CShims
import FastPath
import Glibc

package struct PortIO: LoopIO, ~Copyable {
    let port: LoopPort
    private static let submitNanos: UInt64 = 20_000

    package init(_ port: LoopPort) { self.port = port }

    // MARK: sockets

    package func accept(listener: Int32, tag: Tag) { port.acceptTag = tag }
    package func receive(_ descriptor: Int32, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -9) }
        connection.receive = tag
        port.pump(connection)
    }
    package func awaitBytes(_ descriptor: Int32, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -9) }
        connection.poll = tag
        port.pump(connection)
    }
    package func send(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -9) }
        port.later(PortIO.submitNanos) { [port] in
            port.send(connection, tag) { Array(UnsafeBufferPointer(start: bytes, count: count)) }
        }
    }
    package func sendMessage(_ descriptor: Int32, _ message: UnsafePointer<msghdr>, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -9) }
        port.later(PortIO.submitNanos) { [port] in
            port.send(connection, tag) {
                var bytes: [UInt8] = []
                for index in 0..<Int(message.pointee.msg_iovlen) {
                    let part = message.pointee.msg_iov[index]
                    bytes += UnsafeRawBufferPointer(start: part.iov_base, count: part.iov_len)
                }
                return bytes
            }
        }
    }
    package func openSocket(_ family: EgressAddress.Family) -> Int32 { port.open().descriptor }
    package func connect(_ descriptor: Int32, _ address: UnsafePointer<sockaddr>, byteCount: Int, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -9) }
        let bytes = UnsafeRawBufferPointer(start: address, count: byteCount)
        let number = Int(bytes[2]) << 8 | Int(bytes[3])
        connection.connect = tag
        port.onConnect?(connection, number, tag)
    }
    package func sendNow(_ descriptor: Int32, _ bytes: UnsafePointer<UInt8>, count: Int) {
        guard let connection = port.connections[descriptor], connection.isOpen else { return }
        connection.sent += UnsafeBufferPointer(start: bytes, count: count)
        connection.onSent?()
    }
    package func cancel(_ target: Tag, tag: Tag) {
        port.later(PortIO.submitNanos) { [port] in
            port.cancel(target)
            port.complete(tag, 0)
        }
    }
    package func cancelAll(_ descriptor: Int32, tag: Tag) {
        guard let connection = port.connections[descriptor] else { return port.complete(tag, -2) }
        port.later(PortIO.submitNanos) { [port] in
            port.cancel(connection)
            port.complete(tag, 0)
        }
    }
    package func close(_ descriptor: Int32, tag: Tag) {
        port.close(descriptor)
        port.complete(tag, 0)
    }
    package func halfClose(_ descriptor: Int32) { port.connections[descriptor]?.onEnd?() }
    package func closeNow(_ descriptor: Int32) { port.close(descriptor) }
    package func peer(_ descriptor: Int32) -> IPAddress? { IPAddress("127.0.0.1") }

    // MARK: the log

    package func readWake(_ descriptor: Int32, into value: UnsafeMutablePointer<UInt64>, tag: Tag) {
        port.wakeTag = tag
    }
    package func writeAndSync(
        _ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, write: Tag, sync: Tag
    ) {
        port.write(descriptor, bytes, count, Int(offset), write, sync: sync)
    }
    package func writeDurably(_ descriptor: Int32, _ bytes: UnsafeRawPointer, count: Int, offset: UInt64, tag: Tag) {
        port.write(descriptor, bytes, count, Int(offset), tag, sync: nil)
    }
    package func setDirect(_ descriptor: Int32, _ isDirect: Bool) -> Bool { true }
    package func renameAndSync(
        folder: Int32, from: UnsafePointer<CChar>, to: UnsafePointer<CChar>, rename: Tag, sync: Tag
    ) {
        port.rename(folder, String(cString: from), String(cString: to), rename, sync: sync)
    }

    // MARK: completions and time

    package mutating func enter(waitNanos: UInt64) -> Int { port.enter(waitNanos) }
    package func completion(_ index: Int) -> Completion { port.reaped[index] }
    package func bytes(ofBuffer index: Int) -> UnsafeMutablePointer<UInt8> { port.bytes(of: index) }
    package var hasRestingBuffers: Bool { false }
    package mutating func give(buffer index: Int) { port.give(index) }
    package mutating func publishBuffers() { port.publishBuffers() }
    package func monotonicNanos() -> UInt64 { port.clock.now }
    package func wallNanos() -> UInt64 { port.clock.wall }
}
