// Who may call what of operational webhooks: a tenant's administrators; what there is to hear, anybody who reads.
import Engine

extension AccessTable {
    static let operational: [String: Access] = [
        "listOperationalEventTypes": .tenant(.viewer),
        "getOperationalStats": .tenant(.admin),
        "listOperationalEndpoints": .tenant(.admin),
        "createOperationalEndpoint": .tenant(.admin),
        "getOperationalEndpoint": .tenant(.admin),
        "replaceOperationalEndpoint": .tenant(.admin),
        "deleteOperationalEndpoint": .tenant(.admin),
    ]
}
