// A place in a JSON document and the steps over what is not wanted: white space, strings, scalars, whole containers.
//
// Invariant: `position` never passes the end. Containers are skipped 64 bytes at a time from bit masks (quotes,
// escapes, brackets), so that what is not wanted costs a fraction of a nanosecond a byte.
//
// Safety: blocks of 64 bytes are read where `position + 64` is inside the document; its last bytes are copied to the
// stack first.

import CShims

struct JSONCursor {
    let body: ByteView
    private(set) var position = 0

    /// Behind a byte order mark, which some senders put in front (RFC 8259 §8.1 lets a reader ignore it).
    @inline(__always) init(_ body: ByteView) {
        self.body = body
        if body.count >= 3, body[0] == 0xEF, body[1] == 0xBB, body[2] == 0xBF { position = 3 }
    }

    @inline(__always) mutating func advance() { position += 1 }

    /// The next byte that is no white space, and the cursor at it; nil at the end.
    @inline(__always) mutating func peekPastSpace() -> UInt8? {
        while position < body.count {
            let byte = body[position]
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            position += 1
        }
        return nil
    }

    /// From an opening quote to behind the closing one; false when there is none.
    @inline(__always) mutating func skipString() -> Bool {
        position += 1
        while position < body.count {
            while position <= body.count - 8 {
                // The lowest set bit is exact; those above it may be wrong, and are not looked at.
                let word = body.load(position, as: UInt64.self).littleEndian
                let marks =
                    JSONCursor.equalBytes(word, 0x2222_2222_2222_2222)
                    | JSONCursor.equalBytes(word, 0x5C5C_5C5C_5C5C_5C5C)
                if marks != 0 {
                    position += marks.trailingZeroBitCount >> 3
                    break
                }
                position += 8
            }
            guard position < body.count else { return false }
            let byte = body[position]
            position += 1
            if byte == 0x22 { return true }
            if byte == 0x5C {
                guard position < body.count else { return false }
                position += 1
            }
        }
        return false
    }
    @inline(__always) private static func equalBytes(_ word: UInt64, _ pattern: UInt64) -> UInt64 {
        let difference = word ^ pattern
        return (difference &- 0x0101_0101_0101_0101) & ~difference & 0x8080_8080_8080_8080
    }

    /// Over a number or a literal, to what may follow a value.
    @inline(__always) mutating func skipScalar() {
        while position < body.count {
            switch body[position] {
            case 0x2C, 0x5D, 0x7D, 0x20, 0x0A, 0x0D, 0x09, 0x22, 0x3A, 0x5B, 0x7B: return
            default: position += 1
            }
        }
    }

    /// From an opening bracket to behind its closing one, or, with `depth` 1, from inside a container to behind its
    /// end. Brackets are counted and not told apart. False when the document ends before.
    mutating func skipContainer(depth initial: Int = 0) -> Bool {
        var depth = initial
        var inString: UInt64 = 0
        var escapeCarry: UInt64 = 0
        var masks = sluice_json_masks()
        while position < body.count {
            classify(&masks)
            let escaped = JSONCursor.escaped(masks.backslashes, &escapeCarry)
            let strings = JSONCursor.prefixXor(masks.quotes & ~escaped) ^ inString
            inString = 0 &- (strings >> 63)
            var opens = masks.opens & ~strings
            var closes = masks.closes & ~strings
            if closes.nonzeroBitCount < depth {
                depth += opens.nonzeroBitCount - closes.nonzeroBitCount
                position += 64
                continue
            }
            // The end may be in this block: the brackets one by one.
            while closes != 0 {
                let place = UInt64(closes.trailingZeroBitCount)
                let before = opens & ((1 << place) - 1)
                depth += before.nonzeroBitCount - 1
                opens &= ~before
                if depth == 0 {
                    position += Int(place) + 1
                    return position <= body.count
                }
                closes &= closes - 1
            }
            depth += opens.nonzeroBitCount
            position += 64
        }
        position = body.count
        return false
    }

    @inline(__always) private func classify(_ masks: inout sluice_json_masks) {
        if position <= body.count - 64 {
            unsafe sluice_json_classify(body.base + position, &masks)
            return
        }
        // Eight words of spaces, with what is left of the document in front.
        var block: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64)
        let spaces: UInt64 = 0x2020_2020_2020_2020
        block = (spaces, spaces, spaces, spaces, spaces, spaces, spaces, spaces)
        let rest = body.slice(position, body.count - position)
        unsafe withUnsafeMutablePointer(to: &block) {
            unsafe UnsafeMutableRawPointer($0).copyMemory(from: rest.base, byteCount: rest.count)
            unsafe $0.withMemoryRebound(to: UInt8.self, capacity: 64) { unsafe sluice_json_classify($0, &masks) }
        }
    }
    /// Bit i = exclusive or of bits 0...i: set from an opening quote up to its closing one.
    @inline(__always) private static func prefixXor(_ bits: UInt64) -> UInt64 {
        var bits = bits
        bits ^= bits << 1
        bits ^= bits << 2
        bits ^= bits << 4
        bits ^= bits << 8
        bits ^= bits << 16
        bits ^= bits << 32
        return bits
    }
    /// The bytes that a backslash escapes: those behind a run of backslashes of odd length. `carry` is 1 when the next
    /// block's first byte is escaped.
    @inline(__always) private static func escaped(_ backslashes: UInt64, _ carry: inout UInt64) -> UInt64 {
        guard backslashes != 0 else {
            let escaped = carry
            carry = 0
            return escaped
        }
        let even: UInt64 = 0x5555_5555_5555_5555
        let starters = backslashes & ~carry
        let follows = starters << 1 | carry
        let oddStarts = starters & ~even & ~follows
        let (sum, overflow) = oddStarts.addingReportingOverflow(starters)
        carry = overflow ? 1 : 0
        return (even ^ (sum << 1)) & follows
    }
}
