// What a repair does in one step, and what becomes of a chunk by its action.

import FastPath

extension RepairService {
    func step(_ run: inout RepairRun<Log>) throws {
        // Only its writing has failed.
        guard run.repair.state == .running else { return }
        let start = ProcessResources.monotonicNanos
        run.repair.note = nil
        if !run.queue.isEmpty {
            let done = try perform(&run)
            run.dueNanos = max(run.dueNanos, ProcessResources.monotonicNanos + run.pauseNanos(after: done))
            return
        }
        if run.walk == nil, try !enterNext(&run) { return run.repair.state = .finished }
        guard let page = try run.walk?.next() else { return run.leave() }
        run.take(page, to: run.walk?.place ?? run.repair.progress.sequence)
        // Reading costs as much rest as it took.
        let now = ProcessResources.monotonicNanos
        run.dueNanos = run.queue.isEmpty ? now + (now - start) : now
    }

    // MARK: which endpoint

    /// False when there is none any more.
    private func enterNext(_ run: inout RepairRun<Log>) throws -> Bool {
        let order = run.order
        let resume = run.repair.progress
        while let id = try nextEndpoint(order, from: run.repair.progress.endpoint) {
            guard let spec = surroundings.endpoint(id), isOf(order, spec) else {
                run.repair.progress.endpoint = id.number
                run.leave()
                continue
            }
            let isDisabled = try order.action == .retry && isDisabled(id)
            if isDisabled, order.endpoint != nil, !order.isDry { try fail(&run, "`\(spec.name)` is disabled") }
            let walk = ReplayWalk(
                order.filter(expunged: surroundings.expunged), endpoint: id, tenant: spec.tenant,
                store: delivery.store, log: delivery.makeReader(),
                resume: id.number == resume.endpoint ? resume.sequence : nil)
            run.enter(id, walk, isStopped: isDisabled)
            return true
        }
        return false
    }
    private func nextEndpoint(_ order: RepairOrder, from first: UInt32) throws -> EndpointID? {
        if let only = order.endpoint { return first <= only ? EndpointID(only) : nil }
        return try OpenEndpoints(store: delivery.store, states: order.states).next(
            from: first, among: order.tenant.map { surroundings.numbers(TenantID($0)) })
    }
    private func isOf(_ order: RepairOrder, _ spec: EndpointSpec) -> Bool {
        (order.tenant == nil || order.tenant == spec.tenant.number) && spec.settings.extras.family != .operational
            && spec.id.number != order.destination
    }
    private func isDisabled(_ id: EndpointID) throws -> Bool {
        try delivery.statuses([id]).first?.state.condition == .disabled
    }
    private func fail(_ run: inout RepairRun<Log>, _ why: String) throws {
        run.repair.state = .failed
        run.repair.note = why
        throw RepairEnd()
    }

    // MARK: what is done

