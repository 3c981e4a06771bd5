// One request being rendered and sent, in its connection's own memory: head, signature, body. Small bodies are copied
// behind the head and leave in one piece; long ones are sent from where they lie, with the event's text between.
//
// Invariants: the block of a slot never moves; nothing in it changes between a send and its completion; the head never
// passes its room (the compiler of the entries keeps heads short, and a longer one traps). If they fail, the server
// gets a torn request and a signature that does not fit.
// Safety: owns nothing; all pointers lie in the slot's block or in the entries' memory, which both outlive it.
import CShims

@safe struct LoadRequest {
    /// Message header, scatter list, address, id, timestamp, signature.
    static let fixedByteCount = 512
    /// Head and a small body.
    static let roomByteCount = 6144
    private static let headBytesMax = 4096
    private static let partCountMax = 4

    private let header: UnsafeMutablePointer<msghdr>
    private let parts: UnsafeMutablePointer<iovec>
    private let address: UnsafeMutablePointer<sockaddr_storage>
    private let idText: UnsafeMutablePointer<UInt8>
    private let timeText: UnsafeMutablePointer<UInt8>
    private let tag: UnsafeMutablePointer<UInt8>
    private let room: UnsafeMutablePointer<UInt8>
    private var timeCount = 0
    private var used = 0
    private var partIndex = 0
    private var partCount = 0
    private(set) var byteCount = 0

    /// `block` has `fixedByteCount + roomByteCount` bytes, is aligned to 64 and stays for the slot's life.
    init(block: UnsafeMutablePointer<UInt8>) {
        let raw = UnsafeMutableRawPointer(block)
        unsafe header = raw.bindMemory(to: msghdr.self, capacity: 1)
        unsafe parts = (raw + 64).bindMemory(to: iovec.self, capacity: LoadRequest.partCountMax)
        unsafe address = (raw + 128).bindMemory(to: sockaddr_storage.self, capacity: 1)
        unsafe idText = block + 256
        unsafe timeText = block + 320
        unsafe tag = block + 384
        unsafe room = block + LoadRequest.fixedByteCount
        unsafe header.initialize(to: msghdr())
        unsafe parts.initialize(repeating: iovec(), count: LoadRequest.partCountMax)
        unsafe address.initialize(to: sockaddr_storage())
    }
    func setAddress(_ peer: EgressAddress) -> UnsafePointer<sockaddr> {
        unsafe peer.write(to: UnsafeMutableRawPointer(address))
        return unsafe UnsafeRawPointer(address).assumingMemoryBound(to: sockaddr.self)
    }

    // MARK: rendering

