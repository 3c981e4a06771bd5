// What the control API asks of a running gateway: one narrow protocol a subject, in plain values. Controllers know
// these and nothing of Engine; `Live/` fulfils them, tests put fakes there.
//
// Calls may take a while (they read the log and the store) and come from the control API's worker threads, never from
// a loop. `ref` is a public id, a uid or a name; uids and names are looked for in the caller's tenant, else in
// `default`. What a caller's tenant may not see is not there: `no_such_…`, never a refusal.

package protocol GatewayHealth: AnyObject, Sendable {
    func metrics() -> [MetricFamily]
    /// Empty exactly when new events are taken and all that is needed works.
    func readiness() -> [ReadinessProblem]
    func status() -> StatusResource
    /// What the gateway stands on.
    func vitals() -> GatewayVitals
}

/// A page by number: items with a greater number than `after`.
package struct Paging: Equatable, Sendable {
    package var after: UInt64?
    package var limit: Int
    package init(after: UInt64? = nil, limit: Int = 100) {
        self.after = after
        self.limit = limit
    }
}

/// What a listing found, and where it goes on.
package struct Found<Item: Sendable, Place: Sendable>: Sendable {
    package var items: [Item]
    /// Nil when there is nothing more.
    package var next: Place?
    package init(_ items: [Item], next: Place? = nil) {
        self.items = items
        self.next = next
    }
}

package protocol TenantDirectory: AnyObject, Sendable {
    func tenants(_ paging: Paging, _ caller: Caller) throws -> Found<TenantResource, UInt64>
    func tenant(_ ref: String, _ caller: Caller) throws -> TenantResource
}

/// Tenants made and changed. What the manifest has a part of is the manifest's.
package protocol TenantControl: AnyObject, Sendable {
    func create(_ draft: TenantDraft, _ caller: Caller) throws -> TenantResource
    func update(_ ref: String, _ patch: TenantPatch, _ caller: Caller) throws -> TenantResource
    /// Makes the tenant of this uid, or brings it up to the draft.
    func upsert(uid: String, _ draft: TenantDraft, _ caller: Caller) throws -> (tenant: TenantResource, isNew: Bool)
    /// A new signing secret; the only answer that has it.
    func rotateSecret(_ ref: String, _ caller: Caller) throws -> TenantResource
    /// `withResources`: also when it has sources or endpoints, which go with it.
    func delete(_ ref: String, withResources: Bool, _ caller: Caller) throws
}

package protocol KeyControl: AnyObject, Sendable {
    /// `tenant` nil = of all.
    func keys(tenant: String?, _ paging: Paging, _ caller: Caller) throws -> Found<KeyResource, UInt64>
    func key(_ id: String, _ caller: Caller) throws -> KeyResource
    /// The only answer that has the token.
    func create(_ order: KeyOrder, _ caller: Caller) throws -> KeyResource
    /// Its token is refused from then on.
    func revoke(_ id: String, _ caller: Caller) throws
}

/// The keys that stored secrets are encrypted under.
package protocol SecretControl: AnyObject, Sendable {
    func secrets(_ caller: Caller) throws -> SecretsResource
    /// Returns when all is under the new keys.
    func rewrap(_ order: RewrapOrder, _ caller: Caller) throws -> RewrapResource
}

package struct SourceSearch: Equatable, Sendable {
    package var tenant: String?
    package var provider: String?
    /// A pattern with `*`.
    package var name: String?
    package var paging = Paging()
    package init() {}
}

package protocol SourceDirectory: AnyObject, Sendable {
    func sources(_ search: SourceSearch, _ caller: Caller) throws -> Found<SourceResource, UInt64>
    func source(_ ref: String, _ caller: Caller) throws -> SourceResource
}

package struct EndpointSearch: Equatable, Sendable {
    package var tenant: String?
    package var state: EndpointStateName?
    /// A pattern with `*`.
    package var name: String?
    package var paging = Paging()
    package init() {}
}

