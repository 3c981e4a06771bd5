// What the log is given and what it answers: the contract between whoever verified an event and the journal.

/// One verified event on its way into the log. Views are valid for the call; the journal copies what it keeps.
package struct EventInput {
    /// `RecordFormat.tenantBytes(of:)` the tenant's number: empty for the default tenant.
    package var tenant = ByteView.empty
    /// The source's name from the configuration, 1 to 64 bytes.
    package var source = ByteView.empty
    /// The source's number in the registry, which outlives its name; 0 = it has none.
    package var sourceNumber: UInt32 = 0
    /// The bytes that make two events the same one within `tenant` and `source`: an id from a header or the JSON, or
    /// the body.
    package var dedupKey = ByteView.empty
    /// True exactly when `dedupKey` is the body itself; the record then does not store it a second time.
    package var keyIsBody = false
    /// How long a second one counts as a duplicate, in seconds; 0 = never.
    package var dedupWindowSeconds: UInt32 = 86_400
    /// The event's type in the provider's words; may be empty.
    package var eventType = ByteView.empty
    package var method = ByteView.empty
    package var target = ByteView.empty
    /// Of the certificate that the source demanded and the client has shown, printable; empty = none was demanded.
    package var clientSubject = ByteView.empty
    /// Field lines as received, each with its CRLF.
    package var fieldLines = ByteView.empty
    package var body = ByteView.empty
    /// Wall clock, nanoseconds since 1970.
    package var receivedAt: UInt64 = 0
    package var verdict = RecordVerification.verified
    /// It came in the contract's envelope, and nothing of that failed: an event of its tenant's contract edge too.
    package var isEnveloped = false
    /// Not empty exactly when the request holds several events: an `ElementTable` of ranges in `body`. Key and type are
    /// those of the elements then.
    package var elements = ByteView.empty
    /// What its record is to such a request (`RecordPart`).
    var part = RecordPart.whole

    package init() {}
}

/// What is known of an event's signature; a byte of its record. `mode: observe` keeps what fails its check.
package struct RecordVerification: Equatable, Sendable, BitwiseCopyable {
    package let code: UInt8

    @inline(__always) package init(code: UInt8) { self.code = code }
    /// Checked and right. In records from before this byte was used also: the source is not verified.
    @inline(__always) package static var verified: RecordVerification { RecordVerification(code: 0) }
    /// The source's configuration says `unverified: true`.
    @inline(__always) package static var unverified: RecordVerification { RecordVerification(code: 1) }
    /// The source observes, and its verifier had no room.
    @inline(__always) package static var skipped: RecordVerification { RecordVerification(code: 2) }
    /// The source observes, and the check failed.
    @inline(__always) package static func rejected(_ reason: SignatureRejection) -> RecordVerification {
        RecordVerification(code: firstReason + UInt8(truncatingIfNeeded: reason.index))
    }
    @inline(__always) private static var firstReason: UInt8 { 16 }

    /// True exactly when nothing of the source's check failed or was left out.
    @inline(__always) var isTrusted: Bool { code < 2 }
    /// The stable name: `verified`, `unverified`, `skipped`, a reason's code, or `unknown` for a later version's.
    package var name: String {
        switch code {
        case 0: return "verified"
        case 1: return "unverified"
        case 2: return "skipped"
        default: return reason?.rawValue ?? "unknown"
        }
    }
    package var reason: SignatureRejection? {
        guard code >= RecordVerification.firstReason else { return nil }
        let index = Int(code - RecordVerification.firstReason)
        return index < SignatureRejection.allCases.count ? SignatureRejection.allCases[index] : nil
    }
}

/// What became of an offered event. `sequence` names the record that holds it.
package enum OfferOutcome: Equatable, Sendable {
    /// In the group that is being filled. A receipt comes when that group's fate is known.
    case appended(sequence: UInt64)
    /// Already on disk: answer at once.
    case duplicate(sequence: UInt64)
    /// The same event is in a group not yet on disk: a receipt comes with that group's fate (law 2).
    case pending(sequence: UInt64)
    case refused(JournalRefusal)
}

package enum JournalRefusal: String, CaseIterable, Sendable {
    /// The group being filled has no room: the disk is slower than the arrivals.
    case groupFull = "log_busy"
    /// No segment can take the next group: disk full, or its preparation failed.
    case noSegment = "log_full"
    /// Writing or syncing failed on two segments in a row.
    case failed = "log_failed"
    /// Larger than a segment takes.
    case tooLarge = "event_too_large"
    case draining = "draining"
}

/// The fate of one offered event, given back for its ticket.
package struct Receipt: BitwiseCopyable, Equatable, Sendable {
    package var ticket: UInt64
    /// 0 when it is none, or not for good: a commit that fails gives its sequences to other events
    /// (docs/why/told-ids.md).
    package var sequence: UInt64
    package var fate: ReceiptFate
    /// Of a request that holds several events: how many of them are new.
    package var newCount: UInt32

    package init(ticket: UInt64, sequence: UInt64, fate: ReceiptFate, newCount: UInt32 = 0) {
        self.ticket = ticket
        self.sequence = sequence
        self.fate = fate
        self.newCount = newCount
    }
}
package enum ReceiptFate: UInt8, BitwiseCopyable, Sendable {
    case kept, duplicate
    /// It reached no disk, or was not taken at all: `refusal` says why.
    case failed, busy, full, tooLarge, draining

    package init(_ refusal: JournalRefusal) {
        self =
            switch refusal {
            case .groupFull: .busy
            case .noSegment: .full
            case .failed: .failed
            case .tooLarge: .tooLarge
            case .draining: .draining
            }
    }
    package var refusal: JournalRefusal? {
        switch self {
        case .kept, .duplicate: nil
        case .failed: .failed
        case .busy: .groupFull
        case .full: .noSegment
        case .tooLarge: .tooLarge
        case .draining: .draining
        }
    }
}
