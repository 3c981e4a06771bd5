// Where a load's events came out: the lines of a sink's ledger, or a gateway's log, read offline. Blocking; after the
// run.
import Engine
import FastPath
import Foundation
import LoadGenerator

package enum LoadEvidence: Equatable, Sendable {
    case ledger(String)
    case log(String)

    package struct Problem: Error, CustomStringConvertible { package let description: String }

    package func prove(_ ledger: LoadLedger, run: UInt32, eventCount: UInt64) throws -> LoadProof {
        switch self {
        case .ledger(let path):
            var prover = LoadProver(evidence: "ledger", ledger: ledger, run: run, eventCount: eventCount)
            try LoadEvidence.readLines(path) { line in LoadEvidence.take(line, into: &prover) }
            return prover.result()
        case .log(let folder):
            var prover = LoadProver(evidence: "log", ledger: ledger, run: run, eventCount: eventCount)
            do {
                _ = try LogCheck.run(path: folder, from: 1) { record, _ in
                    let found = LoadEventText.find(in: record.body) ?? LoadEventText.find(in: record.fieldLines)
                    if let found {
                        prover.add(run: found.run, event: found.event, sequence: record.sequence)
                    } else {
                        prover.addForeign()
                    }
                    return true
                }
            } catch { throw Problem(description: "--log: \(error.description)") }
            return prover.result()
        }
    }
    /// `MICROS WEBHOOK-ID STATUS EVENT-TEXT`: only what was answered 2xx is delivered; the rest is sent again.
    private static func take(_ line: Substring, into prover: inout LoadProver) {
        let parts = line.split(separator: " ")
        guard parts.count >= 3, let status = Int(parts[2]), (200...299).contains(status) else { return }
        let text = parts.count > 3 ? parts[3] : parts[1]
        guard let found = Array(text.utf8).withView({ LoadEventText.find(in: $0) }) else {
            return prover.addForeign()
        }
        prover.add(run: found.run, event: found.event, sequence: EventID(String(parts[1]))?.sequence)
    }
    private static func readLines(_ path: String, _ take: (Substring) -> Void) throws {
        let handle: FileHandle
        do { handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path)) } catch {
            throw Problem(description: "--ledger: cannot read `\(path)`: \(ConfigurationReading.reason(of: error))")
        }
        defer { try? handle.close() }
        var rest = Data()
        while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
            rest.append(piece)
            guard let end = rest.lastIndex(of: 0x0A) else { continue }
            for line in String(decoding: rest[..<end], as: UTF8.self).split(separator: "\n") { take(line) }
            rest = Data(rest[rest.index(after: end)...])
        }
    }
}
