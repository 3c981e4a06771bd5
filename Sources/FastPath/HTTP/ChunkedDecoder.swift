// Decodes a chunked body in place (RFC 9112 §7.1): raw bytes in, data moved down over the framing, trailers checked and
// dropped. Passive; all state is in the struct, so raw bytes can be thrown away as soon as they are consumed.
//
// Invariants: the write place never passes the read place, so no byte is overwritten before it is read; every byte is
// consumed in the call that brings it; an error is the same however the bytes were split, and final.
// What breaks if they fail: a chunk's framing becomes data or the next request, which is request smuggling.
// Safety: `memory[from..<to]` is readable and `memory[writeAt..<to]` writable, for the call.

package enum ChunkedResult: Sendable {
    case incomplete(consumed: Int, written: Int)
    /// The body has ended; bytes from `from + consumed` on belong to the next message.
    case complete(consumed: Int, written: Int)
    case failed(HTTPError)
}

@safe package struct ChunkedDecoder: Sendable {
    enum Phase: UInt8 {
        case sizeStart, size, sizeLineFeed
        // After the size or a value, white space seen; after `;`; in a name; after a name, white space seen; after
        // `=`; in a token value; in a quoted value; behind its backslash; behind its end.
        case extensionBlank, extensionStart, extensionName, extensionNameBlank, extensionEquals
        case extensionToken, extensionQuoted, extensionEscaped, extensionQuotedEnd
        case data, dataCarriageReturn, dataLineFeed
        case trailerStart, trailerName, trailerValue, trailerLineFeed, endLineFeed
        case done
    }

    private var phase = Phase.sizeStart
    private var sizeDigitCount: UInt8 = 0
    private var trailerCount: UInt8 = 0
    /// The size being read, then what is left of the chunk.
    private var remaining: UInt64 = 0
    private var extensionBytes = 0
    private var trailerBytes = 0
    /// Bytes of data so far, over all calls.
    package private(set) var bodyByteCount = 0

    package init() {}

    /// Decodes `memory[from..<to]`, the data to `memory[writeAt...]` (`writeAt` ≤ `from`). Uses every byte unless it
    /// completes.
    /// A body larger than `bodyBytesMax` fails when the size that makes it so is read, before its data.
    @_noAllocation @_noLocks package mutating func decode(
        _ memory: UnsafeMutablePointer<UInt8>, from: Int, to: Int, writeAt: Int, bodyBytesMax: Int, limits: IngestLimits
    ) -> ChunkedResult {
        precondition(writeAt >= 0 && writeAt <= from && from <= to)
        var place = from
        var write = writeAt
        while place < to {
            if phase == .data {
                let count = Int(min(remaining, UInt64(to &- place)))
                // Overlapping is allowed: this is memmove.
                if write != place {
                    unsafe UnsafeMutableRawPointer(memory + write).copyMemory(from: memory + place, byteCount: count)
                }
                write &+= count
                place &+= count
                bodyByteCount &+= count
                remaining &-= UInt64(count)
                if remaining == 0 { phase = .dataCarriageReturn }
                continue
            }
            if let error = unsafe step(memory[place], bodyBytesMax, limits) { return .failed(error) }
            place &+= 1
            if phase == .done { return .complete(consumed: place &- from, written: write &- writeAt) }
        }
        return .incomplete(consumed: place &- from, written: write &- writeAt)
    }

    /// One byte of framing.
    @inline(__always) private mutating func step(
        _ byte: UInt8, _ bodyBytesMax: Int, _ limits: IngestLimits
    ) -> HTTPError? {
        switch phase {
        case .sizeStart, .size: return sizeByte(byte, limits)
        case .sizeLineFeed:
            guard byte == ASCII.lineFeed else { return .bareCarriageReturn }
            return beginChunk(bodyBytesMax)
        case .dataCarriageReturn:
            guard byte == ASCII.carriageReturn else { return .badChunkEnd }
            phase = .dataLineFeed
            return nil
        case .dataLineFeed:
            guard byte == ASCII.lineFeed else { return .badChunkEnd }
            phase = .sizeStart
            return nil
        case .trailerStart, .trailerName, .trailerValue, .trailerLineFeed, .endLineFeed:
            return trailerByte(byte, limits)
        case .data, .done: preconditionFailure("the decoder was used behind the end of its message")
        default: return extensionByte(byte, limits)
        }
    }
    @inline(__always) private mutating func sizeByte(_ byte: UInt8, _ limits: IngestLimits) -> HTTPError? {
        if CharacterClasses.isHexadecimal(byte) {
            // Sixteen digits fill 64 bits; more of them, leading zeros too, is nobody's chunk.
            guard sizeDigitCount < 16 else { return .badChunkSize }
            sizeDigitCount &+= 1
            remaining = remaining &<< 4 | UInt64(CharacterClasses.hexadecimalValue(byte))
            phase = .size
            return nil
        }
        guard phase == .size else { return .badChunkSize }
        switch byte {
        case ASCII.carriageReturn: phase = .sizeLineFeed
        case ASCII.semicolon, ASCII.space, ASCII.tab:
            phase = .extensionBlank
            return extensionByte(byte, limits)
        default: return byte == ASCII.lineFeed ? .bareLineFeed : .badChunkSize
        }
        return nil
    }
    private mutating func beginChunk(_ bodyBytesMax: Int) -> HTTPError? {
        sizeDigitCount = 0
        guard remaining > 0 else {
            phase = .trailerStart
            return nil
        }
        let room = bodyBytesMax - bodyByteCount
        guard room >= 0, remaining <= UInt64(room) else { return .bodyTooLarge }
        phase = .data
        return nil
    }

    /// `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`, all of the message together bounded.
    @inline(never) private mutating func extensionByte(_ byte: UInt8, _ limits: IngestLimits) -> HTTPError? {
        if byte == ASCII.carriageReturn {
            switch phase {
            case .extensionName, .extensionToken, .extensionQuotedEnd:
                phase = .sizeLineFeed
                return nil
            default: return .badChunkExtension
            }
        }
        if byte == ASCII.lineFeed { return .bareLineFeed }
        extensionBytes &+= 1
        guard extensionBytes <= limits.chunkExtensionBytesMax else { return .badChunkExtension }
        guard let next = ChunkedDecoder.extensionPhase(after: phase, byte) else { return .badChunkExtension }
        phase = next
        return nil
    }
    private static func extensionPhase(after phase: Phase, _ byte: UInt8) -> Phase? {
        let isToken = CharacterClasses.isToken(byte)
        let isBlank = CharacterClasses.isBlank(byte)
        switch phase {
        case .extensionBlank, .extensionQuotedEnd:
            return byte == ASCII.semicolon ? .extensionStart : isBlank ? .extensionBlank : nil
        case .extensionStart: return isToken ? .extensionName : isBlank ? .extensionStart : nil
        case .extensionName where isToken: return .extensionName
        case .extensionName, .extensionNameBlank:
            if byte == ASCII.equals { return .extensionEquals }
            return byte == ASCII.semicolon ? .extensionStart : isBlank ? .extensionNameBlank : nil
        case .extensionEquals:
            if byte == ASCII.quote { return .extensionQuoted }
            return isToken ? .extensionToken : isBlank ? .extensionEquals : nil
        case .extensionToken:
            if isToken { return .extensionToken }
            return byte == ASCII.semicolon ? .extensionStart : isBlank ? .extensionBlank : nil
        case .extensionQuoted:
            if byte == ASCII.quote { return .extensionQuotedEnd }
            if byte == ASCII.backslash { return .extensionEscaped }
            return CharacterClasses.isFieldText(byte) ? .extensionQuoted : nil
        case .extensionEscaped: return CharacterClasses.isFieldText(byte) ? .extensionQuoted : nil
        default: return nil
        }
    }

    /// The trailer section: the rules of field lines, bounded in bytes and in number. Nothing of it is kept: a field
    /// that came after the body may not change what the head said (RFC 9110 §6.5.1).
    @inline(never) private mutating func trailerByte(_ byte: UInt8, _ limits: IngestLimits) -> HTTPError? {
        trailerBytes &+= 1
        // The two bytes of the empty line are not counted.
        if phase != .endLineFeed, !(phase == .trailerStart && byte == ASCII.carriageReturn) {
            guard trailerBytes <= limits.trailerBytesMax else { return .trailersTooLarge }
        }
        switch phase {
        case .trailerStart:
            if byte == ASCII.carriageReturn {
                phase = .endLineFeed
                return nil
            }
            if CharacterClasses.isBlank(byte) { return .leadingWhiteSpace }
            guard CharacterClasses.isToken(byte) else { return byte == ASCII.lineFeed ? .bareLineFeed : .badFieldName }
            guard Int(trailerCount) < min(limits.fieldCountMax, FieldTable.capacity) else { return .tooManyFields }
            trailerCount &+= 1
            phase = .trailerName
        case .trailerName:
            if byte == ASCII.colon {
                phase = .trailerValue
                return nil
            }
            guard CharacterClasses.isToken(byte) else { return byte == ASCII.lineFeed ? .bareLineFeed : .badFieldName }
        case .trailerValue:
            if CharacterClasses.isFieldText(byte) { return nil }
            if let error = FieldLines.lineEndError(byte) { return error }
            phase = .trailerLineFeed
        case .trailerLineFeed, .endLineFeed:
            guard byte == ASCII.lineFeed else { return .bareCarriageReturn }
            phase = phase == .endLineFeed ? .done : .trailerStart
        default: preconditionFailure("not in the trailers")
        }
        return nil
    }
}
