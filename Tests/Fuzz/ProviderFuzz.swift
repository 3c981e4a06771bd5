// A whole request to a source of the catalogue: a line with the provider, one with the secret, then the request. Both
// engines say the same, and so does the request with its header names in other letters.
import Engine
import FastPath

enum ProviderFuzz {
    static let now: UInt64 = 1_760_000_000

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        let parts = lines(input, 2)
        let name = String(decoding: parts[0], as: UTF8.self)
        guard ProviderCatalogue.provider(named: name) != nil, name != "generic" else { return }
        let verdict = try verdict(name, parts[1], parts[2])
        guard let shouted = shouted(parts[2]) else { return }
        try hold(try self.verdict(name, parts[1], shouted) == verdict, "header names have a case: \(verdict)")
    }
    private static func verdict(_ name: String, _ secret: [UInt8], _ raw: [UInt8]) throws(FuzzFinding) -> String {
        let secrets = [String(decoding: secret, as: UTF8.self)]
        let outcomes = VerifierEngine.available.map { engine in
            let outcome = VectorRunner.verify(
                provider: name, secrets: secrets, now: now, rawRequest: raw, engine: engine,
                origin: "https://gateway.example")
            return "\(outcome)"
        }
        for other in outcomes { try hold(other == outcomes[0], "one engine \(outcomes[0]), the other \(other)") }
        return outcomes[0]
    }
    /// The names of the fields in capitals; nil where there is no whole head.
    private static func shouted(_ raw: [UInt8]) -> [UInt8]? {
        var parser = HeadParser()
        var head = RequestHead()
        var fields = FieldTable()
        let result = raw.withView { parser.parse($0, into: &head, fields: &fields, limits: IngestLimits()) }
        guard case .complete = result else { return nil }
        var bytes = raw
        for index in 0..<fields.count {
            let name = fields[index].name
            for place in Int(name.start)..<name.end where bytes[place] &- 0x61 < 26 { bytes[place] -= 0x20 }
        }
        return bytes
    }
}
