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
    /// Two lower-case digits a byte.
    mutating func append(hex bytes: ByteView) {
        guard !overflowed, 2 * bytes.count <= capacity - count else {
            overflowed = true
            return
        }
        unsafe TextEncoding.writeHex(bytes, into: memory + count)
        count += 2 * bytes.count
    }
    /// What was written since `count` was `start`.
    func written(since start: Int) -> ByteView { unsafe ByteView(memory + start, count: count - start) }
}

// Decoding: all of it writes at most as many bytes as it reads.
extension ComposedBytes {
    /// `%41` becomes `A`; a `%` without two digits stays what it is, as the frameworks' own decoders have it.
    /// `plusIsSpace` in forms.
    mutating func appendPercentDecoded(_ text: ByteView, plusIsSpace: Bool) {
        var place = 0
        while place < text.count {
            let (byte, next) = QueryText.byte(text, at: place)
            append(byte: text[place] == 0x2B && !plusIsSpace ? 0x2B : byte)
            place = next
        }
    }

    /// Decodes the escapes of some characters; all others stay as they are.
    mutating func appendPercentDecoded(_ text: ByteView, only characters: ASCIISet) {
        var place = 0
        while place < text.count {
            if text[place] == 0x25 {
                let (byte, next) = QueryText.byte(text, at: place)
                if next == place + 3, characters.contains(byte) {
                    append(byte: byte)
                    place = next
                    continue
                }
            }
            append(byte: text[place])
            place += 1
        }
    }

    /// What stands between the quotes of a JSON string, its escapes decoded (RFC 8259 §7). False when one is malformed;
    /// half a surrogate pair counts as that.
    mutating func appendJSONDecoded(_ text: ByteView) -> Bool {
        var place = 0
        while place < text.count {
            let byte = text[place]
            guard byte == ASCII.backslash else {
                append(byte: byte)
                place += 1
                continue
            }
            guard let scalar = JSONEscape.scalar(text, &place) else { return false }
            var (bytes, count) = JSONEscape.utf8(scalar)
            while count > 0 {
                append(byte: UInt8(truncatingIfNeeded: bytes))
                bytes >>= 8
                count -= 1
            }
        }
        return true
    }
}
