// The wall clock as the dedup window sees it: it never goes back. Were it to, every event of before would stay in its
// window for as much longer, and a new event with an old key would be taken for a duplicate. Passive.
//
// Invariant: what it says never falls. Set forward, windows end early and a duplicate may pass, which loses nothing.

struct WindowClock {
    /// Events of several loops are out of order by less than this.
    private static let disorderSeconds: UInt32 = 5
    private var latest: UInt32 = 0
    /// What the clock was set back by, in all.
    private var setBack: UInt32 = 0

    /// Seconds since 1970 for an event received then.
    mutating func seconds(receivedAt nanos: UInt64) -> UInt32 {
        let now = UInt32(clamping: nanos / 1_000_000_000 + UInt64(setBack))
        guard now < latest else {
            latest = now
            return now
        }
        if latest - now > WindowClock.disorderSeconds { setBack += latest - now }
        return latest
    }
}
