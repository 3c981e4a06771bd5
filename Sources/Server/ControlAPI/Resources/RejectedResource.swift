// What the control API and the command line say of refused requests: plain values, and what a running gateway does for
// them. Credentials are masked unless they are asked for.
import Engine
import FastPath
import Foundation

package struct RejectedItem: Codable, Equatable, Sendable {
    package var id: String
    /// RFC 3339, UTC.
    package var receivedAt: String
    package var source: String
    package var reason: String
    package var hint: String?
    package var detail: String?
    /// Head and body together.
    package var bytes: Int
    package var peer: String?

    init(_ row: RejectedRow) {
        id = row.id
        receivedAt = TimeText.of(nanoseconds: row.request.receivedAt)
        source = row.request.sourceName
        reason = row.request.reason.rawValue
        hint = row.finding?.hint.rawValue
        detail = row.finding?.detail
        bytes = row.byteCount
        peer = row.request.peer?.text
    }
    /// For a person.
    package var line: String {
        let why = hint.map { "\(reason)  \($0)" } ?? reason
        return "\(receivedAt)  \(id)  \(source)  \(why)  \(bytes) B  \(peer ?? "-")"
    }
}

package struct RejectedPage: Codable, Equatable, Sendable {
    /// Newest first.
    package var rejected: [RejectedItem]
    /// Ask again with `before` this for older ones; nil when there are none.
    package var next: String?

    package init(rejected: [RejectedItem], next: String?) {
        self.rejected = rejected
        self.next = next
    }
}

package struct RejectedDetail: Codable, Equatable, Sendable {
    package var rejected: RejectedItem
    package var method: String
    package var target: String
    package var headers: [[String]]
    package var body: String?
    package var bodyBase64: String?

    init(_ row: RejectedRow, mask: CredentialMask?) {
        rejected = RejectedItem(row)
        let plain = PlainRequest(head: row.request.head, body: row.request.body)
        method = plain?.method ?? ""
        target = plain.map { mask?.target($0.target) ?? $0.target } ?? ""
        let fields = plain?.fields.map { [$0.name, $0.value] } ?? []
        headers = mask?.headers(fields) ?? fields
        body = String(validating: row.request.body, as: UTF8.self)
        bodyBase64 = body == nil ? Data(row.request.body).base64EncodedString() : nil
    }
    package var text: String {
        var lines = [rejected.line]
        if let detail = rejected.detail { lines.append("  \(LogLines.visible(detail))") }
        lines += ["", "\(LogLines.visible(method)) \(LogLines.visible(target))"]
        lines += headers.map { LogLines.visible($0.joined(separator: ": ")) }
        lines += ["", body.map(EventDetail.visibleText) ?? "(a body that is not text; --json has it as base 64)"]
        return lines.joined(separator: "\n")
    }
}

package struct RejectedFilter: Equatable, Sendable {
    package var source: String?
    package var reason: String?
    package var before: String?
    package var limit = 100
    package init() {}
}

/// Empty fields match everything.
package struct ReverifyRequest: Codable, Equatable, Sendable {
    package var source: String?
    package var ids: [String]?
    /// True (the default) counts only.
    package var dryRun: Bool?
    package init() {}
}

package struct ReverifyResponse: Codable, Equatable, Sendable {
    package var accepted: Int
    package var duplicate: Int
    /// Verified, and not taken by the log now, or not to be decided now; still kept.
    package var deferred: Int
    /// Verified, and a provider's challenge; still kept.
    package var challenge: Int
    /// Of a source that is not configured any more.
    package var withoutSource: Int
    /// Still refused, by reason.
    package var rejected: [String: Int]
    package var dryRun: Bool

    init(_ outcome: ReverifyOutcome, dryRun: Bool) {
        accepted = outcome.accepted
        duplicate = outcome.duplicates
        deferred = outcome.deferred
        challenge = outcome.challenges
        withoutSource = outcome.withoutSource
        rejected = Dictionary(outcome.rejected.map { ($0.key.rawValue, $0.value) }) { $0 + $1 }
        self.dryRun = dryRun
    }
    package var text: String {
        var lines = [
            dryRun ? "accepted     \(accepted) (would be; --dry-run changed nothing)" : "accepted     \(accepted)",
            "duplicate    \(duplicate)",
        ]
        for (name, count) in [("deferred", deferred), ("challenge", challenge), ("no source", withoutSource)]
        where count > 0 {
            lines.append(name.padding(toLength: 13, withPad: " ", startingAt: 0) + "\(count)")
        }
        lines.append("still refused \(rejected.values.reduce(0, +))")
        for (reason, count) in rejected.sorted(by: { $0.key < $1.key }) { lines.append("  \(reason)  \(count)") }
        return lines.joined(separator: "\n")
    }
}
