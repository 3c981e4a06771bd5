// A tick's signatures as one batch against one HMAC after the other, both from midstates. A check does more than a
// digest: it also reads the header, decodes the claim and compares. Goals for the digests: 1.4 times as fast at 1 KiB,
// twice at 16 KiB.
import FastPath

enum SignatureClaim {
    private static let jobCount = 64

    static let claim = Claim(name: "signatures") { effort in
        var lines: [Measurement] = []
        let sizes = [(128, "128 B", ""), (1024, "1 KiB", ", goal 1.4"), (16_384, "16 KiB", ", goal 2")]
        for (bytes, size, goal) in sizes {
            let work = try Work(bodyBytes: bytes, engine: .automatic)
            let alone = try Work(bodyBytes: bytes, engine: .openssl)
            guard work.verified(1) != 0, alone.verified(1) != 0 else {
                throw BenchmarkError("a true signature was refused")
            }
            let count = effort.count(max(40_000_000 / (bytes + 400) / jobCount, 40))
            let bodies = [work.digests, alone.verified, work.verified, work.added]
            let timings = Stopwatch.best(effort, count: count, bodies)
            let nanos = timings.map { $0.nanos / Double(jobCount) }
            func add(_ name: String, _ value: Double, _ unit: String, _ claim: String, _ place: Int) {
                lines.append(
                    Measurement(
                        name: "signature \(size), \(name)", value: value, unit: unit, claim: claim,
                        hash: timings[place].hash))
            }
            add("digest alone", nanos[0], "ns", "HMAC-SHA-256 from midstates, one by one", 0)
            add("check one by one", nanos[1], "ns", "header read, digest, comparison", 1)
            add("check in a batch", nanos[2], "ns", "the same for \(jobCount) at once, \(work.engineName)", 2)
            add("header alone", nanos[3], "ns", "reading the header and placing the job", 3)
            add("ratio of digests", nanos[0] / (nanos[2] - nanos[3]), "x", "batch without the header\(goal)", 2)
            add("ratio of checks", nanos[1] / nanos[2], "x", "one by one / batch, the whole check", 2)
        }
        return lines
    }

    private final class Work {
        private let memory = CompiledMemory()
        private let scheme: SignatureScheme
        private let key: SigningKey
        private var verifier: BatchVerifier
        private var fields = FieldTable()
        private var heads: [(bytes: ByteMemory, body: ByteMemory)] = []
        private var head = RequestHead()
        private let tag = ByteMemory([UInt8](repeating: 0, count: MACAlgorithm.digestBytesMax))
        var engineName: String { verifier.engine.rawValue }

        init(bodyBytes: Int, engine: VerifierEngine) throws {
            var definition = SchemeDefinition(
                algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Hub-Signature-256")])
            definition.prefix = "sha256="
            scheme = try SignatureScheme([(definition, ["a secret"])], in: memory)
            key = SigningKey(secret: Array("a secret".utf8), algorithm: .sha256, in: memory)
            verifier = BatchVerifier(engine: engine, jobCountMax: jobCount, scratchBytes: 1 << 20)
            var numbers = SeededNumbers(state: UInt64(bodyBytes))
            for _ in 0..<jobCount {
                let body = (0..<bodyBytes).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                let signature = TextEncoding.hex(key.mac(over: body))
                heads.append(
                    (ByteMemory(GitHubHead.text(signature: signature, contentLength: bodyBytes)), ByteMemory(body)))
            }
            // Once for all: the heads differ only in the signature's digits.
            var parser = HeadParser()
            let parsed = parser.parse(heads[0].bytes.view, into: &head, fields: &fields, limits: IngestLimits())
            guard case .complete = parsed else { throw BenchmarkError("the head was refused") }
        }
        func digests(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count {
                for item in heads {
                    key.compute(over: item.body.view, into: tag.start)
                    hash.mix(Int(tag.start[0]))
                }
            }
            return hash
        }
        func verified(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count {
                guard queue(&hash) else { return 0 }
                verifier.run()
                for job in 0..<jobCount where verifier.verdict(job: job) != nil { return 0 }
            }
            return hash
        }
        func added(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count where !queue(&hash) { return 0 }
            return hash
        }
        private func queue(_ hash: inout UInt64) -> Bool {
            verifier.removeAll()
            for item in heads {
                let result = verifier.add(
                    scheme: scheme, request: item.bytes.view, head: head, fields: fields, body: item.body.view,
                    nowSeconds: 1000)
                guard case .queued(let job) = result else { return false }
                hash.mix(job)
            }
            return true
        }
    }
}
