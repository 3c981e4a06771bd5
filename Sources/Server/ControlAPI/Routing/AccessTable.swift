// Who may call what: one row an operation. Read by the middleware, by the published document and by a test that tries
// every route with every role.
//
// Invariant: an operation without a row is the platform's alone.
import Engine

package enum Access: Equatable, Sendable {
    /// No key is asked for.
    case anyone
    /// A key of this role at least. One that is confined to a tenant sees that tenant's and nothing else.
    case tenant(KeyRole)
    /// The same, of all tenants: what is shown or changed is the gateway's own.
    case gateway(KeyRole)

    package var least: KeyRole? {
        switch self {
        case .anyone: nil
        case .tenant(let role), .gateway(let role): role
        }
    }
}

package enum AccessTable {
    package static func access(to operation: String) -> Access { rows[operation] ?? .gateway(.platform) }

    /// Credentials in requests that were received, as they came (`reveal=true`), and in the URLs of endpoints.
    static let revealing = KeyRole.admin

    package static let rows = own.merging(svix) { first, _ in first }.merging(webhooks) { first, _ in first }
        .merging(operational) { first, _ in first }.merging(contract) { first, _ in first }

    private static let own: [String: Access] = [
        "getHealth": .anyone,
        "getReadiness": .anyone,
        "getReadinessOfParts": .anyone,
        "getDatabaseHealth": .anyone,
        "getMetrics": .gateway(.viewer),
        "getStatus": .gateway(.viewer),
        "getDocument": .tenant(.viewer),

        "listTenants": .tenant(.viewer),
        "getTenant": .tenant(.viewer),
        "createTenant": .gateway(.platform),
        "upsertTenant": .gateway(.platform),
        "updateTenant": .gateway(.platform),
        "rotateTenantSecret": .gateway(.platform),
        "deleteTenant": .gateway(.platform),

        "listKeys": .gateway(.platform),
        "getKey": .gateway(.platform),
        "createKey": .gateway(.platform),
        "revokeKey": .gateway(.platform),

        "listSources": .tenant(.viewer),
        "getSource": .tenant(.viewer),

        "listEndpoints": .tenant(.viewer),
        "getEndpoint": .tenant(.viewer),
        "createEndpoints": .tenant(.admin),
        "replaceEndpoint": .tenant(.admin),
        "updateEndpoint": .tenant(.admin),
        "deleteEndpoint": .tenant(.admin),
        "enableEndpoint": .tenant(.operator),
        "disableEndpoint": .tenant(.operator),
        "pauseEndpoint": .tenant(.operator),
        "retryEndpointNow": .tenant(.operator),
        "previewFilter": .tenant(.operator),
        "testFilter": .tenant(.viewer),
        "previewSchema": .tenant(.operator),
        "testSchema": .tenant(.viewer),

        "listDeliveries": .tenant(.viewer),
        "listDeadLetters": .tenant(.viewer),
        "getDelivery": .tenant(.viewer),
        "retryDelivery": .tenant(.operator),
        "createReplay": .tenant(.operator),
        "cancelDelivery": .tenant(.operator),
        "countDeadLetters": .tenant(.viewer),
        "createRepair": .tenant(.operator),
        "listRepairs": .tenant(.viewer),
        "getRepair": .tenant(.viewer),
        "cancelRepair": .tenant(.operator),

        "listEvents": .tenant(.viewer),
        "getEvent": .tenant(.viewer),
        "listEventEndpoints": .tenant(.viewer),
        "traceEvent": .tenant(.viewer),
        "eraseEvent": .tenant(.admin),
        "streamEvents": .tenant(.viewer),
        "publishEvent": .tenant(.publisher),

        "testTransformation": .tenant(.operator),
        "surveyTransformation": .tenant(.operator),

        "listRejected": .tenant(.viewer),
        "getRejected": .tenant(.viewer),
        "reverifyRejected": .tenant(.operator),

        "getConfig": .gateway(.viewer),
        "applyConfig": .gateway(.platform),
        "reloadConfig": .gateway(.platform),

        "listAudit": .tenant(.admin),

        "getSecrets": .gateway(.platform),
        "rewrapSecrets": .gateway(.platform),

        "deprecatedListEvents": .tenant(.viewer),
        "deprecatedGetEvent": .tenant(.viewer),
        "deprecatedListDeliveries": .tenant(.viewer),
        "deprecatedListEndpoints": .tenant(.viewer),
        "deprecatedReplay": .tenant(.operator),
        "deprecatedReload": .gateway(.platform),
        "deprecatedListRejected": .tenant(.viewer),
        "deprecatedGetRejected": .tenant(.viewer),
        "deprecatedReverify": .tenant(.operator),
    ]
}
