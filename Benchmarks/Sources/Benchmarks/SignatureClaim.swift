// A tick's signatures as one batch against one HMAC after the other, both from midstates. The batch does more: it also reads the
// header, decodes the claim and compares. Goals: at least 1.4 times as fast at 1 KiB, twice at 16 KiB.
import FastPath

enum SignatureClaim {
    private static let jobCount = 64

    static let claim = Claim(name: "signatures") { effort in
        var lines: [Measurement] = []
        for (bytes, size, goal) in [(128, "128 B", ""), (1024, "1 KiB", ", goal ≥ 1.4"), (16_384, "16 KiB", ", goal ≥ 2")] {
            let work = try Work(bodyBytes: bytes)
            guard work.batched(1) != 0 else { throw BenchmarkError("a genuine signature was refused") }
            let count = effort.count(max(40_000_000 / (bytes + 400) / jobCount, 20))
            let timings = Stopwatch.best(effort, count: count, [work.single, work.batched])
            let single = timings[0].nanos / Double(jobCount)
            let batched = timings[1].nanos / Double(jobCount)
            lines.append(
                Measurement(
                    name: "signature \(size), one by one", value: single, unit: "ns", claim: "SHA-256 from midstates",
                    hash: timings[0].hash))
            lines.append(
                Measurement(
                    name: "signature \(size), batch of \(jobCount)", value: batched, unit: "ns",
                    claim: "\(work.engineName), with the header read and compared", hash: timings[1].hash))
            lines.append(
                Measurement(
                    name: "signature \(size), ratio", value: single / batched, unit: "x",
                    claim: "one by one / batch\(goal)", hash: timings[1].hash))
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

        init(bodyBytes: Int) throws {
            var definition = SchemeDefinition(
                algorithm: .hmac(.sha256), headers: [SchemeHeaders(signature: "X-Hub-Signature-256")])
            definition.prefix = "sha256="
            scheme = try SignatureScheme([(definition, ["a secret"])], in: memory)
            key = SigningKey(secret: Array("a secret".utf8), algorithm: .sha256, in: memory)
            verifier = BatchVerifier(engine: .automatic, jobCountMax: jobCount, scratchBytes: 1 << 20)
            var numbers = SeededNumbers(state: UInt64(bodyBytes))
            for _ in 0..<jobCount {
                let body = (0..<bodyBytes).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
                let signature = TextEncoding.hex(key.mac(over: body))
                heads.append(
                    (ByteMemory(GitHubHead.text(signature: signature, contentLength: bodyBytes)), ByteMemory(body)))
            }
        }
        func single(_ count: Int) -> UInt64 {
            var hash: UInt64 = 1
            for _ in 0..<count {
                for item in heads {
                    key.compute(over: item.body.view, into: tag.start)
                    hash.mix(Int(tag.start[0]))
                }
            }
            return hash
        }
        /// The parse of a head is not part of it: once for all, the heads differ only in the signature's digits.
        func batched(_ count: Int) -> UInt64 {
            var parser = HeadParser()
            let parsed = parser.parse(heads[0].bytes.view, into: &head, fields: &fields, limits: IngestLimits())
            guard case .complete = parsed else { return 0 }
            var hash: UInt64 = 1
            for _ in 0..<count {
                verifier.removeAll()
                for item in heads {
                    let result = verifier.add(
                        scheme: scheme, request: item.bytes.view, head: head, fields: fields, body: item.body.view,
                        nowSeconds: 1000)
                    guard case .queued(let job) = result else { return 0 }
                    hash.mix(job)
                }
                verifier.run()
                for job in 0..<jobCount where verifier.verdict(job: job) != nil { return 0 }
            }
            return hash
        }
    }
}
