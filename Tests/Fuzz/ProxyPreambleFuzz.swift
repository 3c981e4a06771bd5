// The PROXY preamble: one answer whatever the splits, no byte behind it counts, and what a text version says is what a
// plain split of its line says.
import FastPath

enum ProxyPreambleFuzz {
    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let whole = try withExactBytes(input) { bytes throws(FuzzFinding) in
            let whole = ProxyProtocol.parse(bytes)
            var byByte = ProxyPreambleResult.incomplete
            for count in 0...bytes.count where byByte == .incomplete {
                byByte = ProxyProtocol.parse(bytes.slice(0, count))
            }
            try hold(byByte == whole, "byte by byte \(byByte), whole \(whole)")
            return whole
        }
        if let line = lineReading(input) {
            try hold(whole == line, "read \(whole), and the line says \(line)")
        }
        guard case .complete(let preamble) = whole else { return }
        try hold(preamble.byteCount <= input.count && preamble.byteCount >= 15, "\(preamble.byteCount) bytes long")
        let alone = Array(input.prefix(preamble.byteCount))
        try withExactBytes(alone) { bytes throws(FuzzFinding) in
            try hold(ProxyProtocol.parse(bytes) == whole, "what follows it counts")
        }
    }

    /// Version 1 by its words; nil where it is another version, or no whole line yet.
    private static func lineReading(_ input: [UInt8]) -> ProxyPreambleResult? {
        guard input.starts(with: "PROXY ".utf8), let end = input.firstIndex(of: 0x0D), end + 1 < input.count else {
            return nil
        }
        guard end + 2 <= ProxyProtocol.lineBytesMax, input[end + 1] == 0x0A,
            input[..<end].allSatisfy({ (0x20..<0x7F).contains($0) })
        else { return .malformed }
        let words = String(decoding: input[..<end], as: UTF8.self)
            .split(separator: " ", omittingEmptySubsequences: false).dropFirst().map(String.init)
        var preamble = ProxyPreamble()
        preamble.byteCount = end + 2
        if words.first == "UNKNOWN" { return .complete(preamble) }
        guard words.count == 5, words[0] == "TCP4" || words[0] == "TCP6" else { return .malformed }
        // The specification allows no leading zeros, which could be octal to somebody.
        let ports = words[3...].map { word in
            word.utf8.allSatisfy { (0x30...0x39).contains($0) } && (word == "0" || !word.hasPrefix("0"))
                ? UInt16(word) : nil
        }
        let isSix = words[0] == "TCP6"
        guard words[1].contains(":") == isSix, words[2].contains(":") == isSix, let source = IPAddress(words[1]),
            IPAddress(words[2]) != nil, let from = ports[0], let to = ports[1]
        else { return .malformed }
        _ = from
        (preamble.source, preamble.isSecure) = (source.unmapped, to == 443)
        return .complete(preamble)
    }
}
