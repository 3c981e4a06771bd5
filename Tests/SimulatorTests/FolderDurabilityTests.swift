// The data folder against starts that end too early: what a later start relies on is durable, whoever made it.

import FastPath
import Simulator
import Testing

@Suite struct FolderDurabilityTests {
    /// Found by the simulator (seed 44): a start made `log` and failed before it had synced the folder around it; the
    /// next one found `log` there and synced nothing. A power cut then took the whole log, acknowledged events and all.
    @Test(arguments: 1...20 as ClosedRange<UInt64>)
    func aFolderThatAFailedStartMadeOutlivesAPowerCut(seed: UInt64) throws {
        let files = SimulatedFiles(seed: seed)
        let calls = FileCalls(files)
        calls.enter()
        defer { calls.leave() }
        files.weather.syncFails = 1000
        #expect(throws: LogOpenError.self) { try LogFolder(path: "/data", access: .exclusive) }
        files.weather.syncFails = 0
        let identity = try LogFolder(path: "/data", access: .exclusive).identity
        files.restart(isCut: true)
        let after = try LogFolder(path: "/data", access: .exclusive).identity
        #expect(after == identity)
    }
}
