// One reader of the stream of events: what was told it and is not sent yet, within bounds, between the thread that
// tells and the connection that sends.
//
// Invariants: whoever tells never waits; one task takes; a reader that has ended gives what it has and then nothing.
import FastPath
import NIOCore
import Synchronization

package final class StreamReader: Sendable {
    private struct State {
        var queued = ByteBuffer()
        /// Since when it waits, or some of it was taken last; monotonic.
        var waitingSince: UInt64 = 0
        var waiter: CheckedContinuation<Void, Never>?
        /// Nothing more comes.
        var hasEnded = false
        /// Nobody takes any more.
        var isClosed = false
    }
    /// So much is on its way to the connection and counts as sent.
    package static let takenBytesMax = 64 << 10
    private let state = Mutex(State())
    private let clock: @Sendable () -> UInt64

    package init(clock: @escaping @Sendable () -> UInt64 = { ProcessResources.monotonicNanos }) { self.clock = clock }

    // MARK: who tells

    /// False, and nothing was taken, where more than `byteCountMax` would wait then. Where nothing waits all is taken.
    package func offer(_ bytes: ByteBuffer, byteCountMax: Int) -> Bool {
        let now = clock()
        let (isTaken, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Void, Never>?) in
            guard !state.hasEnded, !state.isClosed else { return (true, nil) }
            let count = state.queued.readableBytes
            guard count == 0 || count + bytes.readableBytes <= byteCountMax else { return (false, nil) }
            if state.queued.readableBytes == 0 {
                state.queued = bytes
                state.waitingSince = now
            } else {
                state.queued.writeImmutableBuffer(bytes)
            }
            return (true, state.waiter.take())
        }
        waiter?.resume()
        return isTaken
    }
    /// After these words nothing comes.
    package func end(_ words: ByteBuffer = ByteBuffer()) {
        let waiter = state.withLock { state in
            if !state.hasEnded { state.queued.writeImmutableBuffer(words) }
            state.hasEnded = true
            return state.waiter.take()
        }
        waiter?.resume()
    }
    /// What nobody has taken, and for how long nobody has taken any; monotonic nanoseconds.
    package var waiting: (byteCount: Int, nanos: UInt64) {
        let now = clock()
        return state.withLock { state in
            let count = state.queued.readableBytes
            return (count, count == 0 || now < state.waitingSince ? 0 : now - state.waitingSince)
        }
    }
    package var isClosed: Bool { state.withLock { $0.isClosed } }

    // MARK: who takes

    /// Of what waits, as soon as there is some, so much as is sent at once; nil when there will be none any more, or
    /// the task is cancelled.
    package func next() async -> ByteBuffer? {
        await withTaskCancellationHandler {
            while true {
                let now = clock()
                let (taken, isOver) = state.withLock { state -> (ByteBuffer, Bool) in
                    (StreamReader.take(&state, now), state.hasEnded || state.isClosed)
                }
                if taken.readableBytes > 0 { return taken }
                if isOver { return nil }
                await withCheckedContinuation { continuation in
                    let isReady = state.withLock { state in
                        if state.queued.readableBytes > 0 || state.hasEnded || state.isClosed { return true }
                        state.waiter = continuation
                        return false
                    }
                    if isReady { continuation.resume() }
                }
            }
        } onCancel: {
            close()
        }
    }
    private static func take(_ state: inout State, _ now: UInt64) -> ByteBuffer {
        guard state.queued.readableBytes > takenBytesMax else {
            defer { state.queued = ByteBuffer() }
            return state.queued
        }
        // A copy, so that nothing holds what is appended to.
        let taken = ByteBuffer(bytes: state.queued.readBytes(length: takenBytesMax) ?? [])
        if state.queued.readerIndex > state.queued.readableBytes { state.queued.discardReadBytes() }
        state.waitingSince = now
        return taken
    }
    package func close() {
        let waiter = state.withLock { state in
            state.isClosed = true
            state.queued = ByteBuffer()
            return state.waiter.take()
        }
        waiter?.resume()
    }
}

/// A place among the readers, which is free again when nobody holds this any more.
package final class StreamPlace: Sendable {
    package let reader: StreamReader
    package init(_ reader: StreamReader) { self.reader = reader }
    deinit { reader.close() }
}