    /// `seconds`: the time that is said and signed.
    mutating func render(_ entry: LoadEntry, kind: LoadKind, run: UInt32, event: UInt64, seconds: UInt64) {
        unsafe LoadEventText.write(run: run, event: event, into: idText)
        let said = kind == .stale && seconds > entry.staleBySeconds ? seconds - entry.staleBySeconds : seconds
        timeCount = unsafe LoadRequest.writeDecimal(said &* entry.timestampUnitsPerSecond, into: timeText)
        let body = unsafe entry.bodies[Int(LoadMix.scramble(event) % entry.bodyCount)]
        used = 0
        for index in 0..<entry.headCount {
            let piece = unsafe entry.head[index]
            switch piece.kind {
            case .literal: append(piece.text)
            case .id: unsafe append(ByteView(idText, count: LoadEventText.byteCount))
            case .run: append(runText)
            case .event: append(eventText)
            case .timestamp: unsafe append(ByteView(timeText, count: timeCount))
            case .bodyLength:
                precondition(used + 20 <= LoadRequest.headBytesMax)
                unsafe used += LoadRequest.writeDecimal(UInt64(body.bytes.count), into: room + used)
            case .retryLine: if kind == .retry { append(piece.text) }
            case .malformedLine: if kind == .malformed { appendMalformed(event) }
            case .signature: appendSignature(entry, body, spoiled: kind == .badSignature)
            case .body: break
            }
        }
        endHead(body)
    }
    private var runText: ByteView { unsafe ByteView(idText, count: LoadEventText.byteCount).slice(LoadEventText.run) }
    private var eventText: ByteView {
        unsafe ByteView(idText, count: LoadEventText.byteCount).slice(LoadEventText.event)
    }
    @inline(__always) private mutating func append(_ bytes: ByteView) {
        precondition(bytes.count <= LoadRequest.headBytesMax - used)
        unsafe sluice_bytes_move(room + used, bytes.base, bytes.count)
        used += bytes.count
    }
    private mutating func append(_ text: StaticString) {
        unsafe append(ByteView(text.utf8Start, count: text.utf8CodeUnitCount))
    }
    private mutating func appendMalformed(_ event: UInt64) {
        switch event % 4 {
        case 0: append("Content-Length: 1x\r\n")
        case 1: append("Bad Name: x\r\n")
        case 2: append("Transfer-Encoding: chunked, identity\r\n")
        default: append("No-Colon\r\n")
        }
    }
    private mutating func appendSignature(_ entry: LoadEntry, _ body: LoadCompiledBody, spoiled: Bool) {
        let start = used
        if let key = entry.key {
            var stream = MACStream(key)
            for index in 0..<entry.signedCount {
                let piece = unsafe entry.signed[index]
                switch piece.kind {
                case .id: unsafe stream.add(ByteView(idText, count: LoadEventText.byteCount))
                case .run: stream.add(runText)
                case .event: stream.add(eventText)
                case .timestamp: unsafe stream.add(ByteView(timeText, count: timeCount))
                case .body: add(body, to: &stream)
                default: stream.add(piece.text)
                }
            }
            unsafe stream.finish(into: tag)
            let digest = unsafe ByteView(tag, count: key.algorithm.digestBytes)
            precondition(used + 2 * digest.count <= LoadRequest.headBytesMax)
            switch entry.encoding {
            case .hex:
                unsafe TextEncoding.writeHex(digest, into: room + used)
                used += 2 * digest.count
            case .base64, .base64URL:
                unsafe TextEncoding.writeBase64(digest, into: room + used)
                used += TextEncoding.base64Count(digest.count)
                if entry.encoding == .base64URL { makeURLSafe(from: start) }
            }
        } else {
            append(entry.fixed)
        }
        // A digit of both alphabets, so that the form stays right and the value does not.
        if spoiled, used > start { unsafe room[start] = room[start] == 0x30 ? 0x31 : 0x30 }
    }
    private func add(_ body: LoadCompiledBody, to stream: inout MACStream) {
        guard body.idOffset >= 0 else { return stream.add(body.bytes) }
        stream.add(body.bytes.slice(0, body.idOffset))
        unsafe stream.add(ByteView(idText, count: LoadEventText.byteCount))
        let behind = body.idOffset + LoadEventText.byteCount
        stream.add(body.bytes.slice(behind, body.bytes.count - behind))
    }
    private mutating func makeURLSafe(from start: Int) {
        while used > start, unsafe room[used - 1] == 0x3D { used -= 1 }
        for index in start..<used {
            if unsafe room[index] == 0x2B {
                unsafe room[index] = 0x2D
            } else if unsafe room[index] == 0x2F {
                unsafe room[index] = 0x5F
            }
        }
    }
    /// Returns the number of digits, at most 20.
    @inline(__always)
    private static func writeDecimal(_ value: UInt64, into memory: UnsafeMutablePointer<UInt8>) -> Int {
        var digits = 1
        var rest = value
        while rest >= 10 {
            rest /= 10
            digits += 1
        }
        rest = value
        for index in stride(from: digits - 1, through: 0, by: -1) {
            unsafe memory[index] = UInt8(truncatingIfNeeded: 48 + rest % 10)
            rest /= 10
        }
        return digits
    }
    private mutating func endHead(_ body: LoadCompiledBody) {
        partIndex = 0
        byteCount = used + body.bytes.count
        if byteCount <= LoadRequest.roomByteCount {
            unsafe sluice_bytes_move(room + used, body.bytes.base, body.bytes.count)
            if body.idOffset >= 0 {
                unsafe sluice_bytes_move(room + used + body.idOffset, idText, LoadEventText.byteCount)
            }
            unsafe setPart(0, room, byteCount)
            partCount = 1
        } else if body.idOffset < 0 {
            unsafe setPart(0, room, used)
            unsafe setPart(1, body.bytes.base, body.bytes.count)
            partCount = 2
        } else {
            let behind = body.idOffset + LoadEventText.byteCount
            unsafe setPart(0, room, used)
            unsafe setPart(1, body.bytes.base, body.idOffset)
            unsafe setPart(2, idText, LoadEventText.byteCount)
            unsafe setPart(3, body.bytes.base + behind, body.bytes.count - behind)
            partCount = 4
        }
    }
    @inline(__always) private func setPart(_ index: Int, _ base: UnsafePointer<UInt8>, _ count: Int) {
        unsafe parts[index].iov_base = UnsafeMutableRawPointer(mutating: base)
        unsafe parts[index].iov_len = count
    }

    // MARK: sending

    /// True exactly when one plain send carries what is left: `rest` has it.
    @inline(__always) var isOnePiece: Bool { partCount - partIndex == 1 }
    @inline(__always) var rest: ByteView {
        unsafe ByteView(parts[partIndex].iov_base.assumingMemoryBound(to: UInt8.self), count: parts[partIndex].iov_len)
    }
    @inline(__always) func kernelMessage() -> UnsafePointer<msghdr> {
        unsafe header.pointee.msg_iov = parts + partIndex
        unsafe header.pointee.msg_iovlen = partCount - partIndex
        return unsafe UnsafePointer(header)
    }
    /// True exactly when nothing is left.
    @inline(__always) mutating func advance(by count: Int) -> Bool {
        var sent = count
        while partIndex < partCount, unsafe sent >= parts[partIndex].iov_len {
            unsafe sent -= parts[partIndex].iov_len
            partIndex += 1
        }
        guard partIndex < partCount else { return true }
        unsafe parts[partIndex].iov_base += sent
        unsafe parts[partIndex].iov_len -= sent
        return false
    }
    /// The rendered request, for tests; allocates.
    func bytes() -> [UInt8] {
        var all: [UInt8] = []
        for index in partIndex..<partCount {
            unsafe all +=
                ByteView(
                    parts[index].iov_base.assumingMemoryBound(to: UInt8.self), count: parts[index].iov_len
                ).array
        }
        return all
    }
}

/// What a request of an entry looks like, for tests and for a first look; allocates.
@safe package struct LoadPreview {
    private let entries: LoadEntries

    package init(_ entries: LoadEntries) { self.entries = entries }
    package func bytes(entry: Int, kind: LoadKind, run: UInt32, event: UInt64, seconds: UInt64) -> [UInt8] {
        precondition(entry >= 0 && entry < entries.count)
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: LoadRequest.fixedByteCount + LoadRequest.roomByteCount, alignment: 64)
        defer { unsafe block.deallocate() }
        var request = unsafe LoadRequest(block: block.assumingMemoryBound(to: UInt8.self))
        unsafe request.render(entries.entries[entry], kind: kind, run: run, event: event, seconds: seconds)
        return request.bytes()
    }
}
