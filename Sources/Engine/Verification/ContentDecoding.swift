// A body as it was before its Content-Encoding: gzip (RFC 1952) or deflate (RFC 1950, and bare RFC 1951, which some
// send under that name). For senders that sign what they compress; worker threads only.
//
// Invariants: what comes out has a bound, so that a small body cannot become a large one; every step takes a bit or
// ends; what is cut off, malformed or has bytes behind its end decodes to nothing, for no signature covers those.
// Checksums are not looked at: a signature says more.

import FastPath

package enum ContentDecoding {
    /// Nil when the coding is none of the two, or the body is not of it, or more than `bytesMax` would come out.
    package static func decoded(_ body: [UInt8], coding: String, bytesMax: Int) -> [UInt8]? {
        switch coding.lowercased() {
        case "gzip", "x-gzip":
            gzipStart(body).flatMap { inflated(body, from: $0, trailerBytes: 8, bytesMax: bytesMax) }
        case "deflate":
            (isZlib(body) ? inflated(body, from: 2, trailerBytes: 4, bytesMax: bytesMax) : nil)
                ?? inflated(body, from: 0, trailerBytes: 0, bytesMax: bytesMax)
        default: nil
        }
    }
    /// Of a body that was compressed: as much as any source takes.
    private static let bytesMax = 64 << 20
    /// Nil for a body that has no coding, or is not what its coding says.
    package static func decodedBody(of request: borrowing CapturedRequest) -> [UInt8]? {
        let codings = request.values(of: "content-encoding")
        guard codings.count == 1 else { return nil }
        return decoded(
            request.body, coding: String(decoding: codings[0], as: UTF8.self), bytesMax: bytesMax)
    }
    /// The stream and what closes it are all there is: a second member of a gzip file is none of what was signed.
    private static func inflated(
        _ body: [UInt8], from start: Int, trailerBytes: Int, bytesMax: Int
    ) -> [UInt8]? {
        var inflater = Inflater(body, from: start, bytesMax: bytesMax)
        return inflater.run() && inflater.place + trailerBytes == body.count ? inflater.output : nil
    }
    private static func isZlib(_ body: [UInt8]) -> Bool {
        body.count > 2 && body[0] & 15 == 8 && (Int(body[0]) << 8 | Int(body[1])) % 31 == 0 && body[1] & 0x20 == 0
    }
    /// Behind the header of the first member.
    private static func gzipStart(_ body: [UInt8]) -> Int? {
        guard body.count > 18, body[0] == 0x1F, body[1] == 0x8B, body[2] == 8, body[3] & 0xE0 == 0 else { return nil }
        var place = 10
        let flags = body[3]
        if flags & 4 != 0 {
            guard place + 2 <= body.count else { return nil }
            place += 2 + Int(body[place]) + Int(body[place + 1]) << 8
        }
        for flag: UInt8 in [8, 16] where flags & flag != 0 {
            guard place < body.count, let end = body[place...].firstIndex(of: 0) else { return nil }
            place = end + 1
        }
        if flags & 2 != 0 { place += 2 }
        return place < body.count ? place : nil
    }
}

/// The reader of one stream of RFC 1951.
private struct Inflater {
    private let input: [UInt8]
    private let bytesMax: Int
    /// Of the next byte; behind the stream when `run` has found its end, for no byte is taken before a bit of it is
    /// wanted.
    private(set) var place: Int
    private var bits: UInt32 = 0
    private var bitCount = 0
    private(set) var output: [UInt8] = []

    init(_ input: [UInt8], from start: Int, bytesMax: Int) {
        self.input = input
        self.bytesMax = bytesMax
        place = start
    }

    /// False when the stream is none, ends early, or is longer than the bound.
    mutating func run() -> Bool {
        while true {
            guard let isLast = take(1), let kind = take(2), readBlock(kind) else { return false }
            if isLast == 1 { return true }
        }
    }
    private mutating func readBlock(_ kind: Int) -> Bool {
        switch kind {
        case 0: copyStored()
        case 1: expand(HuffmanCode.fixedLiterals, HuffmanCode.fixedDistances)
        case 2: expandDynamic()
        default: false
        }
    }

    private mutating func take(_ count: Int) -> Int? {
        while bitCount < count {
            guard place < input.count else { return nil }
            bits |= UInt32(input[place]) << UInt32(bitCount)
            place += 1
            bitCount += 8
        }
        let value = bits & ((1 << UInt32(count)) - 1)
        bits >>= UInt32(count)
        bitCount -= count
        return Int(value)
    }
    private mutating func symbol(_ code: HuffmanCode) -> Int? {
        var value = 0
        var first = 0
        var index = 0
        for length in 1...HuffmanCode.lengthMax {
            guard let bit = take(1) else { return nil }
            value |= bit
            let count = code.counts[length]
            if value - first < count { return code.symbols[index + value - first] }
            index += count
            first = (first + count) << 1
            value <<= 1
        }
        return nil
    }

