// Bytes between sockets and connections that are not plain. To its connection a tunnel and a handshake are part of the
// connect, a record's plaintext is what came, and what was sent is what its records carried.
//
//     connect → (tunnel) → (handshake) → connectCompleted     ciphertext → read → received
//     write, send → records → all sent → sendCompleted         close_notify → receiveEnded(0)
//
// Invariants: a connection hears of an operation exactly as it would over a plain socket; an end of the stream without
// a close_notify is a lost connection, never the end of an answer; the slot is freed when the operations that only the
// transport knows of have come home, too.
//
// Safety: fed ciphertext lies in a receive buffer that is given back after the reads; records lie in the session's
// block until they were sent; the destination is read while the connection has its order.

import CShims

extension EgressLoop where IO: ~Copyable {
    /// A completion of a slot whose transport is not plain.
    mutating func runTransport(_ completion: Completion, _ slot: Int32) {
        switch completion.tag.kind {
        case .connect: transportConnected(completion.result, slot)
        case .send: transportSent(completion.result, slot)
        case .receive: transportReceived(completion, slot)
        default: break
        }
        settleTransport(slot)
    }
    /// What could not be done while operations were in flight.
    private mutating func settleTransport(_ slot: Int32) {
        guard !transports[slot].isInFlight else { return }
        if transports[slot].isFreeing { return freeTransport(slot) }
        guard table[slot].state == .closing else { return }
        switch transports[slot].stage {
        case .tunnelling, .handshaking:
            transports[slot].stage = .over
            apply(table[slot].connectCompleted(-ECANCELED, now: now), slot)
        case .plain, .connecting, .open, .over: break
        }
    }

    // MARK: the connect

    private mutating func transportConnected(_ result: Int32, _ slot: Int32) {
        guard transports[slot].stage == .connecting else { return }
        guard result >= 0, table[slot].state == .connecting else {
            transports[slot].stage = .over
            return apply(table[slot].connectCompleted(result, now: now), slot)
        }
        armTransport(slot)
        let order = table[slot].order
        if let tunnels = unsafe order.destination.pointee.tunnels {
            transports[slot].stage = .tunnelling
            let index = unsafe min(Int(order.addressIndex), order.destination.pointee.addressCount - 1)
            let bytes = unsafe table[slot].message.placeAlone(tunnels[index])
            transports[slot].isSendInFlight = true
            return unsafe io.send(table[slot].descriptor, bytes.base, count: bytes.count, tag: tag(.send, slot))
        }
        beginSession(slot)
    }
    /// What comes now belongs to the endpoint.
    private mutating func beginSession(_ slot: Int32) {
        let destination = unsafe table[slot].order.destination
        guard let tls = unsafe destination.pointee.tls else {
            transports[slot].stage = .open
            return apply(table[slot].connectCompleted(0, now: now), slot)
        }
        transports[slot].session = unsafe TLSSession(
            connecting: tls.context, name: tls.name, isAddress: tls.isAddress,
            outputBytes: EgressTransports.outputBytes)
        transports[slot].stage = .handshaking
        guard transports[slot].session != nil else { return failTransport(slot, .noMemory) }
        transports.useTicket(for: slot, pool: table[slot].pool, key: table[slot].key, now: now)
        readTransport(slot)
        flushTransport(slot)
    }
    private mutating func failTransport(_ slot: Int32, _ failure: TLSFailure) {
        endConnection(slot, -Int32(failure.rawValue), as: .tlsFailed)
    }
    /// In the connect or an open session. Nil: as the loss of what it was.
    private mutating func endConnection(_ slot: Int32, _ result: Int32, as kind: DeliveryResult? = nil) {
        let isConnecting = transports[slot].stage != .open
        transports[slot].stage = .over
        transports.forgetTicket(pool: table[slot].pool)
        sayLastWords(slot)
        apply(
            isConnecting
                ? table[slot].connectCompleted(result, as: kind ?? .connectFailed, now: now)
                : table[slot].receiveEnded(result, needsRearm: false, as: kind ?? .connectionLost, now: now), slot)
    }

    // MARK: in

