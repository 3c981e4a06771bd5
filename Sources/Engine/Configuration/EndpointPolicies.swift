// What an endpoint's deliveries go by beyond concurrency, time-outs and retries: one plain value a policy, nil where the
// endpoint has none. Kept behind one pointer, because most endpoints have no policy.
//
// Invariant: each field is an optional or has a default that means "none", and is read with `decodeIfPresent`, so that a
// row of an earlier version is read at once.

package struct EndpointPolicies: Equatable, Codable, Sendable {
    package init() {}
}
