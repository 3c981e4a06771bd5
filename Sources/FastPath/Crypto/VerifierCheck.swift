// Whether the multi-buffer library computes what OpenSSL does, asked of a batch of messages of many lengths.
//
// Safety: the messages and the tags are allocated here, for as long as the batch is run; each tag has room for the
// longest digest.

import CShims

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
