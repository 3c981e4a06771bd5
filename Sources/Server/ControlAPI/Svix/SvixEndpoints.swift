// Endpoints of the Svix-shaped API: how they are shown and taken.
import Engine
import FastPath

package struct SvixEndpoint: Equatable, Sendable {
    package var id: String
    package var settings: SvixEndpointDraft
    package var createdMillis: Int64
    package var updatedMillis: Int64

    package init(id: String, settings: SvixEndpointDraft, createdMillis: Int64, updatedMillis: Int64) {
        self.id = id
        self.settings = settings
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
    }
    package var json: JSONValue {
        func list(_ texts: [String]) -> JSONValue { texts.isEmpty ? .null : .list(texts.map { .text($0) }) }
        let rate = settings.throttleRate.map { JSONValue.integer(Int64($0)) } ?? .null
        return [
            "id": .text(id), "uid": settings.uid.map { .text($0) } ?? .null, "url": .text(settings.url),
            "description": .text(settings.about), "version": .integer(Int64(settings.version)),
            "disabled": .bool(settings.isDisabled), "throttleRate": rate, "rateLimit": rate,
            "eventTypes": list(settings.eventTypes), "filterTypes": list(settings.eventTypes),
            "channels": list(settings.channels), "metadata": .object(settings.metadata.mapValues { .text($0) }),
            "createdAt": .text(TimeText.of(epochMillis: createdMillis)),
            "updatedAt": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
    }
}

/// What an endpoint is to be. Neither its secrets nor its header fields are in a replacement.
package struct SvixEndpointDraft: Equatable, Sendable {
    package var url = ""
    package var uid: String?
    package var about = ""
    package var version = 1
    package var isDisabled = false
    package var throttleRate: Int?
    /// Empty = all.
    package var eventTypes: [String] = []
    /// Empty = all.
    package var channels: [String] = []
    package var metadata: [String: String] = [:]

    package init() {}
    /// What is wrong is noted in `body`.
    package init(_ body: inout SvixBody) {
        url = body.requiredText("url") ?? ""
        uid = body.uid(idPrefix: PublicID.Prefix.endpoint.rawValue).value
        about = body.text("description") ?? ""
        version = body.version() ?? 1
        isDisabled = body.flag("disabled") ?? false
        throttleRate = body.throttleRate().value
        eventTypes = body.eventTypes().value ?? []
        channels = body.channels().value ?? []
        metadata = body.metadata().value ?? [:]
    }
}

package struct SvixEndpointPatch: Equatable, Sendable {
    package var url: String?
    package var uid: SvixGiven<String>
    package var about: String?
    package var version: Int?
    package var isDisabled: Bool?
    package var throttleRate: SvixGiven<Int>
    package var eventTypes: SvixGiven<[String]>
    package var channels: SvixGiven<[String]>
    package var metadata: SvixGiven<[String: String]>

    package init(_ body: inout SvixBody) {
        url = body.text("url")
        uid = body.uid(idPrefix: PublicID.Prefix.endpoint.rawValue)
        about = body.text("description")
        version = body.version()
        isDisabled = body.flag("disabled")
        throttleRate = body.throttleRate()
        eventTypes = body.eventTypes()
        channels = body.channels()
        metadata = body.metadata()
    }
    package func over(_ old: SvixEndpointDraft) -> SvixEndpointDraft {
        var new = old
        new.url = url ?? old.url
        new.uid = uid.over(old.uid)
        new.about = about ?? old.about
        new.version = version ?? old.version
        new.isDisabled = isDisabled ?? old.isDisabled
        new.throttleRate = throttleRate.over(old.throttleRate)
        new.eventTypes = eventTypes.over(old.eventTypes) ?? []
        new.channels = channels.over(old.channels) ?? []
        new.metadata = metadata.over(old.metadata) ?? [:]
        return new
    }
}

extension SvixBody {
    fileprivate mutating func version() -> Int? {
        let given = givenInteger("version", 1...Int(Int32.max))
        if case .null = given { report("version", message: "must be a whole number, not null", .decode) }
        return given.value
    }
    /// Under its name of today, which counts, or the one of before.
    fileprivate mutating func eventTypes() -> SvixGiven<[String]> {
        let old = labels("filterTypes", count: 1...1000)
        let types = labels("eventTypes", count: 1...1000)
        return types == .absent ? old : types
    }
    fileprivate mutating func channels() -> SvixGiven<[String]> { labels("channels", count: 1...10) }

    /// A secret that is given; what is wrong with it is noted, and it is not said.
    package mutating func secret(_ name: String) -> String? {
        let given = givenText(name)
        if let text = given.value, let problem = SvixSecret.problem(text) { report(name, message: problem) }
        return given.value
    }
    /// Header fields by name; in a patch null stands for none.
    package mutating func headers(isPatch: Bool = false) -> [String: String?]? {
        if members["headers"] == nil { missing("headers") }
        let headers = value("headers", "an object of texts") { value -> [String: String?]? in
            guard case .object(let members) = value else { return nil }
            var texts: [String: String?] = [:]
            for (name, value) in members {
                switch value {
                case .text(let text): texts.updateValue(text, forKey: name)
                case .null where isPatch: texts.updateValue(nil, forKey: name)
                default: return nil
                }
            }
            return texts
        }
        if let headers, headers.count > SvixHeaders.countMax {
            report("headers", message: "has more than \(SvixHeaders.countMax) names")
            return nil
        }
        for (name, text) in (headers ?? [:]).sorted(by: { $0.key < $1.key }) {
            if let problem = SvixHeaders.problem(name: name) { report("headers", name, message: problem) }
            if let text, let problem = SvixHeaders.problem(value: text) { report("headers", name, message: problem) }
        }
        let lowered = (headers ?? [:]).keys.map { $0.lowercased() }
        if Set(lowered).count != lowered.count { report("headers", message: "has a name twice, in different letters") }
        return headers
    }
}

/// Secrets that sign deliveries: `whsec_` and 24 to 75 bytes for HMAC-SHA256, `whsk_` and a key pair for Ed25519.
package enum SvixSecret {
    private static let bytes = 24...75

    package static func problem(_ text: String) -> String? {
        if EndpointSecret.isAsymmetric(text) {
            return EndpointSecret.problem(text).map { _ in "must be `whsk_` and base 64 of a seed and its public key" }
        }
        let form = "must be `whsec_` and base 64 of \(bytes.lowerBound) to \(bytes.upperBound) bytes"
        guard text.hasPrefix("whsec_"),
            let decoded = TextEncoding.strictBase64(String(text.dropFirst("whsec_".count))),
            bytes.contains(decoded.count)
        else { return form }
        return EndpointSecret.problem(text).map { _ in form }
    }
    package static func make() -> String {
        "whsec_" + TextEncoding.base64(RandomBytes.make(bytes.lowerBound))
    }
}

/// What may be set as a header field of deliveries.
package enum SvixHeaders {
    package static let countMax = 50
    package static let valueBytesMax = 4096
    package static let sensitive: Set<String> = [
        "authorization", "x-api-key", "x-auth-token", "www-authenticate", "proxy-authenticate", "proxy-authorization",
    ]
    /// Those that a delivery has of its own, or that mean something to what stands between.
    private static let refused: Set<String> = [
        "user-agent", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers", "transfer-encoding",
        "upgrade", "age", "cache-control", "clear-site-data", "expires", "pragma", "warning", "content-length",
        "content-type", "content-encoding", "content-language", "content-location", "host", "connection", "trailer",
        "expect",
    ]
    private static let refusedPrefixes = [
        "x-amz-", "x-amzn-", "x-google", "x-goog-", "x-gfe", "x-azure-", "x-fd-", "x-svix-", "svix-", "webhook-",
        "sluice-",
    ]

    package static func problem(name: String) -> String? {
        let lowered = name.lowercased()
        guard !name.isEmpty, name.utf8.count <= 256, name.utf8.allSatisfy(isTokenByte) else {
            return "is not the name of a header field"
        }
        let isRefused = refused.contains(lowered) || refusedPrefixes.contains { lowered.hasPrefix($0) }
        return isRefused ? "is a name that cannot be set" : nil
    }
    package static func problem(value: String) -> String? {
        guard value.utf8.count <= valueBytesMax else { return "has a value of more than \(valueBytesMax) bytes" }
        let isSound = value.utf8.allSatisfy { $0 == 0x09 || ($0 >= 0x20 && $0 != 0x7F) }
        return isSound ? nil : "has a value with a control character"
    }
    /// RFC 9110, `tchar`.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// Endpoints of one application. References are ids or uids; what is another application's is `not_found`.
package protocol SvixEndpoints: AnyObject, Sendable {
    func endpoints(_ application: String, _ paging: SvixPaging, _ caller: Caller) throws -> SvixPage<SvixEndpoint>
    func endpoint(_ application: String, _ ref: String, _ caller: Caller) throws -> SvixEndpoint
    /// `secret` nil = one is made.
    func create(
        _ application: String, _ draft: SvixEndpointDraft, secret: String?, headers: [String: String], _ caller: Caller
    ) throws -> SvixEndpoint
    /// Makes one where there is none, with the draft's uid.
    func replace(
        _ application: String, _ ref: String, _ draft: SvixEndpointDraft, _ caller: Caller
    ) throws -> (endpoint: SvixEndpoint, isNew: Bool)
    func patch(
        _ application: String, _ ref: String, _ patch: SvixEndpointPatch, _ caller: Caller
    ) throws -> SvixEndpoint
    func deleteEndpoint(_ application: String, _ ref: String, _ caller: Caller) throws
    /// What a receiver verifies with: the secret, or the public half of a pair.
    func secret(_ application: String, _ ref: String, _ caller: Caller) throws -> String
    /// The old secret signs too until the grace time is over. Gives what a receiver verifies with from now on.
    func rotate(
        _ application: String, _ ref: String, to secret: String?, graceSeconds: Int, _ caller: Caller
    ) throws -> String
    /// Values that are not to be shown are nil.
    func headers(_ application: String, _ ref: String, _ caller: Caller) throws -> [String: String?]
    /// `merges`: what is not named stays, and nil takes away.
    func setHeaders(
        _ application: String, _ ref: String, _ headers: [String: String?], merges: Bool, _ caller: Caller
    ) throws
}

extension SvixEndpoint {
    static let schema = ObjectSchema(
        "EndpointOut", "Where an application's messages go.",
        [
            .required("id", .text, "`ep_…`; never changes and is never used again."),
            .optional("uid", .orNull(.text), "The caller's own id."),
            .required("url", .text, "Where they are delivered to."),
            .required("description", .text, "In people's words."),
            .required("version", .integer(1...Int(Int32.max)), "Kept and shown."),
            .optional("disabled", .flag, "Nothing is delivered, and nothing is made up for later."),
            .optional("throttleRate", .orNull(.integer(1...65_535)), "Messages a second; kept and shown."),
            .optional("rateLimit", .orNull(.integer(1...65_535)), "The old name of `throttleRate`."),
            .optional("eventTypes", .orNull(.list(.text)), "`null` = all."),
            .optional("filterTypes", .orNull(.list(.text)), "The old name of `eventTypes`."),
            .optional("channels", .orNull(.list(.text)), "Messages that share one; `null` = all."),
            .required("metadata", .map(.text), "The caller's own."),
            .required("createdAt", .time, "When it was made."),
            .required("updatedAt", .time, "When it changed last."),
        ])
    private static let changeable: [ObjectSchema.Field] = [
        .optional("uid", .orNull(.text), "1 to 256 of `a-z A-Z 0-9 - _ .`, not beginning with `ep_`."),
        .optional("description", .text, "In people's words."),
        .optional("version", .integer(1...Int(Int32.max)), "1 by default."),
        .optional("disabled", .flag, "`false` by default."),
        .optional("throttleRate", .orNull(.integer(1...65_535)), "Messages a second."),
        .optional("rateLimit", .orNull(.integer(1...65_535)), "The old name of `throttleRate`."),
        .optional("eventTypes", .orNull(.list(.text)), "Declared types that are not archived; at least one."),
        .optional("filterTypes", .orNull(.list(.text)), "The old name of `eventTypes`."),
        .optional("channels", .orNull(.list(.text, countMax: 10)), "1 to 10."),
        .optional("metadata", .orNull(.map(.text)), "Texts; at most 4096 bytes of JSON."),
    ]
    private static let url = ObjectSchema.Field.required(
        "url", .text, "http or https; `user:password@` is sent as Basic.")
    static let draftSchema = ObjectSchema(
        "EndpointIn", "An endpoint that is to be.",
        [url] + changeable + [
            .optional("secret", .orNull(.text), "`whsec_…` or `whsk_…`; one is made when there is none."),
            .optional("headers", .orNull(.map(.text)), "Header fields of its deliveries."),
        ])
    static let updateSchema = ObjectSchema("EndpointUpdate", "What an endpoint is to be.", [url] + changeable)
    static let patchSchema = ObjectSchema(
        "EndpointPatch", "What of an endpoint is to change.",
        [.optional("url", .text, "http or https.")] + changeable)
    static let secretSchema = ObjectSchema(
        "EndpointSecretOut", "What a receiver verifies with.",
        [.required("key", .text, "`whsec_…`, or `whpk_…`: the public half of a pair.")])
    static let rotateSchema = ObjectSchema(
        "EndpointSecretRotateIn", "A new secret.",
        [
            .optional("key", .orNull(.text), "`whsec_…` or `whsk_…`; one is made when there is none."),
            .optional(
                "gracePeriodSeconds", .orNull(.integer(0...604_800)),
                "The old one signs too for so long; 86400 by default."),
        ])
    static let headersSchema = ObjectSchema(
        "EndpointHeadersOut", "Header fields of the deliveries.",
        [
            .required("headers", .map(.text), "Those that may be shown."),
            .required("sensitive", .list(.text), "The names of those that are set and not shown."),
        ])
    static let headersDraftSchema = ObjectSchema(
        "EndpointHeadersIn", "Header fields of the deliveries.", [.required("headers", .map(.text), "All of them.")])
    static let headersPatchSchema = ObjectSchema(
        "EndpointHeadersPatchIn", "What of the header fields is to change.",
        [.required("headers", .map(.orNull(.text)), "`null` takes a field away.")])
}
