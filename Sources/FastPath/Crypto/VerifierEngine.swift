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

extension VerifierEngine {
    /// The algorithms for which the multi-buffer library and OpenSSL disagree about one of a batch of messages of many
    /// lengths; for `doctor`, since a library that lies would refuse every request.
    package static func disagreements() -> [MACAlgorithm] {
        MACAlgorithm.allCases.filter { laneCount($0) > 0 && !agrees($0) }
    }
    private static func agrees(_ algorithm: MACAlgorithm) -> Bool {
        let memory = CompiledMemory()
        let key = SigningKey(secret: Array("a secret".utf8), algorithm: algorithm, in: memory)
        let messages = (1...64).map { [UInt8](repeating: UInt8($0), count: $0 * 37) }
        guard let batch = unsafe sluice_batch_create(UInt32(messages.count)) else { return false }
        defer { unsafe sluice_batch_destroy(batch) }
        let room = MACAlgorithm.digestBytesMax
        let tags = UnsafeMutablePointer<UInt8>.allocate(capacity: messages.count * room)
        let texts = UnsafeMutablePointer<UInt8>.allocate(capacity: messages.reduce(0) { $0 + $1.count })
        defer {
            unsafe tags.deallocate()
            unsafe texts.deallocate()
        }
        var start = 0
        for (index, message) in messages.enumerated() {
            unsafe (texts + start).update(from: message, count: message.count)
            unsafe sluice_batch_place(
                batch, UInt32(index), key.midstates, texts + start, message.count, tags + index * room)
            start += message.count
        }
        unsafe sluice_batch_run(batch, algorithm.code, UInt32(messages.count))
        return messages.indices.allSatisfy { index in
            let tag = unsafe UnsafeBufferPointer(start: tags + index * room, count: algorithm.digestBytes)
            return unsafe sluice_batch_completed(batch, UInt32(index)) != 0
                && Array(tag) == key.mac(over: messages[index])
        }
    }
}