package protocol EndpointDirectory: AnyObject, Sendable {
    func endpoints(_ search: EndpointSearch, _ caller: Caller) throws -> Found<EndpointResource, UInt64>
    func endpoint(_ ref: String, _ caller: Caller) throws -> EndpointResource
}

/// What an operator does to an endpoint; kept over restarts, written to the audit log.
package protocol EndpointControl: AnyObject, Sendable {
    func enable(_ ref: String, _ caller: Caller) throws
    func disable(_ ref: String, _ caller: Caller) throws
    /// `forMillis` nil = until it is enabled.
    func pause(_ ref: String, forMillis: Int?, _ caller: Caller) throws
    /// Everything that waits for a later attempt is due at once.
    func retryNow(_ ref: String, _ caller: Caller) throws
}

/// Changes of what is configured. Each is refused whole, with every field that is wrong.
package protocol RegistryControl: AnyObject, Sendable {
    /// All or none.
    func create(_ drafts: [EndpointDraft], _ caller: Caller) throws -> [EndpointResource]
    /// What an endpoint would have to be made with to be what it is, secrets too: never leaves the process.
    func draft(of ref: String, _ caller: Caller) throws -> (draft: EndpointDraft, revision: Int)
    /// `revision` nil = whatever it is; else `conflict` when it is another by now.
    func replace(_ ref: String, with draft: EndpointDraft, revision: Int?, _ caller: Caller) throws -> EndpointResource
    func remove(_ ref: String, _ caller: Caller) throws
    /// A whole configuration file, YAML or JSON.
    func apply(manifest: [UInt8], dryRun: Bool, _ caller: Caller) throws -> ChangeResource
    /// Reads the configuration file again.
    func reload(dryRun: Bool, _ caller: Caller) throws -> ChangeResource
    func lastChange() -> ChangeResource?
}

/// A place in a listing of deliveries: newest event first, then by endpoint.
package struct DeliveryPosition: Equatable, Sendable {
    package var sequence: UInt64
    package var endpoint: UInt64
    package init(sequence: UInt64, endpoint: UInt64) {
        self.sequence = sequence
        self.endpoint = endpoint
    }
}

package struct DeliverySearch: Equatable, Sendable {
    /// Empty = all.
    package var states: Set<DeliveryStateName> = []
    package var endpoint: String?
    package var source: String?
    /// A pattern with `*`.
    package var type: String?
    package var reason: String?
    /// `DeadLetterClass.rawValue`.
    package var failureClass: String?
    package var statuses: ClosedRange<UInt16>?
    /// When the last attempt ended, nanoseconds since 1970.
    package var updated: Range<UInt64>?
    /// Those strictly behind it.
    package var before: DeliveryPosition?
    package var limit = QueryParameter.limitDefault
    package init() {}
}

package protocol DeliveryQueries: AnyObject, Sendable {
    /// Looks at a bounded number of deliveries that do not match; `next` may stand behind an empty page.
    func deliveries(_ search: DeliverySearch, _ caller: Caller) throws -> Found<DeliveryResource, DeliveryPosition>
    func delivery(event: String, endpoint: String, _ caller: Caller) throws -> DeliveryDetail
    /// What a dead letter may be one for.
    var deadLetterReasons: [String] { get }
}

package protocol ReplayControl: AnyObject, Sendable {
    /// Sends one event again, at once, whatever became of it before.
    func retry(event: String, endpoint: String, _ caller: Caller) throws -> RetryAnswer
    func replay(_ order: ReplayOrder, _ caller: Caller) throws -> ReplayOutcome
}

package struct EventSearch: Equatable, Sendable {
    package var source: String?
    /// A pattern with `*`.
    package var type: String?
    /// What the provider calls the event, exactly.
    package var providerId: String?
    /// Nanoseconds since 1970.
    package var received: Range<UInt64>?
    /// Events strictly before this sequence, newest first.
    package var before: UInt64?
    package var limit = QueryParameter.limitDefault
    package init() {}
}

