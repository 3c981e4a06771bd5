// What goes on behind an answer: tasks that are begun, looked up while they run, and kept for 90 days after. A few run
// at a time, one of a tenant; the others wait their turn. On disk they are lines of a file in the data folder, the last
// one of an id counts: a task has its line before it is answered with. One that a process left running has failed, and
// says so.
//
// Invariants: bounded by number, by bytes and by those that wait, for each tenant and for all; the file is written on a
// queue of its own and never with the state's lock held.
// Safety: the C strings of `rename` live through the call.
import Engine
import FastPath
import Foundation
import Synchronization

package final class BackgroundTasks: Sendable {
    package static let fileName = "tasks.jsonl"
    package static let ageMillisMax: Int64 = 90 * 86_400_000
    package static let countMax = 10_000
    package static let tenantCountMax = 500
    package static let bytesMax = 32 << 20
    /// Of what one task says.
    package static let dataBytesMax = 4 << 20
    package static let runningMax = 4
    package static let waitingMax = 256
    package static let tenantWaitingMax = 16
    private static let endMillis = 5_000

    private struct Job: Sendable {
        let id: String
        let tenant: String?
        let work: BackgroundWork
    }
    private struct State {
        var tasks: [String: BackgroundTask] = [:]
        /// Ids ascend by time; those of a tenant too. Nil = the platform's.
        var order: [String] = []
        var byTenant: [String?: [String]] = [:]
        var bytes = 0
        var waiting: [Job] = []
        var running: [String: String?] = [:]
        var lastNanos: UInt64 = 0
        var isLoaded = false
        var isEnding = false
    }
    private struct File {
        var handle: FileHandle?
        var byteCount = 0
    }
    private let state = Mutex(State())
    /// Used on `queue` alone.
    private let file = Mutex(File())
    private let queue = DispatchQueue(label: "sluice.tasks.file", qos: .utility)
    private let workers = DispatchQueue(label: "sluice.tasks", qos: .utility, attributes: .concurrent)
    private let path: String?
    private let nowNanos: @Sendable () -> UInt64

    /// `folder` nil: in memory alone.
    package init(folder: String? = nil, nowNanos: @escaping @Sendable () -> UInt64 = { ProcessResources.wallNanos }) {
        path = folder.map { $0 + "/" + BackgroundTasks.fileName }
        self.nowNanos = nowNanos
    }

    // MARK: beginning and ending

    /// On disk when it returns. `tenant`: whose it is, by public id; nil = the platform's.
    package func begin(
        _ kind: BackgroundTask.Kind, tenant: String?, _ work: @escaping BackgroundWork
    ) throws -> BackgroundTask {
        try load()
        let now = nowNanos()
        let task = try state.withLock { state in
            guard !state.isEnding else { throw ControlError.notRunning }
            let own = state.waiting.count { $0.tenant == tenant }
            guard state.waiting.count < BackgroundTasks.waitingMax, own < BackgroundTasks.tenantWaitingMax else {
                throw SvixError(
                    429, "rate_limited", "\(own) tasks wait for their turn already; begin another when some are over")
            }
            state.lastNanos = max(now, state.lastNanos + 1)
            let task = BackgroundTask(
                id: BackgroundTask.id(nanos: state.lastNanos), tenant: tenant, kind: kind,
                updatedMillis: Int64(now / 1_000_000))
            BackgroundTasks.put(task, in: &state)
            BackgroundTasks.shed(&state, [tenant], nowMillis: task.updatedMillis)
            state.waiting.append(Job(id: task.id, tenant: tenant, work: work))
            return task
        }
        guard write(task) else {
            state.withLock { state in
                state.waiting.removeAll { $0.id == task.id }
                BackgroundTasks.drop(task.id, from: &state)
            }
            throw SvixError(503, "unavailable", "the task cannot be kept at the moment, and was not begun; try again")
        }
        next()
        return task
    }
    /// Those that wait whose tenant has none running.
    private func next() {
        let started = state.withLock { state in
            var started: [Job] = []
            while state.running.count < BackgroundTasks.runningMax {
                let busy = Set(state.running.values)
                guard let place = state.waiting.firstIndex(where: { !busy.contains($0.tenant) }) else { break }
                let job = state.waiting.remove(at: place)
                state.running.updateValue(job.tenant, forKey: job.id)
                started.append(job)
            }
            return started
        }
        for job in started { workers.async { [self] in run(job) } }
    }
    private func run(_ job: Job) {
        let progress = BackgroundProgress { [weak self] data in
            guard let self, !self.state.withLock({ $0.isEnding }) else { throw BackgroundTask.stopped }
            self.change(job.id) { $0.data = data }
        }
        do {
            let data = try job.work(progress)
            end(job.id, .finished) { $0.data = data }
        } catch {
            end(job.id, .failed) { $0.data["error"] = .text(BackgroundTask.text(of: error)) }
        }
        next()
    }
    private func change(_ id: String, _ change: (inout BackgroundTask) -> Void) {
        let millis = Int64(nowNanos() / 1_000_000)
        state.withLock { state in
            guard var task = state.tasks[id] else { return }
            change(&task)
            task.updatedMillis = max(millis, task.updatedMillis)
            task.bound()
            BackgroundTasks.put(task, in: &state)
        }
    }
    private func end(_ id: String, _ status: BackgroundTask.Status, _ ending: (inout BackgroundTask) -> Void) {
        change(id) { task in
            ending(&task)
            task.status = status
        }
        let ended = state.withLock { state in
            state.running.removeValue(forKey: id)
            return state.tasks[id]
        }
        // When the disk fails, the next start says that it was left running.
        if let ended { _ = write(ended) }
    }
    /// Nothing is begun any more; what runs is told so and waited for, at most so long.
    package func end() {
        let waiting = state.withLock { state in
            state.isEnding = true
            defer { state.waiting.removeAll() }
            return state.waiting
        }
        for job in waiting {
            end(job.id, .failed) { $0.data["error"] = .text(BackgroundTask.text(of: BackgroundTask.stopped)) }
        }
        let last = ProcessResources.monotonicNanos + UInt64(BackgroundTasks.endMillis) * 1_000_000
        while state.withLock({ !$0.running.isEmpty }), ProcessResources.monotonicNanos < last {
            Thread.sleep(forTimeInterval: 0.01)
        }
    }

    // MARK: questions

    /// Nil when there is none, or it is another tenant's. `tenant` nil = all.
    package func task(_ id: String, tenant: String?) throws -> BackgroundTask? {
        try load()
        return state.withLock { $0.tasks[id] }.flatMap { tenant == nil || $0.tenant == tenant ? $0 : nil }
    }
    /// Of one tenant (nil = all), in the order of `paging`. O(what is kept of them).
    package func page(
        _ paging: SvixPaging, tenant: String?, status: BackgroundTask.Status?, kind: BackgroundTask.Kind?
    ) throws -> SvixPage<BackgroundTask> {
        try load()
        let walked = state.withLock { state -> [BackgroundTask] in
            let ids = tenant == nil ? state.order : state.byTenant[tenant] ?? []
            let mark = paging.iterator
            let place =
                mark.map { mark in ids.partitionIndex { paging.walksUp ? $0 <= mark : $0 < mark } }
                ?? (paging.walksUp ? 0 : ids.count)
            func take(_ ids: some Sequence<String>) -> [BackgroundTask] {
                let tasks = state.tasks
                let found = ids.lazy.compactMap { tasks[$0] }
                    .filter { (status == nil || $0.status == status) && (kind == nil || $0.kind == kind) }
                return Array(found.prefix(paging.limit + 1))
            }
            return paging.walksUp ? take(ids[place...]) : take(ids[..<place].reversed())
        }
        return SvixPage(walked: walked, paging) { $0.id }
    }

    // MARK: what is kept

    private static func put(_ task: BackgroundTask, in state: inout State) {
        if let old = state.tasks.updateValue(task, forKey: task.id) {
            state.bytes += task.byteCount - old.byteCount
        } else {
            state.order.append(task.id)
            state.byTenant[task.tenant, default: []].append(task.id)
            state.bytes += task.byteCount
        }
    }
    private static func drop(_ id: String, from state: inout State) {
        guard let task = state.tasks.removeValue(forKey: id) else { return }
        state.bytes -= task.byteCount
        state.order.removeAll { $0 == id }
        state.byTenant[task.tenant]?.removeAll { $0 == id }
        if state.byTenant[task.tenant]?.isEmpty == true { state.byTenant[task.tenant] = nil }
    }
    /// The oldest that are over go first. O(what goes).
    private static func shed(_ state: inout State, _ tenants: [String?], nowMillis: Int64) {
        func oldest(_ ids: [String]) -> String? { ids.first { state.tasks[$0]?.status != .running } }
        for tenant in tenants {
            while let own = state.byTenant[tenant], own.count > tenantCountMax, let id = oldest(own) {
                drop(id, from: &state)
            }
        }
        while let id = oldest(state.order), let task = state.tasks[id],
            state.order.count > countMax || state.bytes > bytesMax || nowMillis - task.updatedMillis > ageMillisMax
        { drop(id, from: &state) }
    }

    // MARK: the file

    /// The first call reads the file, and others wait for it.
    private func load() throws {
        guard let path, !state.withLock({ $0.isLoaded }) else { return }
        queue.sync {
            guard !state.withLock({ $0.isLoaded }) else { return }
            let now = Int64(nowNanos() / 1_000_000)
            let read = BackgroundTasks.read(path)
            state.withLock { state in
                for var task in read.sorted(by: { $0.id < $1.id }) {
                    if task.status == .running { task.wasLeft(nowMillis: now) }
                    BackgroundTasks.put(task, in: &state)
                }
                BackgroundTasks.shed(&state, Array(state.byTenant.keys), nowMillis: now)
                state.isLoaded = true
            }
            _ = rewrite(path)
        }
    }
    /// The last line of each.
    private static func read(_ path: String) -> [BackgroundTask] {
        let data = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
        let decoder = JSONDecoder()
        var tasks: [String: BackgroundTask] = [:]
        for line in data.split(separator: UInt8(ascii: "\n")) {
            // One that was cut off is the last one, and says nothing.
            if let task = try? decoder.decode(BackgroundTask.self, from: line) { tasks[task.id] = task }
        }
        return Array(tasks.values)
    }
    /// True when the disk has it.
    private func write(_ task: BackgroundTask) -> Bool {
        guard let path else { return true }
        return queue.sync {
            let line = Data((JSONText.of(task) + "\n").utf8)
            let isDue = file.withLock { $0.handle == nil || $0.byteCount > 2 * BackgroundTasks.bytesMax }
            // What is written anew has this line in it.
            guard !isDue else { return rewrite(path) }
            return file.withLock { file in
                do {
                    try file.handle?.write(contentsOf: line)
                    try file.handle?.synchronize()
                    file.byteCount += line.count
                    return true
                } catch {
                    file = File()
                    return false
                }
            }
        }
    }
    /// Another file takes the place of the old one in one step.
    private func rewrite(_ path: String) -> Bool {
        let tasks = state.withLock { state in state.order.compactMap { state.tasks[$0] } }
        var data = Data()
        for task in tasks { data.append(Data((JSONText.of(task) + "\n").utf8)) }
        let draft = path + ".new"
        try? FileManager.default.removeItem(atPath: draft)
        return file.withLock { file in
            try? file.handle?.close()
            file = File()
            guard let handle = PrivateFile.make(draft) else { return false }
            do {
                try handle.write(contentsOf: data)
                try handle.synchronize()
            } catch { return false }
            guard unsafe rename(draft, path) == 0 else { return false }
            file = File(handle: handle, byteCount: data.count)
            return true
        }
    }
}