    /// How many were done.
    private func perform(_ run: inout RepairRun<Log>) throws -> Int {
        let chunk = Array(run.queue.prefix(run.chunkCount))
        switch run.order.action {
        case .retry: return try settle(&run, chunk, try delivery.replay(chunk))
        case .cancel: return try cancel(&run, chunk)
        case .forward: return try forward(&run, chunk)
        }
    }
    private func settle(_ run: inout RepairRun<Log>, _ chunk: [Replay], _ results: [ReplayResult]) throws -> Int {
        let left = zip(chunk, results).filter { $0.1 == .busy }.map(\.0)
        let (done, stopped) = (results.count { $0 == .accepted }, results.count { $0 == .endpointDisabled })
        let busy = results.count { $0 == .alreadyPending || $0 == .notReached }
        run.did(
            chunk.count, left: left, done: done, busy: busy, stopped: stopped,
            gone: chunk.count - left.count - done - stopped - busy, to: run.walk?.place ?? 0)
        if !left.isEmpty { wait(&run, "waits until delivery takes more") }
        guard stopped > 0 else { return done }
        let only = run.order.endpoint.flatMap { surroundings.endpoint(EndpointID($0)) }
        if let only { try fail(&run, "`\(only.name)` was disabled") }
        // What is left of its page stays too.
        run.isStopped = true
        run.did(
            run.queue.count, left: [], done: 0, busy: 0, stopped: run.queue.count, gone: 0, to: run.walk?.place ?? 0)
        return done
    }
    private func cancel(_ run: inout RepairRun<Log>, _ chunk: [Replay]) throws -> Int {
        let keys = chunk.map { DeliveryKey(sequence: $0.place.sequence, endpoint: $0.endpoint) }
        guard let result = try delivery.cancel(keys) else {
            wait(&run, "waits until the store can be written")
            return 0
        }
        run.did(
            chunk.count, left: [], done: result.rows.count, busy: chunk.count - result.rows.count, stopped: 0, gone: 0,
            to: run.walk?.place ?? 0)
        return result.rows.count
    }
    /// The delivery that it was stays what it is.
    private func forward(_ run: inout RepairRun<Log>, _ chunk: [Replay]) throws -> Int {
        guard let number = run.order.destination, let target = surroundings.endpoint(EndpointID(number)) else {
            try fail(&run, "the endpoint that it goes to is gone")
            return 0
        }
        if try isDisabled(target.id) { try fail(&run, "`\(target.name)`, where it goes to, is disabled") }
        var wanted: [Replay] = []
        var busy = 0
        for replay in chunk {
            let row = try delivery.store.rows(sequence: replay.place.sequence).first { $0.endpoint == target.id }
            // It came to it by itself, or has it already.
            if row?.state == .pending || row != nil && run.unreached.contains(replay.place.sequence) {
                busy += 1
            } else {
                wanted.append(Replay(endpoint: target.id, place: replay.place, state: row?.state))
            }
        }
        let results = wanted.isEmpty ? [] : try delivery.replay(wanted)
        let origin = chunk.first?.endpoint ?? target.id
        let left = zip(wanted, results).filter { $0.1 == .busy || $0.1 == .notReached }.map {
            Replay(endpoint: origin, place: $0.0.place, state: nil)
        }
        for (replay, result) in zip(wanted, results) where result == .notReached {
            run.unreached.insert(replay.place.sequence)
        }
        let done = results.count { $0 == .accepted }
        busy += results.count { $0 == .alreadyPending }
        let stopped = results.count { $0 == .endpointDisabled }
        run.did(
            chunk.count, left: left, done: done, busy: busy, stopped: stopped,
            gone: chunk.count - left.count - done - busy - stopped, to: run.walk?.place ?? 0)
        if stopped > 0 { try fail(&run, "`\(target.name)`, where it goes to, was disabled") }
        if !left.isEmpty { wait(&run, "waits until `\(target.name)` has come to these events") }
        return done
    }
    private func wait(_ run: inout RepairRun<Log>, _ why: String) {
        run.repair.note = why
        run.dueNanos = ProcessResources.monotonicNanos + Self.waitNanos
    }
}

/// Endpoints that have something open, in the order of their numbers; those of one tenant are found without looking at
/// all of either.
package struct OpenEndpoints {
    private let store: any DeliveryStore
    private let states: Set<DeliveryState>

    package init(store: any DeliveryStore, states: Set<DeliveryState>) {
        self.store = store
        self.states = states
    }
    /// The first whose number is not less than `first`; `numbers` (ascending) nil = of all.
    package func next(from first: UInt32, among numbers: [UInt32]?) throws -> EndpointID? {
        var from = first
        while true {
            if let numbers {
                let place = numbers.partitionIndex { $0 < from }
                guard place < numbers.count else { return nil }
                from = numbers[place]
            }
            guard from > 0 else {
                from = 1
                continue
            }
            guard let open = try store.nextOpen(after: EndpointID(from - 1), states: states) else { return nil }
            guard numbers != nil, open.number != from else { return open }
            from = open.number
            if let numbers, numbers[numbers.partitionIndex { $0 < from }...].first == from { return open }
        }
    }
}
