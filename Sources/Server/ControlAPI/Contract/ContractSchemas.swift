// The bodies of the contract edge, described for the published document.
import Engine

enum ContractSchemas {
    static let sessionOrder = ObjectSchema(
        "ContractSessionOrder", "A session to open.",
        [.optional("ttl_seconds", .integer(SessionTokens.secondsRange), "How long it lasts; 3600 by default.")])
    static let session = ObjectSchema(
        "ContractSession", "A session.",
        [
            .required("session_token", .text, "A JWT, in place of the API key."),
            .required("expires_at", .time, "When it ends."),
            .required("tenant_id", .orNull(.text), "The key's tenant; `null` for the platform's."),
            .required("role", .word(KeyRole.allCases.map(\.name)), "The key's."),
        ])
    private static let severity = Schema.word(ContractIngest.severities)
    static let event = ObjectSchema(
        "ContractEvent", "One event.",
        [
            .required("source", .text, "Who saw it; 1 to 256 characters."),
            .required("category", .text, "What it is about; 1 to 256 characters."),
            .required("severity", severity, "How bad it is."),
            .required("event_type", .text, "1 to 256 of `a-z A-Z 0-9 . _ - / :`."),
            .optional("detected_at", .time, "When it was seen; when it came, without."),
            .optional("payload", .anything, "An object, which goes on as it came; `{}` without."),
            .optional("tenant_id", .text, "Must be the session's tenant."),
            .optional("cluster_id", .text, "Where it was seen."),
        ])
    private static let batchEvent = ObjectSchema(
        "ContractBatchEvent", "An event of a batch: as it stands it is the event's payload.",
        [
            .optional("id", .text, "The sender's own."),
            .required("source", .text, "Who saw it."),
            .required("type", .text, "The event's type."),
            .required("severity", severity, "How bad it is."),
            .optional("category", .text, "`observation` without."),
            .optional("namespace", .text, "Where it was seen."),
            .optional("resource", .text, "On what."),
            .optional("description", .text, "In people's words."),
            .optional("timestamp", .time, "When it was seen; when it came, without."),
            .optional("details", .anything, "More."),
        ])
    static let batch = ObjectSchema(
        "ContractBatch", "Up to 1000 events, all of which are taken or none.",
        [
            .optional("cluster_id", .text, "Where they were seen."),
            .optional("tenant_id", .text, "Must be the session's tenant."),
            .required("events", .list(.object(batchEvent), countMax: ContractIngest.eventCountMax), "At least one."),
        ])
    static let accepted = ObjectSchema(
        "ContractAccepted", "What was taken.",
        [
            .required("status", .word(["accepted", "duplicate"]), "`duplicate`: it was here before."),
            .required("correlation_id", .text, "The first request's `X-Request-Id`."),
            .optional("event_id", .text, "Of one event."),
            .optional("accepted", .count, "Of a batch: how many."),
            .optional("event_ids", .list(.text), "Of a batch: in its order."),
        ])

    // MARK: entries