package protocol EventQueries: AnyObject, Sendable {
    /// Newest first. Looks at a bounded number of records; `next` may stand behind an empty page.
    func events(_ search: EventSearch, _ caller: Caller) throws -> Found<EventRow, UInt64>
    /// Oldest first, behind an event; the latest ones when there is none.
    func events(_ query: EventQuery, _ caller: Caller) throws -> EventPage
    /// With credentials masked unless `reveal`.
    func event(_ id: String, reveal: Bool, _ caller: Caller) throws -> EventContent
    /// Why it went where it went; `after` is the number of the endpoint before. Of a refused request: why it was.
    func trace(_ id: String, _ paging: Paging, _ caller: Caller) throws -> EventTrace
    /// Takes its content out of the log, and gives up what waits for delivery of it. The same for one that is erased.
    func erase(_ id: String, _ caller: Caller) throws -> ErasureAnswer
}

package protocol EventPublishing: AnyObject, Sendable {
    /// Of the caller's tenant, `default` when it is confined to none. On disk when this returns.
    func publish(_ order: PublishOrder, _ caller: Caller) async throws -> PublishAnswer
}

package protocol RejectedQueries: AnyObject, Sendable {
    func rejected(_ filter: RejectedFilter, _ caller: Caller) throws -> RejectedPage
    /// With credentials masked unless `reveal`.
    func rejected(id: String, reveal: Bool, _ caller: Caller) throws -> RejectedDetail?
    /// Verifies rejected requests again; those that pass become events unless it is a dry run.
    func reverify(_ request: ReverifyRequest, _ caller: Caller) throws -> ReverifyResponse
}

/// Transformations and redactions before they are saved; nothing is sent and nothing kept.
package protocol TransformationTrials: AnyObject, Sendable {
    func test(_ test: TransformationTest, _ caller: Caller) throws -> TransformationTestAnswer
    /// Looks at a bounded number of records, for a bounded time.
    func survey(_ survey: TransformationSurvey, _ caller: Caller) throws -> TransformationSurveyAnswer
}

package protocol AuditQueries: AnyObject, Sendable {
    /// Newest first; `after` counts downwards here: entries with a smaller id.
    func audit(_ paging: Paging, _ caller: Caller) throws -> Found<AuditResource, UInt64>
}

/// Who hears of what becomes of the other endpoints. Of the caller's tenant, `default` when it is confined to none.
package protocol OperationalWebhooks: AnyObject, Sendable {
    /// The newest first.
    func operationalEndpoints(_ caller: Caller) throws -> [OperationalEndpoint]
    func operationalEndpoint(_ id: String, _ caller: Caller) throws -> OperationalEndpoint
    /// The only answer that has the secret.
    func createOperationalEndpoint(_ draft: OperationalDraft, _ caller: Caller) throws -> OperationalEndpoint
    func replaceOperationalEndpoint(
        _ id: String, _ draft: OperationalDraft, _ caller: Caller
    ) throws -> OperationalEndpoint
    func deleteOperationalEndpoint(_ id: String, _ caller: Caller) throws
    /// Of the time in milliseconds since 1970.
    func operationalStats(_ period: Range<Int64>, _ caller: Caller) throws -> OperationalStats
}

