// An entry of the contract's registry as a client makes and changes it, and as it is shown. Pure.
import Engine
import FastPath

/// What of an entry is given; nil = nothing.
package struct ContractEntryChange: Equatable, Sendable {
    package var name: String?
    package var types: [String]?
    package var url: String?
    package var secret: String?
    package var isActive: Bool?
    private var schemaVersion: String?
    private var bucketName: String?
    private var capacity: Int?
    private var refill: Int?
    private var retries: Int?
    private var firstMillis: Int?
    private var factor: Double?
    private var maxMillis: Int?
    private var atMostSeconds: Int?
    private var hasJitter: Bool?
    private var isSigned: Bool?
    /// Null takes it away; of the next one too.
    private var certificate: String??
    private var failoverURL: String??
    private var timeoutMillis: Int?

    static let typeCountMax = 100
    static let nameRange = 1...256
    private static let urlRange = 1...2048
    private static let names = [
        "name", "event_type", "event_types", "target_url", "secret", "secret_ref", "mtls_cert_ref",
        "rate_limit_bucket", "retry_policy", "schema_version", "delivery_policy", "active", "tenant_id", "webhook_id",
    ]
    package static let delayRange = 50...3_600_000

    /// The whole body of a POST, or the changes of a PATCH. `tenant`: the caller's UUID.
    package init(_ bytes: [UInt8], isNew: Bool, tenant: String) throws {
        var body = try ContractFields(bytes, knowing: ContractEntryChange.names)
        if isNew, case .text(let named)? = body.value("tenant_id"), named.lowercased() != tenant {
            throw EdgeRefusal(.tenantMismatch, "`tenant_id` is not the session's tenant")
        }
        let fixed = isNew ? ["webhook_id", "secret_ref"] : ["webhook_id", "tenant_id", "secret_ref"]
        for name in fixed where body.has(name) { body.report(name, "is fixed, and cannot be given") }
        certificate = body.has("mtls_cert_ref") ? .some(body.text("mtls_cert_ref", 1...64)) : nil
        name = body.text("name", ContractEntryChange.nameRange)
        url = body.text("target_url", ContractEntryChange.urlRange, isRequired: isNew)
        secret = body.text("secret", ContractEntry.secretRange)
        isActive = body.flag("active")
        schemaVersion = body.text("schema_version", 1...64)
        types = ContractEntryChange.types(&body, isNew: isNew)
        readBucket(&body)
        readRetry(&body)
        readDelivery(&body)
        try body.check()
    }
    private static func types(_ body: inout ContractFields, isNew: Bool) -> [String]? {
        let before = body.problems.count
        let one = body.text("event_type", 1...PublishRules.typeBytesMax)
        let list = body.texts("event_types", countMax: typeCountMax)
        guard body.problems.count == before else { return nil }
        guard one != nil || list != nil else {
            if isNew { body.report("event_type", "is required, or `event_types`") }
            return nil
        }
        var seen: Set<String> = []
        let types = ((one.map { [$0] } ?? []) + (list ?? [])).filter { seen.insert($0).inserted }
        if types.isEmpty { body.report("event_types", "must have at least one") }
        for type in types where !isPattern(type) {
            body.report(
                list?.contains(type) == true ? "event_types" : "event_type",
                "`\(type.prefix(64))` is neither a name nor a pattern: 1 to 256 of `a-z A-Z 0-9 . _ - / : *`")
        }
        return types
    }
    static func isPattern(_ text: String) -> Bool { PublishRules.isType(text.replacing("*", with: "a")) }

    private mutating func readBucket(_ body: inout ContractFields) {
        let names = ["name", "capacity", "refill_per_s"]
        guard var fields = body.object("rate_limit_bucket", knowing: names) else { return }
        bucketName = fields.text("name", 1...64)
        capacity = fields.count("capacity", 1...1_000_000)
        refill = fields.count("refill_per_s", 1...1_000_000)
        body.take(fields)
    }
    private mutating func readRetry(_ body: inout ContractFields) {
        let names = [
            "max_retries", "backoff", "initial_delay_ms", "backoff_factor", "max_delay_ms", "max_duration_s", "jitter",
        ]
        guard var fields = body.object("retry_policy", knowing: names) else { return }
        retries = fields.count("max_retries", 0...20)
        _ = fields.word("backoff", among: ["exponential"])
        firstMillis = fields.count("initial_delay_ms", ContractEntryChange.delayRange)
        factor = fields.number("backoff_factor", 1...10)
        maxMillis = fields.count("max_delay_ms", ContractEntryChange.delayRange)
        atMostSeconds = fields.count("max_duration_s", 1...86_400)
        hasJitter = fields.flag("jitter")
        body.take(fields)
    }
    private mutating func readDelivery(_ body: inout ContractFields) {
        let names = ["sign", "timeout_ms", "failover_url"]
        guard var fields = body.object("delivery_policy", knowing: names) else { return }
        isSigned = fields.flag("sign")
        timeoutMillis = fields.count("timeout_ms", 100...60_000)
        failoverURL =
            fields.has("failover_url") ? .some(fields.text("failover_url", ContractEntryChange.urlRange)) : nil
        body.take(fields)
    }

    /// 422 where what is given does not fit what there is.
    package func apply(to settings: inout EndpointConfiguration) throws {
        settings.url = url ?? settings.url
        settings.types = types ?? settings.types
        if let name { settings.extras.about = name }
        if let secret { settings.secrets = [secret] }
        if let isActive { settings.disabled = !isActive }
        var entry = settings.extras.contract?.value ?? ContractEntry()
        entry.schemaVersion = schemaVersion ?? entry.schemaVersion
        entry.bucket.name = bucketName ?? entry.bucket.name
        entry.bucket.capacity = capacity ?? entry.bucket.capacity
        entry.bucket.refill = refill ?? entry.bucket.refill
        entry.retry.retries = retries ?? entry.retry.retries
        entry.retry.firstMillis = firstMillis ?? entry.retry.firstMillis
        entry.retry.factor = factor ?? entry.retry.factor
        entry.retry.maxMillis = maxMillis ?? entry.retry.maxMillis
        entry.retry.atMostSeconds = atMostSeconds ?? entry.retry.atMostSeconds
        entry.retry.hasJitter = hasJitter ?? entry.retry.hasJitter
        entry.isSigned = isSigned ?? entry.isSigned
        entry.certificate = certificate ?? entry.certificate
        entry.failoverURL = failoverURL ?? entry.failoverURL
        entry.timeoutMillis = timeoutMillis ?? entry.timeoutMillis
        guard entry.retry.maxMillis >= entry.retry.firstMillis else {
            throw EdgeRefusal.invalid([
                FieldProblem(
                    path: "retry_policy.max_delay_ms",
                    reason: "must be at least `initial_delay_ms` (\(entry.retry.firstMillis))")
            ])
        }
        entry.apply(to: &settings)
    }
}

