// What makes two events the same one, as 256 bits: where to look (XXH3, fast, forgeable) and who it is
// (SipHash-2-4-128, keyed, the identity). docs/log-format.md gives the bytes, docs/why/dedup-tag.md the reasons.
//
// Invariant: two prints are one event exactly when their tags are equal; the fingerprint never decides (law 2).
// Safety: the views handed to C are valid for the call and C reads `count` bytes of each.

import CShims

/// Secrets of one installation, from `log/identity`. Another log has others, so nobody can prepare colliding keys.
package struct FingerprintKeys: Sendable {
    package var seed: UInt64
    package var tagKey0: UInt64
    package var tagKey1: UInt64

    package init(seed: UInt64, tagKey0: UInt64, tagKey1: UInt64) {
        self.seed = seed
        self.tagKey0 = tagKey0
        self.tagKey1 = tagKey1
    }
}

package struct Hash128: Equatable, Sendable {
    package var low: UInt64
    package var high: UInt64

    @inline(__always) package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }
}

package struct Fingerprint: Equatable, Sendable {
    package var slot: Hash128
    package var tag: Hash128

    @inline(__always) package init(slot: Hash128, tag: Hash128) {
        self.slot = slot
        self.tag = tag
    }
    /// Tenant and source are at most 255 bytes each.
    @inline(__always) package init(tenant: ByteView, source: ByteView, key: ByteView, keys: FingerprintKeys) {
        precondition(tenant.count <= 255 && source.count <= 255)
        let print = unsafe sluice_event_print_of(
            sluice_print_keys(seed: keys.seed, key0: keys.tagKey0, key1: keys.tagKey1),
            tenant.base, tenant.count, source.base, source.count, key.base, key.count)
        slot = Hash128(low: print.fingerprint.low, high: print.fingerprint.high)
        tag = Hash128(low: print.tag.low, high: print.tag.high)
    }
    /// The same key of an event whose sender was not proven: never the same event as one whose sender was, so that
    /// nobody takes a genuine event's key while its source observes.
    @inline(__always) package var ofUnproven: Fingerprint {
        Fingerprint(
            slot: Hash128(low: ~slot.low, high: slot.high), tag: Hash128(low: ~tag.low, high: tag.high))
    }
}
