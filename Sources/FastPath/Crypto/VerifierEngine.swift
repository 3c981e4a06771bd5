// Which library computes the MACs of a batch. Chosen once at start; `doctor` shows it.

import CShims

package enum VerifierEngine: String, CaseIterable, Sendable {
    case openssl
    /// libipsec-mb: many messages at once in the lanes of the vector registers.
    case multiBuffer = "multibuffer"

    /// The engines that this build and processor have.
    package static var available: [VerifierEngine] {
        laneCount(.sha256) > 0 ? [.openssl, .multiBuffer] : [.openssl]
    }
    /// Multi-buffer where the processor has it: what it cannot do faster it leaves to OpenSSL (`batchSizeMin`).
    package static var automatic: VerifierEngine { laneCount(.sha256) > 0 ? .multiBuffer : .openssl }

    /// Messages that the multi-buffer engine computes at once; 0 where it is not used.
    package static func laneCount(_ algorithm: MACAlgorithm) -> Int { Int(sluice_batch_lanes(algorithm.code)) }

    /// So many times its own blocks must a message's company bring for the batch to gain, nil = never. A pass costs the
    /// same with one lane in use as with all: measured, sixteen lanes of SHA-1 break even at six messages, eight of
    /// SHA-512 at three, the two of SHA-256 with SHA extensions at one.
    static func batchSizeMin(_ algorithm: MACAlgorithm) -> Int? {
        let lanes = laneCount(algorithm)
        return lanes == 0 ? nil : max(1, (lanes * 3 + 4) / 8)
    }
}