/// An entry as it is shown.
package struct ContractEntryView: Equatable, Sendable {
    package var id: String
    package var tenant: String
    package var settings: EndpointConfiguration
    package var createdMillis: Int64
    package var updatedMillis: Int64

    package init(
        id: String, tenant: String, settings: EndpointConfiguration, createdMillis: Int64, updatedMillis: Int64
    ) {
        self.id = id
        self.tenant = tenant
        self.settings = settings
        self.createdMillis = createdMillis
        self.updatedMillis = updatedMillis
    }
    /// `secret`: shown once, to the call that made the entry without one of its own.
    package func json(secret: String? = nil) -> JSONValue {
        let entry = settings.extras.contract?.value ?? ContractEntry()
        var members: [String: JSONValue] = [
            "webhook_id": .text(id), "tenant_id": .text(tenant), "name": .text(settings.extras.about),
            "event_type": .text(settings.types.first ?? ""), "event_types": .list(settings.types.map { .text($0) }),
            "target_url": .text(settings.url), "secret_ref": .text("webhook:\(id)"),
            "mtls_cert_ref": entry.certificate.map { .text($0) } ?? .null,
            "schema_version": .text(entry.schemaVersion), "active": .bool(!settings.disabled),
            "created_at": .text(TimeText.of(epochMillis: createdMillis)),
            "updated_at": .text(TimeText.of(epochMillis: updatedMillis)),
        ]
        members["rate_limit_bucket"] = [
            "name": .text(entry.bucket.name), "capacity": .integer(Int64(entry.bucket.capacity)),
            "refill_per_s": .integer(Int64(entry.bucket.refill)),
        ]
        members["retry_policy"] = [
            "max_retries": .integer(Int64(entry.retry.retries)), "backoff": "exponential",
            "initial_delay_ms": .integer(Int64(entry.retry.firstMillis)),
            "backoff_factor": JSONValue.number(entry.retry.factor).asStored,
            "max_delay_ms": .integer(Int64(entry.retry.maxMillis)),
            "max_duration_s": .integer(Int64(entry.retry.atMostSeconds)), "jitter": .bool(entry.retry.hasJitter),
        ]
        members["delivery_policy"] = [
            "sign": .bool(entry.isSigned), "timeout_ms": .integer(Int64(entry.timeoutMillis)),
            "failover_url": entry.failoverURL.map { .text($0) } ?? .null,
        ]
        if let secret { members["secret"] = .text(secret) }
        return .object(members)
    }
}
