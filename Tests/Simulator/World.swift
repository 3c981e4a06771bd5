// The whole gateway and everything around it, from one seed: a storm in which senders, endpoints, network, disk, store
// and clock do what the seed's weather lets them and the process dies when it will; then a calm, in which all must come
// to rest; then an orderly end, after which everything is home.
//
// In each step one of those that could run does, by chance; only when nothing can, time passes to the next thing that
// is due. So a minute takes milliseconds, and the same seed is the same run.

import Engine
import FastPath
import Synchronization

package final class World {
    package let seed: UInt64
    package let clock: Clockwork
    package let ledger: Ledger
    private let files: SimulatedFiles
    private let calls: FileCalls
    private let store = MemoryStore(losesPower: true)
    private let weather: Weather
    private let endpoints: [CompiledEndpoint]
    private var senders: [Sender] = []
    private var receivers: [Receiver] = []
    private var process: GatewayProcess?
    private var hasBegun = false
    private var isCalm = false
    private var crashAt: UInt64 = .max
    package private(set) var figures = Figures()

    /// What a run did, for the proof that it disturbs.
    package struct Figures {
        package var boots = 0
        package var crashes = 0
        package var powerCuts = 0
        package var crashesInRecovery = 0
        package var failedStarts = 0
        package var steps = 0
        package var removedSegments = 0
        package var segmentFailures: UInt64 = 0
        package var simulatedNanos: UInt64 = 0
        package init() {}
    }

    package init(seed: UInt64) throws {
        self.seed = seed
        clock = Clockwork(seed: seed)
        weather = Weather(&clock.chance)
        files = SimulatedFiles(seed: clock.chance.next())
        calls = FileCalls(files)
        let settings = Weather.endpoints
        ledger = Ledger(clock, endpoints: settings)
        let environment = try EndpointEnvironment(
            EndpointCompilation(allow: ["127.0.0.0/8"], withheldHeaders: [], proxy: nil), version: "simulated")
        endpoints = try settings.enumerated().map { index, settings in
            let spec = EndpointSpec(
                id: EndpointID(UInt32(index + 1)), publicID: PublicID.make(.endpoint), tenant: .main,
                origin: .manifest, revision: 1, createdMillis: 0, settings: settings, sourceIDs: [])
            return try CompiledEndpoint(spec, environment)
        }
        files.onCall = { [unowned clock] what, first, second in clock.note(what, first, second) }
    }

    // MARK: a run

    /// What was wrong, or nil.
    package func run() -> String? {
        calls.enter()
        defer { calls.leave() }
        populate()
        let start = clock.now
        changeWeather()
        boot()
        let stormEnd = clock.now + weather.stormNanos
        while clock.now < stormEnd, clock.finding == nil { step() }
        calmDown()
        let calmEnd = clock.now + 1_200_000_000_000
        while clock.finding == nil, !isAtRest {
            step()
            if clock.now >= calmEnd { clock.find("the world does not come to rest: \(unrest)") }
        }
        if clock.finding == nil { end() }
        figures.simulatedNanos = clock.now - start
        process?.die()
        process = nil
        return clock.finding ?? files.finding
    }
    private func populate() {
        for index in endpoints.indices { receivers.append(Receiver(clock, ledger, number: index)) }
        receivers[Weather.deadEndpoint].mood = .failing
        for _ in 0..<weather.senderCount {
            let sender = Sender(clock, ledger, weather.habits(&clock.chance))
            sender.connect = { [unowned self] in process?.ingestPort.accept() }
            senders.append(sender)
            sender.begin()
        }
    }
    /// Some ten times what the longest take.
    private static let stepCountMax = 600_000
    /// One thing happens.
    private func step() {
        figures.steps += 1
        if figures.steps > World.stepCountMax { clock.find("something never rests: \(unrest)") }
        let ready = process?.readyParts ?? PartSet()
        let isDue = clock.nextDue.map { $0 <= clock.now } ?? false
        guard isDue || ready.count > 0 else { return passTime() }
        let place = clock.chance.below(ready.count + (isDue ? 1 : 0))
        if place == ready.count {
            clock.takeDue()?()
        } else {
            let part = ready[place]
            clock.note("part", part.rawValue)
            process?.step(part)
        }
        clock.pass(clock.chance.between(0, 20_000))
        look()
    }
    private func passTime() {
        var next = clock.nextDue ?? .max
        if let process {
            process.checkWakeups()
            for part in Part.allCases { next = min(next, process.nextTime(part) ?? .max) }
        }
        clock.pass(until: next == .max ? clock.now + 1_000_000_000 : next)
    }
    private func look() {
        if let what = files.finding { clock.find(what) }
        guard process != nil, files.isDead || clock.now >= crashAt else { return }
        crash()
    }

    // MARK: lives

    private func boot() {
        guard process == nil else { return }
        if !isCalm, clock.chance.permille(weather.crashesInRecovery) { files.callsLeft = clock.chance.below(12) }
        do {
            let fresh = try GatewayProcess(
                clock, files, store, endpoints, isFirst: !hasBegun, sizes: weather.sizes(&clock.chance))
            if files.isDead { return dieInRecovery(fresh) }
            begin(fresh)
        } catch {
            if files.isDead { return dieInRecovery(nil) }
            figures.failedStarts += 1
            clock.note("start failed")
            if isCalm { clock.find("it does not start: \(error)") }
            files.restart(isCut: false)
            clock.after(500_000_000) { [weak self] in self?.boot() }
        }
    }
    private func begin(_ fresh: GatewayProcess) {
        figures.boots += 1
        clock.note("boot", figures.boots, Int(fresh.report.nextSequence))
        // A first write of a segment that was torn before its header may be set aside: it was not acknowledged.
        if !fresh.report.damages.isEmpty || fresh.report.raisedFrom != nil {
            clock.find("recovery found what no crash leaves: \(fresh.report.lines)")
        }
        ledger.checkStart(nextSequence: fresh.report.nextSequence, oldest: fresh.report.firstSequence)
        hasBegun = true
        process = fresh
        fresh.beforeRetention = { [unowned self, unowned fresh] in audit(fresh) }
        fresh.egressPort.onConnect = { [unowned self] connection, number, tag in
            receivers[number - Weather.firstPort].connect(connection, tag)
        }
        applyWeather()
        files.callsLeft = !isCalm && clock.chance.permille(500) ? clock.chance.below(weather.callsOfLife) : nil
        crashAt =
            isCalm || clock.chance.permille(500)
            ? .max : clock.now + clock.chance.between(0, weather.lifeNanos)
    }
    private func audit(_ process: GatewayProcess) {
        if !files.isDead { ledger.audit(process.folder, process.tail) }
    }
    private func crash() {
        figures.crashes += 1
        clock.note("crash", figures.crashes)
        if let process {
            // What is committed is on disk, whatever comes: the audit holds it to that after the restart.
            process.die()
            count(process)
        }
        process = nil
        restart()
    }
    private func count(_ process: GatewayProcess) {
        figures.removedSegments += process.removedSegmentCount
        figures.segmentFailures += process.metrics.loop.read(IngestCounter.segmentFailures.rawValue)
    }
    private func dieInRecovery(_ process: GatewayProcess?) {
        figures.crashesInRecovery += 1
        clock.note("crash in recovery")
        process?.die()
        clock.after(0) { [weak self] in self?.restart() }
    }
    private func restart() {
        crashAt = .max
        let isCut = clock.chance.permille(600)
        if isCut { figures.powerCuts += 1 }
        files.restart(isCut: isCut)
        if isCut { store.cutPower { [clock] in clock.chance.below($0 + 1) } }
        clock.note(isCut ? "power cut" : "killed")
        clock.after(clock.chance.between(10_000_000, 800_000_000)) { [weak self] in self?.boot() }
    }

    // MARK: weather

    private func changeWeather() {
        guard !isCalm else { return }
        weather.change(&clock.chance)
        applyWeather()
        for (index, receiver) in receivers.enumerated() where index != Weather.deadEndpoint {
            if clock.chance.permille(400) { receiver.mood = weather.mood(&clock.chance) }
        }
        if clock.chance.permille(weather.clockJumps) {
            let start: UInt64 = 1_700_000_000_000_000_000
            clock.wallOffset = start + clock.chance.between(0, 7_200_000_000_000) - 3_600_000_000_000
        }
        store.setFull(clock.chance.permille(weather.storeIsFull))
        clock.after(clock.chance.between(50_000_000, 2_000_000_000)) { [weak self] in self?.changeWeather() }
    }
    private func applyWeather() {
        files.weather = isCalm ? SimulatedFiles.Weather() : weather.disk
        process?.ingestPort.weather = isCalm ? LoopPort.Weather() : weather.network
        process?.egressPort.weather = isCalm ? LoopPort.Weather() : weather.network
    }
    private func calmDown() {
        isCalm = true
        clock.note("calm")
        crashAt = .max
        files.callsLeft = nil
        applyWeather()
        store.setFull(false)
        for sender in senders {
            sender.isEnding = true
            sender.habits = Sender.Habits()
            (sender.habits.resets, sender.habits.stalls, sender.habits.repeats) = (0, 0, 0)
        }
        for (index, receiver) in receivers.enumerated() where index != Weather.deadEndpoint { receiver.mood = .good }
    }

    // MARK: rest and end

    private var isAtRest: Bool {
        guard let process, senders.allSatisfy(\.isDone) else { return false }
        return endpoints.allSatisfy { endpoint in
            guard let status = process.dispatcher.status(of: endpoint.id, now: clock.now) else { return false }
            return status.waiting == 0 && status.lagEvents == 0
        }
    }
    private var unrest: String {
        guard let process else { return "no process" }
        let lanes = endpoints.compactMap { process.dispatcher.status(of: $0.id, now: clock.now) }.map {
            "\($0.name): \($0.inFlight) out, \($0.pending) pending, \($0.backlog) behind, \($0.lagEvents) unread, "
                + "\($0.state.condition)"
        }
        return "\(senders.count { !$0.isDone }) senders wait; \(lanes)"
    }
    private func end() {
        guard let process else { return }
        for endpoint in endpoints { _ = process.dispatcher.perform(.enable, on: endpoint.id, now: clock.now) }
        audit(process)
        process.beginDrain()
        steps(60) { process.isDrained }
        process.stopEgress()
        steps(60) { process.isEgressDone }
        guard clock.finding == nil else { return }
        process.checkHome()
        checkMetrics(process)
        if let oldest = try? process.folder.segments().first {
            ledger.checkAll(process.folder, process.tail, from: oldest)
        }
        ledger.checkEnd(store, ids: endpoints.map(\.id))
        count(process)
        clock.note("end", ledger.events.count, ledger.logged.count)
    }
    private func steps(_ seconds: UInt64, until isDone: () -> Bool) {
        let limit = clock.now + seconds * 1_000_000_000
        while clock.finding == nil, !isDone() {
            step()
            if clock.now >= limit { clock.find("the process does not end: \(unrest)") }
        }
    }
    private func checkMetrics(_ process: GatewayProcess) {
        let loop = process.metrics.loop
        func count(_ counter: IngestCounter) -> UInt64 { loop.read(counter.rawValue) }
        clock.expect(
            count(.connectionsAccepted) == count(.connectionsClosed),
            "\(count(.connectionsAccepted)) connections accepted, \(count(.connectionsClosed)) closed")
        let counters = process.counters
        let taken = counters.read(EgressCounter.ordersTaken.rawValue)
        let reported = counters.read(EgressCounter.outcomesReported.rawValue)
        clock.expect(taken == reported, "\(taken) orders taken, \(reported) outcomes reported")
        let figures = process.dispatcher.metrics(now: clock.now)
        clock.expect(figures.pending == 0 && figures.backlog == 0, "counts of what waits do not come to nothing")
        let dead = store.state.withLock { state in
            state.rows.values.reduce(0) { $0 + $1.values.count { $0.state == .dead } }
        }
        clock.expect(figures.dead == dead, "\(figures.dead) dead letters counted, \(dead) in the store")
    }
}
