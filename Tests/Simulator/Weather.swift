// What a seed's world is like: drawn once, so that some worlds have no faults of a kind and some have many (a swarm),
// and drawn again within these bounds as the storm goes on.

import Engine
import FastPath

package final class Weather {
    static let firstPort = 9000
    static let deadEndpoint = 3
    let stormNanos: UInt64
    let senderCount: Int
    let crashesInRecovery: Int
    let callsOfLife: Int
    let lifeNanos: UInt64
    let clockJumps: Int
    let storeIsFull: Int
    private let badDisk: Int
    private let fullDisk: Int
    private let slowDisk: Int
    private let badNetwork: Int
    private let badMoods: Int
    private let isPatient: Bool
    private(set) var disk = SimulatedFiles.Weather()
    private(set) var network = LoopPort.Weather()

    init(_ chance: inout Chance) {
        func level(_ most: Int) -> Int { chance.permille(350) ? 0 : chance.below(most + 1) }
        stormNanos = chance.between(2_000_000_000, 12_000_000_000)
        senderCount = 2 + chance.below(7)
        crashesInRecovery = level(600)
        callsOfLife = 20 + chance.below(400)
        lifeNanos = chance.between(200_000_000, 8_000_000_000)
        clockJumps = level(300)
        storeIsFull = level(300)
        badDisk = level(400)
        fullDisk = level(250)
        slowDisk = level(400)
        badNetwork = level(500)
        badMoods = level(900)
        isPatient = chance.permille(700)
    }
    static let endpoints: [EndpointConfiguration] = {
        let patient = [100] + Array(repeating: 3000, count: 200)
        return [
            make("all", []) { $0.retryDelaysMillis = patient },
            make("some", ["a", "b"]) {
                $0.retryDelaysMillis = patient
                $0.concurrency = 2
            },
            make("ordered", ["a"]) {
                $0.retryDelaysMillis = patient
                $0.ordered = true
            },
            make("dead", ["c"]) { $0.retryDelaysMillis = [200, 400] },
        ]
    }()
    private static func make(
        _ name: String, _ types: [String], _ change: (inout EndpointConfiguration) -> Void
    ) -> EndpointConfiguration {
        var settings = EndpointConfiguration()
        settings.name = name
        settings.types = types
        settings.concurrency = 4
        settings.retryJitter = 0
        settings.connectMillisMax = 1000
        settings.headMillisMax = 2000
        settings.totalMillisMax = 4000
        let number = ["all", "some", "ordered", "dead"].firstIndex(of: name) ?? 0
        settings.url = "http://127.0.0.1:\(firstPort + number)/hook"
        change(&settings)
        return settings
    }

    func change(_ chance: inout Chance) {
        disk = SimulatedFiles.Weather()
        if chance.permille(badDisk) {
            disk.syncFails = chance.pick([0, 30, 200, 1000])
            disk.writeFails = chance.pick([0, 30, 200])
            disk.writeIsShort = chance.pick([0, 100, 500])
            disk.namesFail = chance.pick([0, 100])
        }
        disk.isFull = chance.permille(fullDisk)
        network = LoopPort.Weather()
        if chance.permille(slowDisk) { network.diskMax = chance.pick([20_000_000, 200_000_000, 1_500_000_000]) }
        if chance.permille(badNetwork) {
            network.latencyMax = chance.pick([10_000_000, 200_000_000])
            network.sendIsCut = chance.pick([100, 900])
        }
    }
    func mood(_ chance: inout Chance) -> Receiver.Mood {
        chance.permille(badMoods) ? chance.pick(Receiver.Mood.allCases) : .good
    }
    func habits(_ chance: inout Chance) -> Sender.Habits {
        var habits = Sender.Habits()
        habits.pieceBytesMax = chance.pick([40, 500, 8000])
        habits.pausesMax = chance.pick([20_000_000, 100_000_000, 400_000_000])
        habits.resets = chance.permille(badNetwork) ? 60 : 0
        habits.stalls = chance.permille(badNetwork) ? 30 : 0
        habits.isPatient = isPatient
        return habits
    }
    func sizes(_ chance: inout Chance) -> GatewayProcess.Sizes {
        var sizes = GatewayProcess.Sizes()
        sizes.receiveBufferCount = chance.pick([4, 16])
        sizes.receiveBufferBytes = chance.pick([256, 2048])
        sizes.poolBytes = chance.pick([32 << 10, 128 << 10])
        sizes.segmentCountMax = chance.pick([2, 4])
        return sizes
    }
}
