// Which library computes the MACs of a batch. Chosen once at start; `doctor` shows it.

import CShims

package enum VerifierEngine: String, CaseIterable, Sendable {
    case openssl
    /// libipsec-mb: many messages at once in the lanes of the vector registers.
    case multiBuffer = "multibuffer"

    /// The engines that this build and processor have.
    package static var available: [VerifierEngine] {
        sluice_batch_lanes() > 0 ? [.openssl, .multiBuffer] : [.openssl]
    }
    /// Multi-buffer where it gains: with 16 lanes a full batch takes half the time of OpenSSL with SHA extensions, with 8 lanes
    /// (no SHA extensions then) less than that; with 2 it gains nothing.
    package static var automatic: VerifierEngine { sluice_batch_lanes() >= 8 ? .multiBuffer : .openssl }
    /// SHA-256 messages computed at once; 1 for OpenSSL.
    package var laneCount: Int { self == .multiBuffer ? Int(sluice_batch_lanes()) : 1 }
}