    private static let bucket = ObjectSchema(
        "ContractBucket", "How fast the target may be sent to.",
        [
            .optional("name", .text, "`default` without."),
            .optional("capacity", .integer(1...1_000_000), "At once; 100 without."),
            .optional("refill_per_s", .integer(1...1_000_000), "A second; 10 without."),
        ])
    private static let retry = ObjectSchema(
        "ContractRetryPolicy", "How a failure that may pass is tried again.",
        [
            .optional("max_retries", .integer(0...20), "5 without."),
            .optional("backoff", .word(["exponential"]), "The one there is."),
            .optional("initial_delay_ms", .integer(ContractEntryChange.delayRange), "10000 without."),
            .optional("backoff_factor", .number(1...10), "2 without."),
            .optional("max_delay_ms", .integer(ContractEntryChange.delayRange), "300000 without."),
            .optional("max_duration_s", .integer(1...86_400), "Since the event came; 900 without."),
            .optional("jitter", .flag, "Each wait is drawn up to its bound; true without."),
        ])
    private static let delivery = ObjectSchema(
        "ContractDeliveryPolicy", "How it is sent.",
        [
            .optional("sign", .flag, "True without."),
            .optional("timeout_ms", .integer(100...60_000), "Of an attempt; 30000 without."),
            .optional(
                "failover_url", .orNull(.text),
                "`https://…` or `http://…`: gets one attempt, signed alike, before the dead-letter queue; `null`: none."
            ),
        ])
    private static let changeable: [ObjectSchema.Field] = [
        .optional("name", .text, "In people's words."),
        .optional("event_type", .text, "A name, or a pattern with `*`."),
        .optional("event_types", .list(.text, countMax: ContractEntryChange.typeCountMax), "Several of them."),
        .optional("secret", .text, "16 to 256 characters; signs its deliveries, and is never shown."),
        .optional(
            "mtls_cert_ref", .orNull(.text),
            "The name of a certificate that an `https` target is shown, one of the "
                + "configuration file's `client_certificates`; `null`: none."),
        .optional("rate_limit_bucket", .object(bucket), "What is absent stays."),
        .optional("retry_policy", .object(retry), "What is absent stays."),
        .optional("schema_version", .text, "`1` without."),
        .optional("delivery_policy", .object(delivery), "What is absent stays."),
        .optional("active", .flag, "Whether it gets events; true without."),
    ]
    static let draft = ObjectSchema(
        "ContractEntryDraft", "An entry to make.",
        [
            .required("target_url", .text, "`https://…` or `http://…`."),
            .optional("tenant_id", .text, "The session's."),
        ] + changeable)
    static let patch = ObjectSchema(
        "ContractEntryPatch", "What of an entry is to change.",
        [.optional("target_url", .text, "Another.")] + changeable)
    private static let shown: [ObjectSchema.Field] = [
        .required("webhook_id", .text, "A UUID."),
        .required("tenant_id", .text, "The tenant's UUID."),
        .required("name", .text, "In people's words; may be empty."),
        .required("event_type", .text, "The first of `event_types`."),
        .required("event_types", .list(.text), "Names and patterns."),
        .required("target_url", .text, "Where events go."),
        .required("secret_ref", .text, "Stands for the secret."),
        .required("mtls_cert_ref", .orNull(.text), "The name of the certificate that its target is shown, or `null`."),
        .required("rate_limit_bucket", .object(bucket), "How fast the target is sent to."),
        .required("retry_policy", .object(retry), "Of failures that may pass."),
        .required("schema_version", .text, "Sent with each event."),
        .required("delivery_policy", .object(delivery), "How it is sent."),
        .required("active", .flag, "Whether it gets events."),
        .required("created_at", .time, "When it was made."),
        .required("updated_at", .time, "When it was changed last."),
    ]
    static let entry = ObjectSchema("ContractEntry", "Where a tenant's events go.", shown)
    static let made = ObjectSchema(
        "ContractEntryMade", "An entry that was just made.",
        shown + [.optional("secret", .text, "Where none was given: shown this once.")])
    static let entryPage = page("ContractEntryPage", entry)
    private static func page(_ name: String, _ item: ObjectSchema) -> ObjectSchema {
        ObjectSchema(
            name, "A page, the newest first.",
            [
                .required("items", .list(.object(item)), "In order."),
                .required("next_cursor", .orNull(.text), "`null` at the end."),
            ])
    }

    // MARK: deliveries

