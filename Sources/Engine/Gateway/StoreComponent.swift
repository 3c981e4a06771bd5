// The store of registry and delivery state, in the data folder.

import FastPath
import Logging

final class StoreComponent: Component {
    let name = "store"
    private let path: String
    private let limits: HistoryLimits
    private let dataFolder: DataFolderComponent
    private let logger: Logger
    private let opened = StartResult<SQLiteStore>()
    /// Room for the store when there is none.
    let reserve: DiskReserve

    init(_ configuration: GatewayConfiguration, dataFolder: DataFolderComponent, logger: Logger) {
        path = configuration.dataFolder
        // Slices are as long as it wants at the start; a reload that changes the time changes only when they go.
        var limits = HistoryLimits()
        limits.keptMillis = Int64(configuration.delivery.historyMillis)
        self.limits = limits
        self.dataFolder = dataFolder
        self.logger = logger
        reserve = DiskReserve(folder: path, logger: logger)
    }
    var store: SQLiteStore { opened.value }

    func start() throws {
        let folder = dataFolder.folder
        // The log is not open yet, and no start keeps its spares.
        var hasSpares = reserve.prepare()
        if !hasSpares { _ = try? folder.removeSpares() }
        while true {
            do { return opened.set(try open(folder)) } catch {
                guard StoreError.isOfFullDisk(error) else { throw GatewayError.store("\(error)") }
                if reserve.giveToStart() { continue }
                guard hasSpares, let removed = try? folder.removeSpares(), removed > 0 else {
                    throw GatewayError.store("\(error)")
                }
                hasSpares = false
            }
        }
    }
    private func open(_ folder: LogFolder) throws -> SQLiteStore {
        try SQLiteStore(
            folder: path, logIdentity: folder.identity.identity, limits: limits, logger: logger,
            events: { [path] in UInt64(try LogCheck.run(path: path).recordCount) })
    }
    /// No event of the log may get a sequence below it: an endpoint has met it.
    func sequenceFloor() throws(GatewayError) -> UInt64 {
        do { return try store.snapshot().sequenceFloor } catch { throw .store("\(error)") }
    }
}
