// What of the contract edge an operator may set. Taken at the process's start.

package struct ContractSettings: Equatable, Sendable {
    /// False: there is nothing under `/v1/`.
    package var isEnabled = true
    /// Of browsers: `SCHEME://HOST[:PORT]`.
    package var origins: [String] = []
    /// The longest silence of a stream.
    package var heartbeatMillis = 15_000
    /// Of each tenant's bucket: tokens, and how many come back in a second.
    package var rateCapacity = 100
    package var rateRefill = 10
    /// The metric names of the contract stand beside Sluice's own.
    package var hasMetrics = true
    package init() {}
}