/// Everything that the control API stands on.
package struct ControlServices: Sendable {
    package var signIn: any SignInService
    package var health: any GatewayHealth
    package var tenants: any TenantDirectory
    package var tenantControl: any TenantControl
    package var keys: any KeyControl
    package var sources: any SourceDirectory
    package var endpoints: any EndpointDirectory
    package var endpointControl: any EndpointControl
    package var registry: any RegistryControl
    package var deliveries: any DeliveryQueries
    package var replays: any ReplayControl
    package var repairs: any RepairControl
    package var events: any EventQueries
    package var transformations: any TransformationTrials
    package var streams: any EventStreaming
    package var publishing: any EventPublishing
    package var rejected: any RejectedQueries
    package var audit: any AuditQueries
    package var secrets: any SecretControl
    package var filters: any FilterTrials
    package var schemas: any SchemaTrials
    package var outbound: OutboundServices
    package var opsCenter: any OpsCenterWebhooks
    package var operational: any OperationalWebhooks
    package var contract: any ContractWebhooks

    /// When one object does it all.
    package init(
        _ all: some SignInService & GatewayHealth & TenantDirectory & TenantControl & KeyControl & SourceDirectory
            & EndpointDirectory & EndpointControl & RegistryControl & DeliveryQueries & ReplayControl & RepairControl
            & EventQueries
            & EventStreaming & EventPublishing & RejectedQueries & AuditQueries & SecretControl & SvixApplications
            & SvixEventTypes & SvixEndpoints & SvixMessages & SvixAttempts & SvixPollers & SvixReplays
            & SvixStatistics & ContractWebhooks & OpsCenterWebhooks & FilterTrials & TransformationTrials
            & OperationalWebhooks & SchemaTrials
    ) {
        signIn = all
        health = all
        tenants = all
        tenantControl = all
        keys = all
        sources = all
        endpoints = all
        endpointControl = all
        registry = all
        deliveries = all
        replays = all
        repairs = all
        events = all
        transformations = all
        streams = all
        publishing = all
        rejected = all
        audit = all
        secrets = all
        filters = all
        schemas = all
        outbound = OutboundServices(
            applications: all, eventTypes: all, endpoints: all, operational: all, messages: all, attempts: all,
            pollers: all, replays: all, statistics: all)
        opsCenter = all
        operational = all
        contract = all
    }
    package init(
        signIn: any SignInService, health: any GatewayHealth, tenants: any TenantDirectory,
        tenantControl: any TenantControl,
        keys: any KeyControl, sources: any SourceDirectory,
        endpoints: any EndpointDirectory, endpointControl: any EndpointControl, registry: any RegistryControl,
        deliveries: any DeliveryQueries, replays: any ReplayControl, repairs: any RepairControl,
        events: any EventQueries,
        transformations: any TransformationTrials,
        streams: any EventStreaming, publishing: any EventPublishing, rejected: any RejectedQueries,
        audit: any AuditQueries, secrets: any SecretControl, filters: any FilterTrials,
        schemas: any SchemaTrials,
        outbound: OutboundServices,
        opsCenter: any OpsCenterWebhooks, operational: any OperationalWebhooks,
        contract: any ContractWebhooks
    ) {
        self.signIn = signIn
        self.health = health
        self.tenants = tenants
        self.tenantControl = tenantControl
        self.keys = keys
        self.sources = sources
        self.endpoints = endpoints
        self.endpointControl = endpointControl
        self.registry = registry
        self.deliveries = deliveries
        self.replays = replays
        self.repairs = repairs
        self.events = events
        self.transformations = transformations
        self.streams = streams
        self.publishing = publishing
        self.rejected = rejected
        self.audit = audit
        self.secrets = secrets
        self.filters = filters
        self.schemas = schemas
        self.outbound = outbound
        self.opsCenter = opsCenter
        self.operational = operational
        self.contract = contract
    }
}

/// What the Svix-shaped API stands on.
package struct OutboundServices: Sendable {
    package var applications: any SvixApplications
    package var eventTypes: any SvixEventTypes
    package var endpoints: any SvixEndpoints
    /// Of operational webhooks: the caller's tenant's, whatever application is named.
    package var operational: any SvixEndpoints
    package var messages: any SvixMessages
    package var attempts: any SvixAttempts
    package var pollers: any SvixPollers
    package var replays: any SvixReplays
    package var statistics: any SvixStatistics
    /// Where answers are kept for repetitions; nil = in memory alone.
    package var keptFolder: String?

    package init(
        applications: any SvixApplications, eventTypes: any SvixEventTypes, endpoints: any SvixEndpoints,
        operational: any SvixEndpoints, messages: any SvixMessages, attempts: any SvixAttempts,
        pollers: any SvixPollers, replays: any SvixReplays, statistics: any SvixStatistics, keptFolder: String? = nil
    ) {
        self.applications = applications
        self.eventTypes = eventTypes
        self.endpoints = endpoints
        self.messages = messages
        self.operational = operational
        self.attempts = attempts
        self.pollers = pollers
        self.replays = replays
        self.statistics = statistics
        self.keptFolder = keptFolder
    }
}
