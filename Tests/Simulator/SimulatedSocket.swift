// One connection of a simulated network, seen from the end that is not the loop's. What is said here arrives in pieces,
// later, in order; connections do not keep each other's order.

import FastPath

package final class Connection {
    let descriptor: Int32
    unowned let port: LoopPort
    /// Arrived, and not received by the loop.
    var arrived: [UInt8] = []
    /// When the last of what was said arrives.
    var arrivesAt: UInt64 = 0
    var hasEnded = false
    var isEndTold = false
    package internal(set) var isReset = false
    package internal(set) var isClosed = false
    /// The peer reads nothing: what the loop sends waits.
    package var isStalled = false { didSet { if !isStalled, isOpen { port.goOn(self) } } }
    var receive: Tag?
    var poll: Tag?
    var connect: Tag?
    /// A send that waits for the peer to read.
    var waiting: (() -> Void)?
    var waitingTag: Tag?
    /// What the loop has sent and the peer not taken.
    package var sent: [UInt8] = []
    package var onSent: (() -> Void)?
    /// The loop has closed, or the connection was reset.
    package var onEnd: (() -> Void)?

    init(_ descriptor: Int32, _ port: LoopPort) {
        self.descriptor = descriptor
        self.port = port
    }
    package var isOpen: Bool { !isReset && !isClosed }
    package func say(_ bytes: [UInt8], pieceBytesMax: Int) {
        if isOpen { port.carry(self, bytes, pieceBytesMax) }
    }
    package func end() { if isOpen { port.carryEnd(self) } }
    package func reset() { if isOpen { port.reset(self) } }
}