    private static let errorClass = Schema.orNull(.word(ContractErrorClass.allCases.map(\.rawValue)))
    private static let row: [ObjectSchema.Field] = [
        .required("delivery_id", .text, "A UUID."),
        .required("webhook_id", .text, "The entry."),
        .required("event_id", .orNull(.text), "The event; `null` when it has left the log."),
        .required("tenant_id", .text, "The tenant's UUID."),
        .required("event_type", .orNull(.text), "The event's."),
        .required("attempt", .count, "So many were made."),
        .required("status", .word(ContractStatus.allCases.map(\.rawValue)), "What became of it."),
        .required("latency_ms", .orNull(.number(nil)), "Of the last attempt."),
        .required("response_code", .orNull(.count), "Of the last attempt; `null` without an answer."),
        .required("error_class", errorClass, "Why the last attempt failed."),
        .required("correlation_id", .orNull(.text), "The request's that brought the event."),
        .required("idempotency_key", .text, "The same at every attempt and replay."),
        .required("created_at", .orNull(.time), "When the event came."),
    ]
    static let deliveryPage = page(
        "ContractDeliveryPage", ObjectSchema("ContractDelivery", "One event, one entry.", row))
    private static let attempt = ObjectSchema(
        "ContractAttempt", "One attempt.",
        [
            .required("attempt", .count, "Its number."),
            .required("at", .time, "When it ended."),
            .required("response_code", .orNull(.count), "`null` without an answer."),
            .required("latency_ms", .number(nil), "How long it took."),
            .required("error_class", errorClass, "Why it failed."),
            .required("error", .orNull(.text), "The same in words."),
        ] + failover)
    private static let failover: [ObjectSchema.Field] = [
        .optional("failover", .flag, "True of one at `failover_url`; absent of all others."),
        .optional("host", .text, "Host and port of that URL as it was then."),
    ]
    static let deliveryDetail = ObjectSchema(
        "ContractDeliveryDetail", "A delivery with its attempts.",
        row + [.required("attempts", .list(.object(attempt)), "In order.")])
    static let testOrder = ObjectSchema(
        "ContractTestOrder", "A request to send once.",
        [
            .required("webhook_id", .text, "To this entry."),
            .optional("event_type", .text, "`webhook.test` without."),
            .optional("payload", .anything, "An object."),
        ])
    static let testResult = ObjectSchema(
        "ContractTestResult", "What was sent, and what came back.",
        [
            .required("dry_run", .flag, "True."),
            .required("delivered", .flag, "It answered 2xx."),
            .required("request", .anything, "`url`, `headers`, `body`."),
            .required("response", .anything, "`status`, `body` to 1 KiB, `latency_ms`; `null` without an answer."),
            .required("error", .orNull(.text), "Why there is none."),
        ])
    static let replayOrder = ObjectSchema(
        "ContractReplayOrder", "What to deliver again: ids, or a filter.",
        [
            .required("reason", .text, "For the audit log."),
            .optional("delivery_ids", .list(.text, countMax: ContractReplayOrder.countMax), "These."),
            .optional("webhook_id", .text, "Those of this entry."),
            .optional("error_class", .word(ContractErrorClass.allCases.map(\.rawValue)), "Those that failed so."),
        ])
    private static let replay = ObjectSchema(
        "ContractReplay", "A delivery that starts over.",
        [
            .required("replay_id", .text, "A UUID."),
            .required("delivery_id", .text, "As before."),
            .required("status", .word(["accepted", "already_pending"]), "What became of it."),
            .required("requested_by", .text, "Who asked."),
            .required("reason", .text, "Why."),
            .required("created_at", .time, "When."),
        ])
    static let replays = ObjectSchema(
        "ContractReplays", "What starts over.",
        [.required("replays", .list(.object(replay)), "Empty: nothing matched.")])
    private static let categories = ContractAuditCategory.allCases.map(\.rawValue)
    static let auditPage = page(
        "ContractAuditPage",
        ObjectSchema(
            "ContractAuditEntry", "Something that was done, or refused.",
            [
                .required("audit_id", .text, "Its own."),
                .required("tenant_id", .text, "The tenant's UUID."),
                .required("category", .word(categories), "Says which fields follow."),
                .required("created_at", .time, "When."),
                .optional("actor_id", .text, "Who."),
                .optional("request_id", .orNull(.text), "In which request."),
                .optional("action", .text, "What was done."),
                .optional("resource_id", .text, "To what."),
                .optional("changes", .list(.anything), "`field`, `before`, `after`; no secrets."),
                .optional("webhook_id", .text, "Of which entry."),
                .optional("delivery_id", .text, "Of which delivery."),
                .optional("attempt", .count, "Which attempt."),
                .optional("status", .text, "How it ended."),
                .optional("latency_ms", .number(nil), "How long it took."),
                .optional("failure_reason", .text, "Why it was refused."),
                .optional("outcome", .text, "What became of a replay."),
            ] + failover))
    static let failure = ObjectSchema(
        "ContractFailure", "What was refused, as the contract says it.",
        [.required("error", .object(failureDetail), "The refusal.")])
    private static let failureDetail = ObjectSchema(
        "ContractFailureDetail", "A refusal.",
        [
            .required("code", .word(EdgeCode.allCases.map(\.rawValue)), "Stable; branch on this."),
            .required("message", .text, "What is wrong this time, and what would be right."),
            .required("request_id", .text, "As `X-Request-Id` of the answer."),
            .optional("details", .list(.object(problem)), "Every field that is wrong, 100 at most."),
            .optional("supported_versions", .list(.text), "Of a contract version that is not served."),
        ])
    private static let problem = ObjectSchema(
        "ContractProblem", "One field that is wrong.",
        [.required("field", .text, "Which."), .required("message", .text, "Why.")])
}
