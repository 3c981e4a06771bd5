// What makes an injected event the same one when it is offered again, where its source's rule would not: the source
// has no window, or the event no key. Who offers does not always hear what became of it (a disk that hangs, a process
// that dies), and must be able to ask again without a second event.
//
// Such an event is kept with a key that begins with a mark and its identity, behind which stands its own key, if any.
// It takes part in the dedup law by it, for `windowSeconds`, and meets no event but itself.
// Invariant: `ownKey(in:)` of a marked key gives the key that was there before.

import Synchronization

package struct OfferIdentity: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
    /// One that no other has: the process drew the first, and counts on from it. Thousands are made in a second, and a
    /// system call for each would be a tenth of what a published event costs.
    package static func fresh() -> OfferIdentity {
        let count = made.add(1, ordering: .relaxed).newValue
        return OfferIdentity(high: first.high, low: first.low &+ count)
    }
    private static let first = OfferIdentity(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    private static let made = Atomic<UInt64>(0)

    /// How long offering the same event again keeps nothing twice. Recovery reads the log at least so far back: longer
    /// would make the starts slower of those who chose short windows.
    package static let windowSeconds: UInt32 = 3600
    /// No provider's id begins with a zero byte but by intent, and then the identity still differs.
    private static let mark = [0] + Array("offer".utf8)
    private static let keyBytesMin = mark.count + 16 + 4

    /// The key of one event of the offer; `index` tells those of one request apart.
    func key(_ index: Int, ownKey: [UInt8]) -> [UInt8] {
        var key = OfferIdentity.mark
        key.reserveCapacity(OfferIdentity.keyBytesMin + ownKey.count)
        for word in [high, low] {
            for shift in stride(from: UInt64(0), to: 64, by: 8) { key.append(UInt8(truncatingIfNeeded: word >> shift)) }
        }
        for shift in stride(from: 0, to: 32, by: 8) { key.append(UInt8(truncatingIfNeeded: index >> shift)) }
        return key + ownKey
    }
    /// What the provider calls the event, of a key as it is kept.
    package static func ownKey(in key: ByteView) -> ByteView {
        guard key.count >= keyBytesMin, key.slice(0, mark.count).array == mark else { return key }
        return key.slice(keyBytesMin, key.count - keyBytesMin)
    }
}

extension InjectedEvent {
    /// With an identity of its own where its source gives it none, so that offering it again is safe.
    var identified: InjectedEvent {
        guard elements.count == 0 else { return identifiedElements }
        guard dedupWindowSeconds == 0 else { return self }
        var event = self
        event.dedupKey = identity.key(0, ownKey: keyIsBody ? [] : dedupKey)
        event.keyIsBody = false
        event.dedupWindowSeconds = OfferIdentity.windowSeconds
        return event
    }
    private var identifiedElements: InjectedEvent {
        var event = self
        event.elements = ElementTable()
        elements.bytes.withView { table in
            var cursor = ElementCursor(table)
            while let element = cursor.next() {
                let start = Int(element.body.start)
                let keepsKey = element.hasIdentity && dedupWindowSeconds > 0
                let own = element.keyIsBody ? [] : element.key.array
                let key = keepsKey ? own : identity.key(event.elements.count, ownKey: own)
                event.elements.append(
                    body: start..<start + Int(element.body.count), key: key, keyIsBody: keepsKey && element.keyIsBody,
                    eventType: element.eventType.array)
            }
        }
        if dedupWindowSeconds == 0 { event.dedupWindowSeconds = OfferIdentity.windowSeconds }
        return event
    }
}
