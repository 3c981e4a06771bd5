// What is fuzzed, by name: a function over bytes that says what is wrong with what the code under test made of them.
// `make test` runs them over the committed corpora (CorpusTests.swift). Nothing here knows who calls.
//
// Safety: the memory that `withExactBytes` lends lives for the call.
import FastPath

/// What an input has shown.
struct FuzzFinding: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func hold(_ condition: Bool, _ what: @autoclosure () -> String) throws(FuzzFinding) {
    if !condition { throw FuzzFinding(what()) }
}

enum FuzzTarget: String, CaseIterable {
    case requestHead = "request-head"
    case responseHead = "response-head"
    case chunks
    case jsonScan = "json-scan"
    case signature
    case provider
    case proxyPreamble = "proxy-preamble"
    case logRecord = "log-record"
    case logSegment = "log-segment"
    case configuration
    case yamlValue = "yaml-value"
    case url
    case apiJSON = "api-json"
    case schema
    case filter

    /// Larger inputs find nothing that smaller ones do not, and take longer.
    static let inputBytesMax = 4096

    func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard input.count <= FuzzTarget.inputBytesMax else { return }
        switch self {
        case .requestHead: try RequestHeadFuzz.run(input)
        case .responseHead: try ResponseHeadFuzz.run(input)
        case .chunks: try ChunksFuzz.run(input)
        case .jsonScan: try JSONScanFuzz.run(input)
        case .signature: try SignatureFuzz.run(input)
        case .provider: try ProviderFuzz.run(input)
        case .proxyPreamble: try ProxyPreambleFuzz.run(input)
        case .logRecord: try LogRecordFuzz.run(input)
        case .logSegment: try LogSegmentFuzz.run(input)
        case .configuration: try ConfigurationFuzz.run(input)
        case .yamlValue: try YAMLValueFuzz.run(input)
        case .url: try URLFuzz.run(input)
        case .apiJSON: try APIJSONFuzz.run(input)
        case .schema: try SchemaFuzz.run(input)
        case .filter: try FilterFuzz.run(input)
        }
    }
}

/// The bytes in memory of exactly their size, so that AddressSanitizer sees the first one read beyond.
func withExactBytes<R>(_ bytes: [UInt8], _ body: (ByteView) throws(FuzzFinding) -> R) throws(FuzzFinding) -> R {
    let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count)
    defer { memory.deallocate() }
    for (index, byte) in bytes.enumerated() { memory[index] = byte }
    return try body(ByteView(UnsafePointer(memory), count: bytes.count))
}

/// Where an input is cut in two: by its own bytes, so that the same input is cut in the same place.
func cut(of input: [UInt8]) -> Int {
    let sum = input.reduce(UInt32(17)) { ($0 ^ UInt32($1)) &* 16_777_619 }
    return input.isEmpty ? 0 : Int(sum % UInt32(input.count))
}

/// An input that is several texts: those before the first line ends, and the rest.
func lines(_ input: [UInt8], _ count: Int) -> [[UInt8]] {
    var parts: [[UInt8]] = []
    var rest = input[...]
    for _ in 0..<count {
        let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
        parts.append(Array(rest[..<end]))
        rest = rest[min(end + 1, rest.endIndex)...]
    }
    return parts + [Array(rest)]
}
