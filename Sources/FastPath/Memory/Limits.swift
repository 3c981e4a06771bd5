// Every bound of the data plane: value, unit, reason, in one place, checked together at start.

/// The bounds of a request that holds several events.
package enum BatchLimits {
    /// Keeps one request's share of a commit at some milliseconds of its loop, and holds what senders put together:
    /// HubSpot up to 100 events, SendGrid up to 768 KB of them.
    package static let eventCountMax = 4096
    /// Of one event's type and of its key: what a single event may have.
    package static let typeBytesMax = 65_535
    package static let keyBytesMax = BatchVerifier.composedBytesMax
}

/// The limits of ingest. Sizes in bytes, times in milliseconds.
package struct IngestLimits: Equatable, Sendable {
    /// RFC 9112 §3 asks for at least 8,000.
    package var requestLineBytesMax = 8192
    package var headBytesMax = 65_536
    package var fieldCountMax = FieldTable.usualCount
    /// Default for a source that sets none.
    package var bodyBytesMax = 1 << 20
    /// All chunk extensions of one message together (CVE-2023-39326).
    package var chunkExtensionBytesMax = 4096
    package var trailerBytesMax = 8192
    package var leadingEmptyLinesMax = 2
    /// From the first byte of a request (or the accept) to the end of its head.
    package var headMillisMax = 10_000
    /// From the end of the head to the end of the body.
    package var bodyMillisMax = 25_000
    package var idleMillisMax = 70_000
    /// How long an answer may wait for the peer to read it.
    package var sendMillisMax = 30_000
    /// From a request's last byte to the disk's answer.
    package var commitMillisMax = 15_000
    /// After an error answer the peer's bytes are drained so long, so that it can read the answer (RFC 9112 §9.6).
    package var lingerMillisMax = 2000
    package var connectionCountMax = 10_000
    /// Connections of one client address (IPv6: of one /64) that is no trusted proxy; 0 = as many as there are.
    package var connectionsPerAddressMax = 0

    package init() {}
    /// Nothing that a loop has taken is refused: for requests that are parsed a second time elsewhere.
    package static var widest: IngestLimits {
        var limits = IngestLimits()
        limits.requestLineBytesMax = limits.headBytesMax
        limits.fieldCountMax = FieldTable.capacity
        return limits
    }
}
