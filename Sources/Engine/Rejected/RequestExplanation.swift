// Why a captured request verifies or does not, step by step, for a person: what was read, by which scheme, which fields
// it needs and has, how its timestamp stands to now, what is signed, which secret matches, the verdict, the hints.
//
// Invariant: no secret beyond its first four characters and its length, no signature that would have been right, and of
// what is signed lengths and digests only.

import FastPath
import Foundation

package struct ExplainedStep: Codable, Equatable, Sendable {
    package enum Mark: String, Codable, Sendable { case fine, wrong, note }
    /// A stable word: `parse`, `source`, `headers`, `timestamp`, `signed`, `secret`, `verdict`, `hint`.
    package var step: String
    package var mark: Mark
    package var text: String

    package init(_ step: String, _ mark: Mark, _ text: String) {
        self.step = step
        self.mark = mark
        self.text = text
    }
}

package struct RequestExplanation: Sendable {
    package private(set) var steps: [ExplainedStep] = []
    package private(set) var isAccepted = false
    package private(set) var reason: String?
    package private(set) var finding: HintFinding?
    private let mask: CredentialMask

    /// `raw` is one request as on the wire. `neighbours` are other sources whose secrets may be told apart.
    package init(
        _ raw: [UInt8], source: SourceConfiguration, neighbours: [SourceConfiguration] = [], origin: String?,
        nowSeconds: UInt64
    ) {
        mask = CredentialMask(sources: [source] + neighbours)
        guard let request = parse(raw) else { return }
        guard describe(source) else { return }
        let definitions = SourceCompiler.definitions(of: source)
        for (index, definition) in definitions.enumerated() {
            let place = definitions.count > 1 ? "scheme \(index + 1): " : ""
            headers(request, definition, place)
            timestamp(request, definition, nowSeconds, place)
            signed(request, definition, origin, place)
        }
        if definitions.isEmpty {
            add("signed", .note, "this provider's rule is code; the verdict below is its own")
        }
        message(request, source, origin, nowSeconds)
        secrets(request, source, origin, nowSeconds)
        decide(request, source, neighbours, origin, nowSeconds)
    }

    private mutating func add(_ step: String, _ mark: ExplainedStep.Mark, _ text: String) {
        steps.append(ExplainedStep(step, mark, text))
    }

    // MARK: the request

    private mutating func parse(_ raw: [UInt8]) -> PlainRequest? {
        var limits = IngestLimits.widest
        limits.bodyBytesMax = max(limits.bodyBytesMax, raw.count)
        do throws(CaptureError) {
            _ = try CapturedRequest(raw, limits: limits)
        } catch {
            switch error {
            case .refused(let why):
                reason = why.rawValue
                add("parse", .wrong, "not an HTTP/1.1 request that a gateway takes: \(why.rawValue)")
            case .incomplete:
                reason = "incomplete"
                add("parse", .wrong, "the request ends before it is whole: a shorter body than Content-Length says?")
            }
            return nil
        }
        guard let request = PlainRequest(raw) else {
            reason = "incomplete"
            add("parse", .wrong, "the request line has not three words")
            return nil
        }
        let target = mask.target(request.target)
        add(
            "parse", .fine,
            "\(request.method) \(target), \(request.fields.count) header fields, body \(sketch(request.body))")
        return request
    }

    /// False when the source cannot be compiled.
    private mutating func describe(_ source: SourceConfiguration) -> Bool {
        do throws(SourceError) {
            _ = try SourceCompiler.compile(source)
        } catch {
            reason = SignatureRejection.invalidSecret.rawValue
            add("source", .wrong, error.problem.message)
            return false
        }
        let count = source.secrets.count
        let secrets = count == 1 ? "1 secret" : "\(count) secrets"
        add("source", .fine, "provider \(source.provider), \(secrets)")
        return true
    }

    // MARK: the scheme

    private mutating func headers(_ request: PlainRequest, _ definition: SchemeDefinition, _ place: String) {
        for set in definition.headers {
            let wanted = [("signature", set.signature), ("id", set.id), ("timestamp", set.timestamp)]
            for (what, spelling) in wanted {
                guard let spelling else { continue }
                let values = SignedContentSummary.values(spelling, request)
                switch values.count {
                case 0: add("headers", .wrong, "\(place)\(what): \(spelling) is not there")
                case 1:
                    let isSecret = definition.algorithm == .token || definition.algorithm == .basic
                    let shown = isSecret ? CredentialMask.secret(values[0]) : values[0]
                    let visible = SchemePlaces.header(spelling).map { mask.value(shown, of: $0) } ?? shown
                    add("headers", .fine, "\(place)\(what): \(spelling) = \(String(visible.prefix(200)))")
                default: add("headers", .wrong, "\(place)\(what): \(spelling) is there \(values.count) times")
                }
            }
        }
        if !definition.prefix.isEmpty {
            add("headers", .note, "\(place)the signature begins with \(definition.prefix)")
        }
        if definition.algorithm != .token, definition.algorithm != .basic {
            add("headers", .note, "\(place)the signature is written in \(definition.encoding.words)")
        }
    }

    private mutating func timestamp(
        _ request: PlainRequest, _ definition: SchemeDefinition, _ now: UInt64, _ place: String
    ) {
        guard let rule = definition.timestamp else { return }
        guard let text = SignedContentSummary.timestamp(request, definition) else {
            add("timestamp", rule.isOptional ? .note : .wrong, "\(place)there is none")
            return
        }
        guard let time = SignedContentSummary.seconds(text, rule) else {
            add("timestamp", .wrong, "\(place)\(String(text.prefix(64))) is not a time in the expected form")
            return
        }
        let distance = time > now ? time - now : now - time
        let side = time > now ? "ahead of" : "behind"
        let counts = time > now ? rule.checksFuture : rule.checksPast
        let allowed = rule.allowedSeconds(ahead: time > now)
        let isFar = counts && distance > allowed
        add(
            "timestamp", isFar ? .wrong : .fine,
            "\(place)\(text) is \(distance) s \(side) now (\(now)); \(allowed) s are allowed"
                + (counts ? "" : ", and this side is not checked"))
    }

    private mutating func signed(
        _ request: PlainRequest, _ definition: SchemeDefinition, _ origin: String?, _ place: String
    ) {
        switch definition.algorithm {
        case .token, .basic:
            add("signed", .note, "\(place)nothing is signed: the value is compared with the secret")
            return
        default: break
        }
        add("signed", .note, "\(place)\(definition.algorithmWords) over \(definition.signed)")
        for piece in SignedContentSummary.pieces(definition.signed) {
            guard let bytes = SignedContentSummary.bytes(of: piece, request, definition, origin: origin) else {
                add("signed", .wrong, "\(place)\(piece): cannot be taken from this request")
                continue
            }
            let words = piece.hasPrefix("{") ? "\(piece) \(sketch(bytes))" : "the text \(JSONQuoting.quoted(piece))"
            add("signed", .fine, place + words)
        }
    }

    /// All of what is signed, as the verifier itself puts it together.
    private mutating func message(
        _ request: PlainRequest, _ source: SourceConfiguration, _ origin: String?, _ now: UInt64
    ) {
        guard let parts = SourceCheck(source)?.parts, let scheme = parts.scheme,
            let captured = try? CapturedRequest(head: request.head, body: request.body)
        else { return }
        defer { withExtendedLifetime(parts.memory) {} }
        guard case .success(let reading) = scheme.read(captured, origin: origin, nowSeconds: now),
            !reading.message.isEmpty
        else { return }
        add("signed", .fine, "all of it: a message \(sketch(reading.message))")
    }

    private func sketch(_ bytes: [UInt8]) -> String {
        guard !bytes.isEmpty else { return "of 0 bytes" }
        let digest = TextEncoding.hex(Array(Digest.sha256(bytes).prefix(6)))
        let end = bytes.last == 0x0A ? ", ends with a line end" : ""
        return "of \(bytes.count) bytes, SHA-256 \(digest)…\(end)"
    }

    // MARK: secrets and verdict

    private mutating func secrets(
        _ request: PlainRequest, _ source: SourceConfiguration, _ origin: String?, _ now: UInt64
    ) {
        for secret in source.secrets {
            let shown = CredentialMask.secret(secret.value)
            guard let check = SourceCheck(source.with(secrets: [secret])) else {
                add("secret", .wrong, "\(shown): fits no scheme of this provider")
                continue
            }
            let window = secret.isUsable(at: now) ? "" : " (outside its not_before and not_after)"
            switch check.verdict(request, origin: origin, nowSeconds: now) {
            case .accepted: add("secret", .fine, "\(shown): match\(window)")
            case .rejected(let reason): add("secret", .wrong, "\(shown): no match, \(reason.rawValue)\(window)")
            case .undecided: add("secret", .note, "\(shown): cannot be decided now")
            }
        }
    }

    private mutating func decide(
        _ request: PlainRequest, _ source: SourceConfiguration, _ neighbours: [SourceConfiguration],
        _ origin: String?, _ now: UInt64
    ) {
        guard let subject = HintSubject(source, among: neighbours) else { return }
        switch subject.check.verdict(request, origin: origin, nowSeconds: now) {
        case .accepted:
            isAccepted = true
            add("verdict", .fine, "accepted")
        case .undecided:
            reason = "undecided"
            add("verdict", .wrong, "cannot be decided now: a certificate that is not here would be needed")
        case .rejected(let reason):
            self.reason = reason.rawValue
            add("verdict", .wrong, "rejected: \(reason.rawValue)")
            finding = RejectionHints.look(
                at: request, reason: reason, subject: subject, origin: origin, nowSeconds: now)
            if let finding {
                add("hint", .note, "\(finding.hint.rawValue): \(finding.detail)")
            } else {
                add(
                    "hint", .note,
                    "no change that was tried makes it verify; the secret or the body differs from the sender's"
                )
            }
        }
    }
}

extension SchemeDefinition {
    var algorithmWords: String {
        switch algorithm {
        case .hmac(let algorithm): "HMAC of \(algorithm)"
        case .token: "equality"
        case .basic: "Basic credentials"
        case .ed25519: "Ed25519"
        case .ecdsaP256: "ECDSA P-256 with SHA-256"
        case .rsaSHA256: "RSA with SHA-256"
        }
    }
}

/// A literal as a person should see it: quoted, its control characters as escapes.
enum JSONQuoting {
    static func quoted(_ text: String) -> String {
        let bytes = JSONStyle(layout: .compact, text: .plain, escapesSlashes: false)
            .write(.string(Array(text.unicodeScalars))).bytes
        return String(decoding: bytes, as: UTF8.self)
    }
}
