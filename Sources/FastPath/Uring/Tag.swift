// The identity of what was submitted: kind, generation and slot in the 64 bits that io_uring gives back. A descriptor
// is no identity, it is reused while completions of its last owner are still on their way; a slot with a generation is
// one.

package enum TagKind: UInt8, Sendable {
    case ignored = 0
    case accept, receive, send, close, cancel, connect
    case wake, journalWrite, journalSync, segmentRename, folderSync
}

package struct Tag: Equatable, Sendable {
    package let bits: UInt64

    @inline(__always) package init(bits: UInt64) { self.bits = bits }
    /// `generation` counts in 24 bits and wraps; `slot` in 32.
    @inline(__always) package init(_ kind: TagKind, slot: UInt32 = 0, generation: UInt32 = 0) {
        bits = UInt64(kind.rawValue) << 56 | UInt64(generation & Tag.generationMask) << 32 | UInt64(slot)
    }
    /// `ignored` also for bits that name no kind: such a completion belongs to nobody.
    @inline(__always) package var kind: TagKind { TagKind(rawValue: UInt8(truncatingIfNeeded: bits >> 56)) ?? .ignored }
    @inline(__always) package var generation: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & Tag.generationMask }
    @inline(__always) package var slot: UInt32 { UInt32(truncatingIfNeeded: bits) }
    package static let generationMask: UInt32 = 0xFF_FFFF
}
