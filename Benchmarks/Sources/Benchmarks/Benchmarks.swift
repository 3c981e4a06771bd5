// Measures what the hot path is built of, one file a claim. Results are for reading and comparing, never asserted by
// time; a claim fails only when what it computes is wrong.
//
//   benchmarks [--small] [--json] [CLAIM…]      a claim by a part of its name
//   benchmarks --count [CLAIM…]                 under callgrind: instructions, as JSON (perf/counts.py calls it so)
import FastPath
import Glibc
import InstructionCounter

#if DEBUG
#error("Build with -c release: nobody wants to know how fast the debug build is.")
#endif

@main struct Benchmarks {
    private static let claims = [
        YardstickClaim.claim, HeadParseClaim.claim, FramingClaim.claim, ChunkDecodeClaim.claim, SignatureClaim.claim,
        FingerprintClaim.claim, DedupClaim.claim, RingClaim.claim, RecordClaim.claim, JournalClaim.claim,
        RecoveryClaim.claim, JSONScanClaim.claim, FilterClaim.claim, RetryClaim.claim, ReplyClaim.claim,
        RedactionClaim.claim,
        ComparisonClaim.claim,
    ]
    private static let known = ["--small", "--json", "--count"]

    static func main() {
        let arguments = CommandLine.arguments.dropFirst()
        let options = arguments.filter { $0.hasPrefix("--") }
        let words = arguments.filter { !$0.hasPrefix("--") }
        if let unknown = options.first(where: { !known.contains($0) }) {
            print("FAIL  benchmarks: \(unknown) is none of \(known.joined(separator: ", "))")
            exit(2)
        }
        let isCounting = options.contains("--count")
        if isCounting, instruction_counter_is_there() == 0 {
            print("FAIL  benchmarks: --count needs callgrind, its headers at build time, and INSTRUCTION_COUNTER_FILE")
            exit(2)
        }
        let effort = Effort(isSmall: isCounting || options.contains("--small"), isCounting: isCounting)
        let isJSON = isCounting || options.contains("--json")
        let wanted = claims.filter { claim in words.isEmpty || words.contains { claim.name.contains($0) } }
        var failures = 0
        var results: [Measurement] = []
        for claim in wanted {
            do {
                let measured = try claim.measure(effort)
                results += isCounting ? measured.compactMap(\.counted) : measured
                if !isJSON { for measurement in measured { print(measurement.line) } }
            } catch {
                failures += 1
                let line = "FAIL  \(claim.name): \(error)\n"
                _ = write(STDERR_FILENO, line, line.utf8.count)
            }
        }
        if isJSON {
            let chosen = isCounting ? [features] : []
            print("[" + (results.map(\.json) + chosen).joined(separator: ",\n ") + "]")
        } else {
            print("benchmarks: \(wanted.count - failures) passed, \(failures) failed")
        }
        exit(failures > 0 || wanted.isEmpty ? 1 : 0)
    }

    /// What was chosen for this processor. Counts of two machines compare when it is the same on both.
    private static var features: String {
        let lanes = MACAlgorithm.allCases.map { "\($0) \(VerifierEngine.laneCount($0))" }.joined(separator: ", ")
        return #"{"name": "features", "value": "lanes: \#(lanes)"}"#
    }
}
