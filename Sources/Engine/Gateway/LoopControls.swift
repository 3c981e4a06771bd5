// What the outside shares with the ingest loops, and with the journal's thread where there is one. Made before any of
// them: others wake them.

import FastPath
import Foundation
import Synchronization

struct LoopControls: Sendable {
    let loops: [IngestControl]
    /// Nil when the only loop drives the journal itself.
    let journal: JournalControl?
    var driverWakeup: Wakeup { journal?.wakeup ?? loops[0].wakeup }

    init(_ configuration: GatewayConfiguration) throws(GatewayError) {
        // The rest of the grace period is the deliveries'.
        let grace = UInt64(configuration.gracePeriodMillis) / 2
        var loops: [IngestControl] = []
        for _ in 0..<LoopControls.loopCount(configuration) {
            guard let loop = IngestControl(testClock: configuration.testClock, graceMillis: grace) else {
                throw .outOfDescriptors
            }
            loops.append(loop)
        }
        self.loops = loops
        guard loops.count > 1 else {
            journal = nil
            return
        }
        guard let journal = JournalControl() else { throw .outOfDescriptors }
        self.journal = journal
    }
    private static func loopCount(_ configuration: GatewayConfiguration) -> Int {
        switch configuration.loops {
        case .fixed(let count): count
        // Half of the cores take, the other half delivers.
        case .auto: max(1, min(ProcessInfo.processInfo.activeProcessorCount / 2, 16))
        }
    }
}

/// Why a loop did not start, on its way to the thread that waits for it.
final class StartFailure: Sendable {
    /// How often the waiting thread looks.
    static let pollSeconds = 0.0005
    private let stored = Mutex<GatewayError?>(nil)

    func set(_ error: GatewayError) { stored.withLock { $0 = error } }
    func set(_ error: IngestStartError) {
        switch error {
        case .ring(let error): set(GatewayError.ring(error))
        case .outOfMemory(let bytes): set(GatewayError.outOfMemory(what: "the ingest loop", bytes: bytes))
        }
    }
    var error: GatewayError { stored.withLock { $0 } ?? .outOfDescriptors }
}
