// Who may call what of the contract edge.
import Engine

extension AccessTable {
    static let contract: [String: Access] = [
        "createContractSession": .tenant(.viewer),
        "ingestContractEvents": .tenant(.publisher),
        "streamContractEvents": .tenant(.viewer),
        "listContractEntries": .tenant(.viewer),
        "createContractEntry": .tenant(.admin),
        "getContractEntry": .tenant(.viewer),
        "updateContractEntry": .tenant(.admin),
        "deleteContractEntry": .tenant(.admin),
        "listContractDeliveries": .tenant(.viewer),
        "getContractDelivery": .tenant(.viewer),
        "testContractEntry": .tenant(.operator),
        "replayContractDeliveries": .tenant(.operator),
        "listContractAudit": .tenant(.admin),
    ]
}