    private mutating func copyStored() -> Bool {
        bits = 0
        bitCount = 0
        guard place + 4 <= input.count else { return false }
        let count = Int(input[place]) | Int(input[place + 1]) << 8
        let check = Int(input[place + 2]) | Int(input[place + 3]) << 8
        place += 4
        guard count == ~check & 0xFFFF, place + count <= input.count, output.count + count <= bytesMax else {
            return false
        }
        output += input[place..<place + count]
        place += count
        return true
    }
    private mutating func expand(_ literals: HuffmanCode, _ distances: HuffmanCode) -> Bool {
        while let symbol = symbol(literals) {
            if symbol == 256 { return true }
            if symbol < 256 {
                guard output.count < bytesMax else { return false }
                output.append(UInt8(symbol))
                continue
            }
            guard let length = value(symbol - 257, Inflater.lengths),
                let distanceSymbol = self.symbol(distances), let distance = value(distanceSymbol, Inflater.distances),
                distance <= output.count, output.count + length <= bytesMax
            else { return false }
            let start = output.count - distance
            for index in 0..<length { output.append(output[start + index]) }
        }
        return false
    }
    /// A base and as many bits more as its place in the table says.
    private mutating func value(_ symbol: Int, _ table: [(base: Int, bits: Int)]) -> Int? {
        guard table.indices.contains(symbol), let more = take(table[symbol].bits) else { return nil }
        return table[symbol].base + more
    }
    private static let lengths: [(base: Int, bits: Int)] = {
        var table: [(base: Int, bits: Int)] = (3...10).map { ($0, 0) }
        var base = 11
        for bits in 1...5 {
            for _ in 0..<4 {
                table.append((base, bits))
                base += 1 << bits
            }
        }
        table.append((258, 0))
        return table
    }()
    private static let distances: [(base: Int, bits: Int)] = {
        var table: [(base: Int, bits: Int)] = (1...4).map { ($0, 0) }
        var base = 5
        for bits in 1...13 {
            for _ in 0..<2 {
                table.append((base, bits))
                base += 1 << bits
            }
        }
        return table
    }()

    /// The code lengths come coded themselves.
    private mutating func expandDynamic() -> Bool {
        guard let literalCount = take(5).map({ $0 + 257 }), let distanceCount = take(5).map({ $0 + 1 }),
            let lengthCount = take(4).map({ $0 + 4 })
        else { return false }
        let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
        var lengths = [Int](repeating: 0, count: 19)
        for place in 0..<lengthCount {
            guard let length = take(3) else { return false }
            lengths[order[place]] = length
        }
        guard let code = HuffmanCode(lengths) else { return false }
        var all: [Int] = []
        while all.count < literalCount + distanceCount {
            guard let symbol = symbol(code) else { return false }
            switch symbol {
            case 0..<16: all.append(symbol)
            case 16:
                guard let last = all.last, let count = take(2) else { return false }
                all += [Int](repeating: last, count: count + 3)
            default:
                guard let count = take(symbol == 17 ? 3 : 7) else { return false }
                all += [Int](repeating: 0, count: count + (symbol == 17 ? 3 : 11))
            }
        }
        guard all.count == literalCount + distanceCount, let literals = HuffmanCode(Array(all[..<literalCount])),
            let distances = HuffmanCode(Array(all[literalCount...]))
        else { return false }
        return expand(literals, distances)
    }
}

/// A canonical code: how many codes each length has, and the symbols in the order of their codes.
private struct HuffmanCode {
    static let lengthMax = 15
    let counts: [Int]
    let symbols: [Int]

    /// Nil when more codes are asked for than the lengths have.
    init?(_ lengths: [Int]) {
        var counts = [Int](repeating: 0, count: HuffmanCode.lengthMax + 1)
        for length in lengths { counts[length] += 1 }
        counts[0] = 0
        var left = 1
        for length in 1...HuffmanCode.lengthMax {
            left = left << 1 - counts[length]
            guard left >= 0 else { return nil }
        }
        self.counts = counts
        symbols = lengths.indices.filter { lengths[$0] > 0 }.sorted { (lengths[$0], $0) < (lengths[$1], $1) }
    }
    private init(checked lengths: [Int]) {
        guard let code = HuffmanCode(lengths) else { preconditionFailure("the fixed code is none") }
        self = code
    }
    static let fixedLiterals = HuffmanCode(
        checked: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
    static let fixedDistances = HuffmanCode(checked: [Int](repeating: 5, count: 30))
}
