// The wall clock as the dedup window sees it: it never goes back. Were it to, every event of before would stay in its
// window for as much longer, and a new event with an old key would be taken for a duplicate. Passive.
//
// Invariant: what it says never falls. Set forward, windows end early and a duplicate may pass, which loses nothing.

struct WindowClock {
    /// Seconds since 1970, and what the clock was set back by since the start.
    private(set) var seconds: UInt32 = 0
    private var setBack: UInt64 = 0

    mutating func set(wallNanos: UInt64) {
        let wall = wallNanos / 1_000_000_000
        let now = UInt32(clamping: wall + setBack)
        if now >= seconds { seconds = now } else { setBack = UInt64(seconds) - min(wall, UInt64(seconds)) }
    }
}
