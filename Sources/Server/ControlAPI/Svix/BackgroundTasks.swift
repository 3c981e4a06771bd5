// What goes on behind an answer: tasks that are begun, looked up while they run, and kept for 90 days after. A few run
// at a time, one of a tenant; the others wait their turn. On disk they are lines of a file in the data folder, the last
// one of an id counts: a task has its line before it is answered with. One that a process left running has failed, and
// says so.
//
// Invariants: bounded by number, by bytes and by those that wait, for each tenant and for all; the file is read and
// written on a queue of its own and never with the state's lock held; an end waits for it no longer than it may.
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
    /// Of what the tasks of a page say; it ends behind the one with which it has so much.
    package static let pageBytesMax = 1 << 20
    /// The file is written anew when it has so much, and twice of what it had then.
    private static let rewriteBytesMin = 8 << 20
    package static let runningMax = 4
    package static let waitingMax = 256
    package static let tenantWaitingMax = 16
    package static let endMillis = 5_000

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
        /// Those that have their turn and are not waiting for it yet.
        var beginning: [String: String?] = [:]
        var running: [String: String?] = [:]
        var lastNanos: UInt64 = 0
        var isLoaded = false
        var isEnding = false
    }
    private struct File {
        var handle: FileHandle?
        var byteCount = 0
        /// When it was written anew.
        var firstByteCount = 0

        var isDue: Bool {
            handle == nil || byteCount > max(BackgroundTasks.rewriteBytesMin, 2 * firstByteCount)
        }
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
        try begin(kind, tenant: tenant, after: {}) { _ in work }
    }
    /// `first` is done when the task has its turn and its line on disk, before it is answered with: whoever is told
    /// that there is no turn has lost nothing by asking. What it throws ends the task.
    package func begin<Done>(
        _ kind: BackgroundTask.Kind, tenant: String?, after first: () throws -> Done,
        _ work: (Done) -> BackgroundWork
    ) throws -> BackgroundTask {
        try load()
        let now = nowNanos()
        let task = try state.withLock { state in
            try BackgroundTasks.checkTurn(state, tenant)
            state.lastNanos = max(now, state.lastNanos + 1)
            let task = BackgroundTask(
                id: BackgroundTask.id(nanos: state.lastNanos), tenant: tenant, kind: kind,
                updatedMillis: Int64(now / 1_000_000))
            BackgroundTasks.put(task, in: &state)
            BackgroundTasks.shed(&state, tenant, nowMillis: task.updatedMillis)
            state.beginning.updateValue(tenant, forKey: task.id)
            return task
        }
        guard write(task) else {
            state.withLock { state in
                state.beginning.removeValue(forKey: task.id)
                BackgroundTasks.drop([task.id], from: &state)
            }
            throw SvixError(503, "unavailable", "the task cannot be kept at the moment, and was not begun; try again")
        }
        let job: Job
        do { job = Job(id: task.id, tenant: tenant, work: work(try first())) } catch {
            end(task.id, .failed) { $0.data["error"] = .text(BackgroundTask.text(of: error)) }
            throw error
        }
        // Also while the process ends: what was done first is done, and the work says how far it came.
        state.withLock { state in
            state.beginning.removeValue(forKey: task.id)
            state.waiting.append(job)
        }
        next()
        return task
    }
    private static func checkTurn(_ state: State, _ tenant: String?) throws {
        guard !state.isEnding else { throw ControlError.notRunning }
        let own = state.waiting.count { $0.tenant == tenant } + state.beginning.values.count { $0 == tenant }
        guard state.waiting.count + state.beginning.count < waitingMax, own < tenantWaitingMax else {
            throw SvixError(
                429, "rate_limited", "\(own) tasks wait for their turn already; begin another when some are over")
        }
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
            state.beginning.removeValue(forKey: id)
            return state.tasks[id]
        }
        // When the disk fails, the next start says that it was left running.
        if let ended { _ = write(ended) }
    }
    /// Nothing is begun any more; what runs is told so and waited for, at most so long.
    package func end(withinMillis: Int = BackgroundTasks.endMillis) {
        let last =
            ProcessResources.monotonicNanos + UInt64(max(0, min(withinMillis, BackgroundTasks.endMillis))) * 1_000_000
        let waiting = state.withLock { state in
            state.isEnding = true
            defer { state.waiting.removeAll() }
            return state.waiting
        }
        for job in waiting {
            change(job.id) { task in
                task.data["error"] = .text(BackgroundTask.text(of: BackgroundTask.stopped))
                task.status = .failed
            }
        }
        let ended = state.withLock { state in waiting.compactMap { state.tasks[$0.id] } }
        let isWritten = DispatchSemaphore(value: 0)
        // The next start says the same of those that do not get there.
        if !ended.isEmpty, let path {
            queue.async { [self] in
                _ = append(ended, path)
                isWritten.signal()
            }
        } else {
            isWritten.signal()
        }
        while state.withLock({ !$0.running.isEmpty }), ProcessResources.monotonicNanos < last {
            Thread.sleep(forTimeInterval: 0.01)
        }
        let now = ProcessResources.monotonicNanos
        _ = isWritten.wait(timeout: .now() + .milliseconds(Int((max(last, now) - now) / 1_000_000)))
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
        var paging = paging
        let (walked, isCut) = state.withLock { [paging] state -> ([BackgroundTask], Bool) in
            let ids = tenant == nil ? state.order : state.byTenant[tenant] ?? []
            let mark = paging.iterator
            let place =
                mark.map { mark in ids.partitionIndex { paging.walksUp ? $0 <= mark : $0 < mark } }
                ?? (paging.walksUp ? 0 : ids.count)
            func take(_ ids: some Sequence<String>) -> ([BackgroundTask], Bool) {
                var (found, bytes) = ([BackgroundTask](), 0)
                for id in ids {
                    guard let task = state.tasks[id], status == nil || task.status == status,
                        kind == nil || task.kind == kind
                    else { continue }
                    found.append(task)
                    // One is behind the page, and says that there is more.
                    guard found.count <= paging.limit, bytes < BackgroundTasks.pageBytesMax else {
                        return (found, true)
                    }
                    bytes += task.byteCount
                }
                return (found, false)
            }
            return paging.walksUp ? take(ids[place...]) : take(ids[..<place].reversed())
        }
        if isCut { paging.limit = walked.count - 1 }
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
    /// O(what is kept of their tenants and of all), however many go.
    private static func drop(_ ids: Set<String>, from state: inout State) {
        var tenants: Set<String?> = []
        for id in ids {
            guard let task = state.tasks.removeValue(forKey: id) else { continue }
            state.bytes -= task.byteCount
            tenants.insert(task.tenant)
        }
        guard !tenants.isEmpty else { return }
        state.order.removeAll { ids.contains($0) }
        for tenant in tenants {
            state.byTenant[tenant]?.removeAll { ids.contains($0) }
            if state.byTenant[tenant]?.isEmpty == true { state.byTenant[tenant] = nil }
        }
    }
    /// The oldest that are over go first: of the tenant, then of all.
    private static func shed(_ state: inout State, _ tenant: String?, nowMillis: Int64) {
        var gone: Set<String> = []
        var (count, bytes) = (state.order.count, state.bytes)
        func go(_ task: BackgroundTask) {
            guard gone.insert(task.id).inserted else { return }
            count -= 1
            bytes -= task.byteCount
        }
        let own = state.byTenant[tenant] ?? []
        for id in own {
            guard own.count - gone.count > tenantCountMax else { break }
            if let task = state.tasks[id], task.status != .running { go(task) }
        }
        for id in state.order {
            guard let task = state.tasks[id], task.status != .running, !gone.contains(id) else { continue }
            guard count > countMax || bytes > bytesMax || nowMillis - task.updatedMillis > ageMillisMax else { break }
            go(task)
        }
        if !gone.isEmpty { drop(gone, from: &state) }
    }
    /// Of what a file has: the newest of each tenant and of all, in the order of time.
    private static func kept(_ read: [BackgroundTask], nowMillis: Int64) -> [BackgroundTask] {
        var kept: [BackgroundTask] = []
        var counts: [String?: Int] = [:]
        var bytes = 0
        for task in read.sorted(by: { $0.id > $1.id }) {
            guard kept.count < countMax, bytes + task.byteCount <= bytesMax else { break }
            let own = counts[task.tenant] ?? 0
            guard own < tenantCountMax, nowMillis - task.updatedMillis <= ageMillisMax else { continue }
            counts[task.tenant] = own + 1
            bytes += task.byteCount
            kept.append(task)
        }
        return kept.reversed()
    }

    // MARK: the file

    /// The first call reads the file, and others wait for it. What cannot be read is not taken for nothing.
    private func load() throws {
        guard let path, !state.withLock({ $0.isLoaded }) else { return }
        try queue.sync {
            guard !state.withLock({ $0.isLoaded }) else { return }
            let now = Int64(nowNanos() / 1_000_000)
            var read = try self.read(path)
            for place in read.indices where read[place].status == .running { read[place].wasLeft(nowMillis: now) }
            // When the clock was set back since, what begins now is younger all the same.
            let last = read.lazy.compactMap { BackgroundTask.nanos(of: $0.id) }.max() ?? 0
            var loaded = State()
            for task in BackgroundTasks.kept(read, nowMillis: now) { BackgroundTasks.put(task, in: &loaded) }
            state.withLock { [loaded] state in
                state.tasks = loaded.tasks
                (state.order, state.byTenant, state.bytes) = (loaded.order, loaded.byTenant, loaded.bytes)
                state.lastNanos = last
                state.isLoaded = true
            }
            _ = rewrite(path)
        }
    }
    /// The last line of each.
    private func read(_ path: String) throws -> [BackgroundTask] {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            if (error as? CocoaError)?.code == .fileReadNoSuchFile { return [] }
            throw SvixError(503, "unavailable", "what is known of tasks cannot be read at the moment; try again")
        }
        let decoder = JSONValueDecoder()
        var tasks: [String: BackgroundTask] = [:]
        for line in data.split(separator: UInt8(ascii: "\n")) {
            guard !state.withLock({ $0.isEnding }) else { throw ControlError.notRunning }
            // One that was cut off is the last one, and says nothing.
            if let task = try? decoder.decode(BackgroundTask.self, from: Array(line)) { tasks[task.id] = task }
        }
        return Array(tasks.values)
    }
    /// True when the disk has it.
    private func write(_ task: BackgroundTask) -> Bool {
        guard let path else { return true }
        return queue.sync { append([task], path) }
    }
    /// On the queue.
    private func append(_ tasks: [BackgroundTask], _ path: String) -> Bool {
        // What is written anew has these lines in it.
        guard !file.withLock({ $0.isDue }) else { return rewrite(path) }
        let lines = BackgroundTasks.lines(tasks)
        return file.withLock { file in
            do {
                try file.handle?.write(contentsOf: lines)
                try file.handle?.synchronize()
                file.byteCount += lines.count
                return true
            } catch {
                file = File()
                return false
            }
        }
    }
    private static func lines(_ tasks: [BackgroundTask]) -> Data {
        var data = Data()
        for task in tasks { data.append(Data((JSONText.of(task) + "\n").utf8)) }
        return data
    }
    /// Another file takes the place of the old one in one step.
    private func rewrite(_ path: String) -> Bool {
        let data = BackgroundTasks.lines(state.withLock { state in state.order.compactMap { state.tasks[$0] } })
        let draft = path + ".new"
        try? FileManager.default.removeItem(atPath: draft)
        return file.withLock { file in
            try? file.handle?.close()
            file = File()
            guard let handle = PrivateFile.make(draft) else { return false }
            do {
                try handle.write(contentsOf: data)
                try handle.synchronize()
                guard unsafe rename(draft, path) == 0 else { return false }
                try PrivateFile.syncFolder(of: path)
            } catch { return false }
            file = File(handle: handle, byteCount: data.count, firstByteCount: data.count)
            return true
        }
    }
}
