// A chunked body: the same whole, byte by byte and cut anywhere, and what a plain reading of RFC 9112 §7.1 makes of it
// that keeps no state and looks at whole lines.
import FastPath

enum ChunksFuzz {
    private static let bodyBytesMax = 1024
    private enum Outcome: Equatable {
        case incomplete([UInt8])
        case failed(HTTPError)
        case complete([UInt8], consumed: Int)
    }

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let whole = decode(input, cuts: [])
        let byByte = decode(input, cuts: Array(1..<max(input.count, 1)))
        try hold(byByte == whole, "byte by byte \(byByte), whole \(whole)")
        let split = decode(input, cuts: [cut(of: input)])
        try hold(split == whole, "cut at \(cut(of: input)): \(split), whole \(whole)")
        var reading = ChunkReading(input, bodyBytesMax: bodyBytesMax)
        let plain = reading.read()
        if case .complete(let data, let consumed) = whole {
            try hold(plain, "taken, and no chunked body: \(data.count) bytes")
            try hold(reading.data == data && reading.place == consumed, "other data than there is")
        } else {
            try hold(!plain, "a chunked body, and \(whole)")
        }
    }

    /// In place, as on a connection: the data gathers at the front of the memory that the bytes came into.
    private static func decode(_ input: [UInt8], cuts: [Int]) -> Outcome {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: input.count)
        defer { memory.deallocate() }
        for (index, byte) in input.enumerated() { memory[index] = byte }
        var decoder = ChunkedDecoder()
        var (from, write) = (0, 0)
        func data() -> [UInt8] { (0..<write).map { memory[$0] } }
        for to in cuts + [input.count] {
            let result = decoder.decode(
                memory, from: from, to: to, writeAt: write, bodyBytesMax: bodyBytesMax, limits: IngestLimits())
            switch result {
            case .failed(let error): return .failed(error)
            case .incomplete(_, let written): (from, write) = (to, write + written)
            case .complete(let consumed, let written):
                write += written
                return .complete(data(), consumed: from + consumed)
            }
        }
        return .incomplete(data())
    }
}

/// The grammar, read straight: each step takes what it wants or says no.
private struct ChunkReading {
    private let input: [UInt8]
    private let bodyBytesMax: Int
    private(set) var place = 0
    private(set) var data: [UInt8] = []

    init(_ input: [UInt8], bodyBytesMax: Int) {
        self.input = input
        self.bodyBytesMax = bodyBytesMax
    }

    /// True exactly when a whole body stands at the beginning.
    mutating func read() -> Bool {
        while true {
            guard let size = size(), extensions(), line() else { return false }
            if size == 0 { return trailers() }
            guard size <= bodyBytesMax - data.count, input.count - place >= size else { return false }
            data += input[place..<place + size]
            place += size
            guard line() else { return false }
        }
    }

    private var next: UInt8? { place < input.count ? input[place] : nil }
    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        place += 1
        return true
    }
    private mutating func line() -> Bool { take(0x0D) && take(0x0A) }
    private mutating func take(while isWanted: (UInt8) -> Bool) -> Int {
        let start = place
        while let byte = next, isWanted(byte) { place += 1 }
        return place - start
    }
    private mutating func size() -> Int? {
        let start = place
        let count = take { Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }
        guard (1...16).contains(count) else { return nil }
        return UInt64(String(decoding: input[start..<place], as: UTF8.self), radix: 16).flatMap { Int(exactly: $0) }
    }
    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
    private static func isText(_ byte: UInt8) -> Bool { byte == 0x09 || byte >= 0x20 && byte != 0x7F }

    private mutating func extensions() -> Bool {
        while next != 0x0D {
            _ = take(while: Self.isBlank)
            guard take(0x3B) else { return false }
            _ = take(while: Self.isBlank)
            guard take(while: Self.isToken) > 0 else { return false }
            let end = place
            _ = take(while: Self.isBlank)
            guard take(0x3D) else {
                // White space is part of what follows, if anything does.
                place = end
                continue
            }
            _ = take(while: Self.isBlank)
            guard next == 0x22 ? quoted() : take(while: Self.isToken) > 0 else { return false }
        }
        return true
    }
    private mutating func quoted() -> Bool {
        place += 1
        while let byte = next {
            place += 1
            if byte == 0x22 { return true }
            guard Self.isText(byte) else { return false }
            if byte == 0x5C {
                guard let escaped = next, Self.isText(escaped) else { return false }
                place += 1
            }
        }
        return false
    }
    private mutating func trailers() -> Bool {
        var count = 0
        while next != 0x0D {
            count += 1
            guard count <= IngestLimits().fieldCountMax, take(while: Self.isToken) > 0, take(0x3A) else { return false }
            _ = take(while: Self.isText)
            guard line() else { return false }
        }
        return line()
    }
}
