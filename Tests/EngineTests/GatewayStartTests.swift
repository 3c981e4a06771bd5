// A whole gateway started and ended in this process: what a failed start leaves, and that an end lets go of everything.

import Engine
import FastPath
import Foundation
import Logging
import Testing

@Suite struct GatewayStartTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func configuration(_ folder: String, loopCount: Int) -> GatewayConfiguration {
        var configuration = GatewayConfiguration()
        configuration.dataFolder = folder
        configuration.listen = ["127.0.0.1:0"]
        configuration.loops = .fixed(loopCount)
        configuration.gracePeriodMillis = 2000
        configuration.log.segmentBytes = 1 << 20
        configuration.log.groupBytes = 256 << 10
        configuration.log.freeBytesMin = 0
        configuration.dedupEntryCount = 1024
        configuration.limits.connectionCountMax = 64
        configuration.limits.bodyBytesMax = 64 << 10
        configuration.limits.assemblyBytes = 1 << 20
        configuration.deliveryBufferBytes = 1 << 20
        return configuration
    }
    private func withFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "sluice-start-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }
    /// Throws when somebody still has the folder.
    private func takeAndLetGo(_ path: String) throws {
        try LogFolder(path: path, access: .exclusive).unlock()
    }

    @Test(arguments: [1, 2]) func endLetsGoOfTheFolderAndThePort(loopCount: Int) throws {
        try withFolder { path in
            let gateway = Gateway(configuration(path, loopCount: loopCount), logger: logger)
            #expect(gateway.status.problems.map(\.code) == ["not_running"])
            for _ in 0..<2 {
                try gateway.start()
                let address = try #require(gateway.ingestAddresses.first)
                #expect(gateway.status.problems.isEmpty && gateway.memoryBudgetBytes > 0)
                #expect(throws: LogOpenError.locked(path: path)) { try takeAndLetGo(path) }
                #expect(gateway.drain(withinMillis: 2000))
                try takeAndLetGo(path)
                try Listener(address, isShared: false).close()
                #expect(gateway.access == nil && gateway.ingestAddresses.isEmpty)
            }
        }
    }

    @Test(arguments: [1, 2]) func failedStartLeavesNothingTaken(loopCount: Int) throws {
        try withFolder { path in
            let busy = try Listener("127.0.0.1:0", isShared: false)
            try busy.activate()
            var settings = configuration(path, loopCount: loopCount)
            settings.listen = ["127.0.0.1:0", busy.text]
            let gateway = Gateway(settings, logger: logger)
            #expect(throws: GatewayError.self) { try gateway.start() }
            try takeAndLetGo(path)
            #expect(gateway.access == nil)
            busy.close()
            try gateway.start()
            #expect(gateway.ingestAddresses.count == 2)
            #expect(gateway.drain(withinMillis: 2000))
        }
    }
}
