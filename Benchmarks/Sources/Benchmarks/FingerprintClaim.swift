// What the dedup table keeps of an event: the 128-bit slot hash and the keyed 128-bit tag.
import FastPath

enum FingerprintClaim {
    static let claim = Claim(name: "fingerprint") { effort in
        var lines: [Measurement] = []
        let keys = FingerprintKeys(seed: 1, tagKey0: 2, tagKey1: 3)
        let source = ByteMemory("github")
        for (name, bytes) in [("delivery id of 36 B", 36), ("body of 1 KiB", 1024)] {
            var numbers = SeededNumbers(state: 7)
            let key = ByteMemory((0..<bytes).map { _ in UInt8(truncatingIfNeeded: numbers.next()) })
            func run(_ count: Int) -> UInt64 {
                var hash: UInt64 = 1
                for serial in 0..<count {
                    key.start[0] = UInt8(truncatingIfNeeded: serial)
                    let print = Fingerprint(tenant: .empty, source: source.view, key: key.view, keys: keys)
                    hash.mix(print.slot.low ^ print.tag.low)
                }
                return hash
            }
            let timing = Stopwatch.best(effort, count: effort.count(2_000_000), [run])[0]
            lines.append(
                Measurement(
                    name: "fingerprint and tag, \(bytes) B", value: timing.nanos, unit: "ns", claim: name,
                    hash: timing.hash))
        }
        return lines
    }
}