    mutating func armTransport(_ slot: Int32) {
        guard !transports[slot].isReceiveArmed else { return }
        transports[slot].isReceiveArmed = true
        io.receive(table[slot].descriptor, tag: tag(.receive, slot))
    }
    private mutating func transportReceived(_ completion: Completion, _ slot: Int32) {
        let buffer = completion.buffer
        if buffer >= 0 {
            if completion.result > 0 {
                count(.bytesReceived, Int(completion.result))
                unsafe takeTransport(slot, io.bytes(ofBuffer: buffer), count: Int(completion.result))
            }
            io.give(buffer: buffer)
        }
        guard !completion.hasMore else { return }
        transports[slot].isReceiveArmed = false
        guard !transports[slot].isFreeing else { return }
        let result = completion.result
        switch transports[slot].stage {
        case .tunnelling, .handshaking:
            guard table[slot].state == .connecting else { return }
            if result > 0 || result == -ENOBUFS { return armTransport(slot) }
            endConnection(slot, result == 0 ? -ECONNRESET : result)
        case .open, .over:
            let needsRearm = result > 0 || result == -ENOBUFS
            // Only TLS has an end of its own that must come before the stream's.
            let lacksEnd = result == 0 && transports[slot].session != nil
            let actions = table[slot].receiveEnded(
                lacksEnd ? -ECONNRESET : min(result, 0), needsRearm: needsRearm, now: now)
            apply(actions, slot)
        case .plain, .connecting: break
        }
    }
    private mutating func takeTransport(_ slot: Int32, _ bytes: UnsafeMutablePointer<UInt8>, count: Int) {
        guard table[slot].state != .closing else { return }
        switch transports[slot].stage {
        case .tunnelling: return unsafe takeTunnelAnswer(slot, bytes, count: count)
        case .handshaking, .open: break
        case .plain, .connecting, .over: return
        }
        guard transports[slot].session != nil else {
            let actions = unsafe table[slot].received(
                bytes, count: count, now: now, fields: &fields, wallSeconds: wallSeconds)
            return apply(actions, slot)
        }
        unsafe transports[slot].session?.feed(bytes, count: count)
        readTransport(slot)
        // Also of one that the peer has closed right behind its answer; one that failed has none.
        if transports[slot].session?.failure == TLSFailure.none {
            transports.keepTicket(of: slot, pool: table[slot].pool, key: table[slot].key, now: now)
        }
        flushTransport(slot)
    }
    private mutating func takeTunnelAnswer(_ slot: Int32, _ bytes: UnsafeMutablePointer<UInt8>, count: Int) {
        let view = unsafe ByteView(bytes, count: count)
        switch transports[slot].tunnel.take(view) {
        case .more: return
        case .refused(let status): endConnection(slot, -Int32(status), as: .proxyRefused)
        case .open(let end):
            beginSession(slot)
            // A server never speaks first in HTTP, but what was sent is not ours to drop.
            if end < count { unsafe takeTransport(slot, bytes + end, count: count - end) }
        }
    }
    /// Reads until the session wants more.
    private mutating func readTransport(_ slot: Int32) {
        let (memory, room) = unsafe (transports.inbound, transports.inboundRoom)
        while true {
            let step = unsafe transports[slot].session?.read(into: memory, room: room)
            guard let step else { return }
            if transports[slot].stage == .handshaking, transports[slot].session?.isOpen == true {
                transports[slot].stage = .open
                apply(table[slot].connectCompleted(0, now: now), slot)
            }
            switch step {
            case .bytes(let count): takePlaintext(slot, count)
            case .wantsInput: return
            // One flight of a client fits its block.
            case .wantsRoom: return failTransport(slot, .malformed)
            case .closed:
                if transports[slot].stage == .handshaking { return failTransport(slot, .refusedByPeer) }
                transports[slot].stage = .over
                return apply(table[slot].receiveEnded(0, needsRearm: false, now: now), slot)
            case .failed(let failure): return failTransport(slot, failure)
            }
            guard transports[slot].stage == .open, table[slot].state != .closing else { return }
        }
    }
    private mutating func takePlaintext(_ slot: Int32, _ count: Int) {
        if !transports[slot].hasRead {
            transports[slot].hasRead = true
            // A server that speaks HTTP/2 whatever it was offered begins with its settings (RFC 9113, 3.4).
            if unsafe count >= 9 && transports.inbound[0] == 0 && transports.inbound[3] == 4 {
                return failTransport(slot, .noHTTP1)
            }
        }
        let actions = unsafe table[slot].received(
            transports.inbound, count: count, now: now, fields: &fields, wallSeconds: wallSeconds)
        apply(actions, slot)
    }

