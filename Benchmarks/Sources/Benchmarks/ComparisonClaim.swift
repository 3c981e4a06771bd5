// Does the time of a check tell where a wrong signature differs? Two classes of forgeries, wrong in the first byte and
// wrong in the last, in a random order; Welch's t over the samples of each (the test of dudect, Reparaz and others,
// "Dude, is my code constant time?", DATE 2017), without the slowest tenth, where the machine did something else. The
// control is a comparison that stops at the first difference: the same test must see that one.
import FastPath

enum ComparisonClaim {
    private static let jobCount = 64
    /// What dudect calls a leak begins here.
    private static let limit = 4.5

    static let claim = Claim(name: "comparison") { effort in
        if effort.isCounting { return [] }
        let count = effort.count(40_000)
        let work = try Work()
        let checks = welch(count, work.prepare) { work.check() }
        let control = welch(count, work.prepare) { work.compareUntilDifferent() }
        return [
            Measurement(
                name: "comparison, first byte against last", value: abs(checks.t), unit: "t",
                claim: "whole checks; below \(limit) no difference is seen", hash: checks.hash),
            Measurement(
                name: "comparison that stops early", value: abs(control.t), unit: "t",
                claim: "the control: the test sees this one", hash: control.hash),
        ]
    }

    /// `prepare` puts a class in place, untimed; `body` then does the same with the same memory, whatever the class.
    private static func welch(
        _ count: Int, _ prepare: (Int) -> Void, _ body: () -> UInt64
    ) -> (t: Double, hash: UInt64) {
        var numbers = SeededNumbers(state: 7)
        var samples: [(place: Int, nanos: Double)] = []
        samples.reserveCapacity(count)
        var hash: UInt64 = 1
        for index in 0..<count + count / 10 {
            let place = Int(truncatingIfNeeded: numbers.next() >> 40) & 1
            prepare(place)
            let start = ProcessResources.monotonicNanos
            let result = body()
            let nanos = Double(ProcessResources.monotonicNanos - start)
            // The first ones warm up.
            guard index >= count / 10 else { continue }
            hash.mix(result)
            samples.append((place, nanos))
        }
        let highest = samples.map(\.nanos).sorted()[samples.count * 9 / 10]
        let parts = (0..<2).map { place in samples.filter { $0.place == place && $0.nanos <= highest }.map(\.nanos) }
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(values.count) }
        func error(_ values: [Double]) -> Double {
            let middle = mean(values)
            let squares = values.reduce(0) { $0 + ($1 - middle) * ($1 - middle) }
            return squares / Double(values.count - 1) / Double(values.count)
        }
        let difference = mean(parts[0]) - mean(parts[1])
        return (difference / (error(parts[0]) + error(parts[1])).squareRoot(), hash)
    }

    /// Requests whose signature is right but for one byte: the first in class 0, the last in class 1.
    private final class Work {
        private let memory = CompiledMemory()
        private let scheme: SignatureScheme
        private var verifier: BatchVerifier
        private var fields = FieldTable()
        private var head = RequestHead()
        private let bytes: ByteMemory
        private let body = ByteMemory([UInt8]("{}".utf8))
        private let right: [UInt8]
        private let texts: [[UInt8]]
        private let wrongs: [[UInt8]]
        private var wrong: [UInt8]

        init() throws {
            var definition = SchemeDefinition(
                algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Hub-Signature-256")])
            definition.prefix = "sha256="
            scheme = try SignatureScheme([(definition, ["a secret"])], in: memory)
            verifier = BatchVerifier(engine: .openssl, jobCountMax: jobCount, scratchBytes: 1 << 20)
            let right = SigningKey(secret: Array("a secret".utf8), algorithm: .sha256, in: memory)
                .mac(over: Array("{}".utf8))
            self.right = right
            wrongs = [0, 31].map { place in
                var wrong = right
                wrong[place] ^= 0x10
                return wrong
            }
            texts = wrongs.map { Array(GitHubHead.text(signature: TextEncoding.hex($0), contentLength: 2).utf8) }
            wrong = wrongs[0]
            bytes = ByteMemory(texts[0])
            var parser = HeadParser()
            let parsed = parser.parse(bytes.view, into: &head, fields: &fields, limits: IngestLimits())
            guard case .complete = parsed else { throw BenchmarkError("the head was refused") }
            for place in 0..<2 {
                prepare(place)
                guard check() == UInt64(jobCount) else { throw BenchmarkError("a forged signature was accepted") }
            }
        }
        func prepare(_ place: Int) {
            for index in texts[place].indices { bytes.start[index] = texts[place][index] }
            for index in wrong.indices { wrong[index] = wrongs[place][index] }
        }
        /// How many were refused.
        func check() -> UInt64 {
            verifier.removeAll()
            for _ in 0..<jobCount {
                guard
                    case .queued = verifier.add(
                        scheme: scheme, request: bytes.view, head: head, fields: fields, body: body.view,
                        nowSeconds: 1000)
                else { return 0 }
            }
            verifier.run()
            return UInt64((0..<jobCount).count { verifier.verdict(job: $0) != nil })
        }
        func compareUntilDifferent() -> UInt64 {
            var steps: UInt64 = 0
            for _ in 0..<jobCount {
                for place in right.indices {
                    steps += 1
                    if right[place] != wrong[place] { break }
                }
            }
            return steps
        }
    }
}
