// When the gateway says that something about itself is not as it should be: see `ConditionWatch`.

package struct ConditionSettings: Equatable, Sendable {
    /// Of a source's requests within a minute, percent that are refused for their signature; and at least so many.
    package var refusedPercent = 50
    package var refusedCountMin = 20
    /// Free bytes of the data folder's disk; 0 = never.
    package var freeBytesMin = 1 << 30
    /// Age of the oldest event that an endpoint has not been given, milliseconds.
    package var laggingMillis = 300_000
    /// Days that a listener's certificate is still valid.
    package var certificateDays = 14
    package init() {}
}
