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

package struct ReverifyAnswer: Codable, Equatable, Sendable {
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

extension LiveGateway {
    private func worker() throws -> (RejectedWorker, GatewayAccess) {
        let access = try access()
        guard let worker = access.rejected else {
            throw ControlError(
                status: 409, code: "not_kept", message: "refused requests are not kept: `rejected.keep` is 0")
        }
        return (worker, access)
    }
    private func number(_ id: String) throws -> Int64 {
        guard let number = RejectedRow.number(of: id) else {
            throw ControlError(
                status: 400, code: "bad_value", message: "`\(id)` is no id of a refused request, such as rej_17")
        }
        return number
    }
    private func known(_ source: String?) throws {
        guard let source else { return }
        let names = configuration.sources.map(\.name)
        guard !names.contains(source) else { return }
        let advice =
            NearestName.of(source, among: names).map { "did you mean `\($0)`?" }
            ?? "there is \(names.joined(separator: ", "))"
        throw ControlError(
            status: 404, code: "no_such_source", message: "there is no source `\(source)`; \(advice)")
    }

    package func rejected(_ filter: RejectedFilter) throws -> RejectedPage {
        let (worker, _) = try worker()
        var query = RejectedQuery()
        query.source = filter.source
        query.before = try filter.before.map(number)
        query.limit = filter.limit
        if let text = filter.reason {
            guard let reason = SignatureRejection(rawValue: text) else {
                let names = SignatureRejection.allCases.map(\.rawValue)
                let advice =
                    NearestName.of(text, among: names).map { "did you mean `\($0)`?" }
                    ?? "it takes \(names.joined(separator: ", "))"
                throw ControlError(status: 400, code: "bad_parameter", message: "`reason`: \(advice)")
            }
            query.reason = reason
        }
        let rows = try worker.store.list(query)
        return RejectedPage(
            rejected: rows.map { RejectedItem($0) }, next: rows.count == filter.limit ? rows.last?.id : nil)
    }
    package func rejected(id: String, reveal: Bool) throws -> RejectedDetail? {
        let (worker, _) = try worker()
        guard let row = try worker.store.row(try number(id)) else { return nil }
        return RejectedDetail(row, mask: reveal ? nil : CredentialMask(sources: configuration.sources))
    }
    package func reverify(_ request: ReverifyRequest) throws -> ReverifyAnswer {
        let (worker, access) = try worker()
        try known(request.source)
        var query = ReverifyQuery()
        query.source = request.source
        query.numbers = try (request.ids ?? []).map(number)
        query.isDry = request.dryRun ?? true
        let reverification = Reverification(store: worker.store, configuration: configuration) {
            access.injector.offer(contentsOf: $0)
        }
        return ReverifyAnswer(try reverification.run(query), dryRun: query.isDry)
    }
}
