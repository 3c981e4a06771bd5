// A chunked body decoded in place. Decoding moves the data, so each iteration begins with a copy of the input; the copy alone is
// measured beside it and taken off.
import FastPath

enum ChunkDecodeClaim {
    private static let bodyBytes = 16_384

    static let claim = Claim(name: "chunk decode") { effort in
        var lines: [Measurement] = []
        for chunkBytes in [256, 4096] {
            let input = ByteMemory(encode(chunkBytes))
            let memory = ByteMemory([UInt8](repeating: 0, count: input.count))
            func copy(_ count: Int) -> UInt64 {
                var hash: UInt64 = 1
                for _ in 0..<count {
                    input.copy(to: memory)
                    hash.mix(Int(memory.start[hash.trailingZeroBitCount]))
                }
                return hash
            }
            func decode(_ count: Int) -> UInt64 {
                let limits = IngestLimits()
                var hash: UInt64 = 1
                for _ in 0..<count {
                    input.copy(to: memory)
                    var decoder = ChunkedDecoder()
                    let result = decoder.decode(
                        memory.start, from: 0, to: input.count, writeAt: 0, bodyBytesMax: 1 << 20, limits: limits)
                    guard case .complete(_, let written) = result, written == bodyBytes else { return 0 }
                    hash.mix(Int(memory.start[written - 1]))
                }
                return hash
            }
            guard decode(1) != 0 else { throw BenchmarkError("the chunks were refused") }
            let timings = Stopwatch.best(effort, count: effort.count(60_000), [copy, decode])
            lines.append(
                Measurement(
                    name: "chunk decode, \(bodyBytes / chunkBytes) chunks", value: timings[1].nanos - timings[0].nanos,
                    unit: "ns", claim: "a body of 16 KiB in chunks of \(chunkBytes) B, in place", hash: timings[1].hash))
        }
        return lines
    }

    private static func encode(_ chunkBytes: Int) -> [UInt8] {
        var numbers = SeededNumbers(state: 1)
        var bytes: [UInt8] = []
        for _ in 0..<bodyBytes / chunkBytes {
            bytes += Array((String(chunkBytes, radix: 16) + "\r\n").utf8)
            for _ in 0..<chunkBytes { bytes.append(UInt8(truncatingIfNeeded: numbers.next())) }
            bytes += [13, 10]
        }
        return bytes + Array("0\r\n\r\n".utf8)
    }
}
