// Compares what was sent with what came out elsewhere: a sink's ledger or the log itself. Passive: events go in one by
// one in the evidence's order, the proof comes out.
//
// Invariants: an event is lost exactly when it was accepted and is not in the evidence; found again is duplicated;
// order is that of the sequence the evidence gives, for each first finding. Two bytes an event.

import FastPath

package struct LoadProver: Sendable {
    private let ledger: LoadLedger
    private let run: UInt32
    private let eventCount: UInt64
    private var found: [UInt8]
    private var lastSequence: UInt64 = 0
    private var proof = LoadProof()

    package init(evidence: String, ledger: LoadLedger, run: UInt32, eventCount: UInt64) {
        self.ledger = ledger
        self.run = run
        self.eventCount = min(eventCount, UInt64(ledger.capacity))
        found = [UInt8](repeating: 0, count: Int(self.eventCount))
        proof.evidence = evidence
    }
    /// `sequence` is the gateway's own, where the evidence has one.
    package mutating func add(run foundRun: UInt32, event: UInt64, sequence: UInt64?) {
        guard foundRun == run, event < eventCount else {
            proof.foreign += 1
            return
        }
        let place = Int(event)
        if found[place] > 0 {
            proof.duplicated += 1
        } else {
            proof.delivered += 1
            if let sequence {
                if sequence < lastSequence { proof.outOfOrder += 1 }
                lastSequence = max(lastSequence, sequence)
            }
        }
        found[place] = 1
    }
    package mutating func addForeign() { proof.foreign += 1 }

    package func result() -> LoadProof {
        var proof = proof
        for event in 0..<eventCount {
            let isFound = found[Int(event)] > 0
            switch ledger.state(of: event) ?? .unsent {
            case .unsent: break
            case .unknown:
                proof.sent += 1
                proof.unknown += 1
            case .refused:
                proof.sent += 1
                proof.refused += 1
                if isFound { proof.deliveredThoughRefused += 1 }
            case .accepted:
                proof.sent += 1
                proof.accepted += 1
                if !isFound { proof.lost += 1 }
            case .forged, .forgedAccepted: if isFound { proof.forgeriesDelivered += 1 }
            }
        }
        return proof
    }
}
