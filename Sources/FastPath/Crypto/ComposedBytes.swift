// Memory in which the general way of reading puts together what a request does not have in one piece: decoded values,
// a signed string of several parts, the sorted parameters of a form.
//
// Invariants: nothing is written beyond the capacity; what does not fit sets `overflowed`, and whoever composes looks
// at it before the bytes are used. What was written stays where it is until `count` is set back.
//
// Safety: the memory is the caller's, for as long as the value lives.

@safe struct ComposedBytes {
    let memory: UnsafeMutablePointer<UInt8>
    let capacity: Int
    var count = 0
    private(set) var overflowed = false

    init(memory: UnsafeMutablePointer<UInt8>, capacity: Int) {
        unsafe self.memory = memory
        self.capacity = capacity
    }
    /// Gives back what was written since `count` was that; what had no room stays said.
    mutating func truncate(to count: Int) { self.count = count }
    @inline(__always) mutating func append(_ bytes: ByteView) {
        guard !overflowed, bytes.count <= capacity - count else {
            overflowed = true
            return
        }
        unsafe UnsafeMutableRawPointer(memory + count).copyMemory(from: bytes.base, byteCount: bytes.count)
        count += bytes.count
    }
    mutating func append(_ text: StaticString) {
        unsafe append(ByteView(text.utf8Start, count: text.utf8CodeUnitCount))
    }
    @inline(__always) mutating func append(byte: UInt8) {
        guard !overflowed, count < capacity else {
            overflowed = true
            return
        }
        unsafe memory[count] = byte
        count += 1
    }
    /// What was written since `count` was `start`.
    func written(since start: Int) -> ByteView { unsafe ByteView(memory + start, count: count - start) }
}

// Decoding: all of it writes at most as many bytes as it reads.
extension ComposedBytes {
    /// What `text` spells, as the reading of a scheme decodes it (`ReadLocation.find`), so that all spellings of one
    /// value are one; `text` itself where it spells nothing. Nil when there is no room.
    mutating func plainText(of text: ByteView, _ spelling: ValueSpelling) -> ByteView? {
        let start = count
        switch spelling {
        case .plain: return text
        case .percentEncoded: appendPercentDecoded(text, plusIsSpace: false)
        case .escaped:
            guard appendJSONDecoded(text) else {
                truncate(to: start)
                return text
            }
        }
        return overflowed ? nil : written(since: start)
    }
    /// `%41` becomes `A`; a `%` without two digits stays what it is, as the frameworks' own decoders have it.
    /// `plusIsSpace` in forms.
    mutating func appendPercentDecoded(_ text: ByteView, plusIsSpace: Bool) {
        var place = 0
        while place < text.count {
            let byte = text[place]
            if byte == 0x25, place + 2 < text.count, let high = ComposedBytes.hexDigit(text[place + 1]),
                let low = ComposedBytes.hexDigit(text[place + 2])
            {
                append(byte: high << 4 | low)
                place += 3
                continue
            }
            append(byte: plusIsSpace && byte == 0x2B ? 0x20 : byte)
            place += 1
        }
    }
    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x37
        case 0x61...0x66: byte - 0x57
        default: nil
        }
    }

    /// What stands between the quotes of a JSON string, its escapes decoded (RFC 8259 §7). False when one is malformed;
    /// half a surrogate pair counts as that.
    mutating func appendJSONDecoded(_ text: ByteView) -> Bool {
        var place = 0
        while place < text.count {
            let byte = text[place]
            guard byte == 0x5C else {
                append(byte: byte)
                place += 1
                continue
            }
            guard place + 1 < text.count else { return false }
            let escape = text[place + 1]
            place += 2
            switch escape {
            case 0x22, 0x5C, 0x2F: append(byte: escape)
            case 0x62: append(byte: 0x08)
            case 0x66: append(byte: 0x0C)
            case 0x6E: append(byte: 0x0A)
            case 0x72: append(byte: 0x0D)
            case 0x74: append(byte: 0x09)
            case 0x75:
                guard var scalar = ComposedBytes.unit(text, place) else { return false }
                place += 4
                if scalar & 0xFC00 == 0xD800 {
                    guard place + 1 < text.count, text[place] == 0x5C, text[place + 1] == 0x75,
                        let low = ComposedBytes.unit(text, place + 2), low & 0xFC00 == 0xDC00
                    else { return false }
                    scalar = 0x10000 + (scalar - 0xD800) << 10 + (low - 0xDC00)
                    place += 6
                } else if scalar & 0xFC00 == 0xDC00 {
                    return false
                }
                append(scalar: scalar)
            default: return false
            }
        }
        return true
    }
    private static func unit(_ text: ByteView, _ place: Int) -> UInt32? {
        guard place + 4 <= text.count else { return nil }
        var value: UInt32 = 0
        for index in place..<place + 4 {
            guard let digit = hexDigit(text[index]) else { return nil }
            value = value << 4 | UInt32(digit)
        }
        return value
    }
    private mutating func append(scalar: UInt32) {
        func low(_ shift: UInt32) -> UInt8 { UInt8(truncatingIfNeeded: 0x80 | (scalar >> shift & 0x3F)) }
        switch scalar {
        case 0..<0x80: append(byte: UInt8(truncatingIfNeeded: scalar))
        case 0x80..<0x800:
            append(byte: UInt8(truncatingIfNeeded: 0xC0 | scalar >> 6))
            append(byte: low(0))
        case 0x800..<0x10000:
            append(byte: UInt8(truncatingIfNeeded: 0xE0 | scalar >> 12))
            append(byte: low(6))
            append(byte: low(0))
        default:
            append(byte: UInt8(truncatingIfNeeded: 0xF0 | scalar >> 18))
            append(byte: low(12))
            append(byte: low(6))
            append(byte: low(0))
        }
    }
}