    // MARK: out

    /// The connection's `send`: what has room goes into records.
    mutating func encrypt(_ slot: Int32) {
        guard transports[slot].session != nil else {
            transports[slot].isSendInFlight = true
            return unsafe io.sendMessage(
                table[slot].descriptor, table[slot].message.kernelMessage, tag: tag(.send, slot))
        }
        let memory = unsafe transports.outbound
        var taken = 0
        while true {
            let count = unsafe table[slot].message.copy(
                skipping: taken, into: memory, room: EgressTransports.outboundRoom)
            guard count > 0 else { break }
            guard let written = unsafe transports[slot].session?.write(memory, count: count) else {
                // What broke it comes with the next read, or is the peer's loss of the connection.
                transports[slot].wantsWrite = false
                return apply(table[slot].sendCompleted(-EPROTO, now: now), slot)
            }
            guard written > 0 else { break }
            taken += written
        }
        transports[slot].plainInFlight = taken
        transports[slot].wantsWrite = taken == 0
        flushTransport(slot)
    }
    private mutating func flushTransport(_ slot: Int32) {
        guard !transports[slot].isSendInFlight, !transports[slot].isFreeing, table[slot].state != .closing else {
            return
        }
        let waiting = transports[slot].session?.outputCount ?? 0
        guard waiting > 0, let bytes = unsafe transports[slot].session?.output else { return }
        transports[slot].isSendInFlight = true
        unsafe io.send(table[slot].descriptor, bytes, count: waiting, tag: tag(.send, slot))
    }
    private mutating func transportSent(_ result: Int32, _ slot: Int32) {
        transports[slot].isSendInFlight = false
        guard !transports[slot].isFreeing else { return }
        if result > 0 {
            transports[slot].session?.sent(Int(result))
            if transports[slot].session?.outputCount ?? 0 > 0, table[slot].state != .closing {
                return flushTransport(slot)
            }
        }
        switch transports[slot].stage {
        case .tunnelling, .handshaking:
            if result <= 0, table[slot].state == .connecting { endConnection(slot, min(result, -1)) }
        case .open where transports[slot].session == nil:
            apply(table[slot].sendCompleted(result, now: now), slot)
        case .open, .over:
            let taken = transports[slot].plainInFlight
            transports[slot].plainInFlight = 0
            if taken > 0 || result <= 0 {
                transports[slot].wantsWrite = false
                apply(table[slot].sendCompleted(result > 0 ? Int32(taken) : result, now: now), slot)
            } else if transports[slot].wantsWrite {
                encrypt(slot)
            }
        case .plain, .connecting: break
        }
    }

    // MARK: the end

    /// The connection wants its slot freed.
    mutating func endTransport(_ slot: Int32) {
        guard transports[slot].isInFlight else { return freeTransport(slot) }
        transports[slot].isFreeing = true
        io.cancelAll(table[slot].descriptor, tag: Tag(.ignored))
    }
    private mutating func freeTransport(_ slot: Int32) {
        // Behind half a record a close_notify would be noise.
        if transports[slot].stage == .open, transports[slot].session?.outputCount == 0 {
            transports[slot].session?.finish()
            sayLastWords(slot)
        }
        transports.reset(slot)
        free(slot)
    }
    /// An alert or a close_notify, if the socket takes it at once and nothing is being sent.
    private mutating func sayLastWords(_ slot: Int32) {
        let waiting = transports[slot].session?.outputCount ?? 0
        guard waiting > 0, !transports[slot].isSendInFlight else { return }
        guard let bytes = unsafe transports[slot].session?.output else { return }
        unsafe io.sendNow(table[slot].descriptor, bytes, count: waiting)
    }
}
