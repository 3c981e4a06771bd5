// What an endpoint's deliveries go by beyond concurrency, time-outs and retries: one plain value a policy, nil where
// the endpoint has none. Kept behind one pointer, because most endpoints have no policy.
//
// Invariant: each field is an optional or has a default that means "none", and is read with `decodeIfPresent`, so that
// a row of an earlier version is read at once.

package struct EndpointPolicies: Equatable, Codable, Sendable {
    /// Nil = by Standard Webhooks.
    package var signature: SignatureConfiguration?
    /// How the gateway proves to the endpoint who it is; nil = not at all, or by header fields of the endpoint's own.
    package var authorization: EndpointAuthorization?
    /// Which of the events that its sources, types and channels choose it gets; see docs/filters.md.
    package var filter: PlainJSON?
    /// What is taken out of what is sent.
    package var redaction: RedactionSettings?
    /// What is made of a body before it is sent, in this order.
    package var transform: [TransformStep]?

    package var breaker: BreakerSettings?
    package var retry: RetrySettings?
    package var rate: RateSettings?
    /// Nil: as many in flight as `concurrency` says; else that is the most.
    package var concurrency: AdaptiveSettings?
    /// Older deliveries die.
    package var deadlineMillis: Int?
    /// Delivered no earlier than so long after receipt.
    package var delayMillis: Int?
    package var shadow: ShadowSettings?
    /// An endpoint that has done nothing but fail for so long is disabled.
    package var disableAfterMillis: Int?
    package var errors: ErrorSettings?
    /// Only the newest of what waits with one key.
    package var coalesce: CoalesceSettings?
    /// Several events in one request.
    package var batch: BatchSettings?
    package init() {}
}
