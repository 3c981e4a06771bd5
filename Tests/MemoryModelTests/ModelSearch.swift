// Runs the threads of a model in every order, with every value that each load may return, and says what goes wrong: a
// check that fails, a race in plain memory, or threads that wait for each other for ever (a lost wake-up). States that
// were met are not gone through again, so that loops end.

struct Model: Sendable {
    let name: String
    let threads: [ModelProgram]

    init(_ name: String, _ threads: [[Step]]) {
        self.name = name
        self.threads = threads.map(ModelProgram.init)
    }
}

enum ModelFinding: Equatable {
    case failed(String)
    case race(place: String)
    /// These threads wait for what never comes.
    case stuck([Int])
    /// The search was given up.
    case tooLarge
}

struct ModelSearch {
    private let model: Model
    private let stateCountMax: Int
    private var names: [String: Int] = [:]
    private var marks: [Int: [Int]] = [:]
    private var placeCount = 0
    private(set) var stateCount = 0

    init(_ model: Model, stateCountMax: Int = 3_000_000) {
        self.model = model
        self.stateCountMax = stateCountMax
        for program in model.threads {
            for step in program.steps { note(step) }
        }
    }
    private mutating func note(_ step: Step) {
        switch step {
        case .load(_, let place, _), .store(let place, _, _), .exchange(_, let place, _, _), .add(let place, _, _):
            note(place.name, place.count, isPlain: false)
        case .read(_, let place), .write(let place, _): note(place.name, place.count, isPlain: true)
        case .lock(let name), .unlock(let name), .signal(let name), .wait(let name):
            note(name, 1, isPlain: false)
        case .fence, .set, .label, .jump, .check: break
        }
    }
    private mutating func note(_ name: String, _ count: Int, isPlain: Bool) {
        guard names[name] == nil else { return }
        names[name] = placeCount
        placeCount += count
        guard isPlain else { return }
        for index in 0..<count {
            let place = names[name, default: 0] + index
            marks[place] = Array(placeCount..<placeCount + model.threads.count)
            placeCount += model.threads.count
        }
    }

    /// Nil when nothing goes wrong in any order.
    mutating func run() -> ModelFinding? {
        let start = ModelMemory(placeCount: placeCount, registerCounts: model.threads.map { $0.registers.count })
        var met: Set<ModelMemory> = []
        var left: [ModelMemory] = []
        if let finding = add(start, &met, &left) { return finding }
        while let state = left.popLast() {
            var isMoving = false
            for thread in state.threads.indices where !state.threads[thread].isDone {
                var next: [ModelMemory] = []
                if let finding = move(state, thread, &next) { return finding }
                isMoving = isMoving || !next.isEmpty
                for one in next {
                    if let finding = add(one, &met, &left) { return finding }
                }
            }
            let waiting = state.threads.indices.filter { !state.threads[$0].isDone }
            if !isMoving, !waiting.isEmpty { return .stuck(waiting) }
            if met.count > stateCountMax { return .tooLarge }
        }
        stateCount = met.count
        return nil
    }
    private mutating func add(
        _ state: ModelMemory, _ met: inout Set<ModelMemory>, _ left: inout [ModelMemory]
    ) -> ModelFinding? {
        var state = state
        for thread in state.threads.indices {
            if let finding = settle(&state, thread) { return finding }
        }
        state.forgetOld()
        stateCount = met.count
        if met.insert(state).inserted { left.append(state) }
        return nil
    }

    /// What only the thread itself sees happens at once.
    private func settle(_ state: inout ModelMemory, _ thread: Int) -> ModelFinding? {
        let program = model.threads[thread]
        while !state.threads[thread].isDone {
            guard state.threads[thread].step < program.steps.count else {
                state.threads[thread].isDone = true
                break
            }
            switch program.steps[state.threads[thread].step] {
            case .set(let register, let value):
                set(register, program.value(value, state.threads[thread].registers), thread, &state)
            case .label: break
            case .jump(let label, let test):
                if test.map({ program.holds($0, state.threads[thread].registers) }) ?? true {
                    state.threads[thread].step = program.labels[label] ?? program.steps.count
                    continue
                }
            case .check(let test, let what):
                guard program.holds(test, state.threads[thread].registers) else { return .failed(what) }
            default: return nil
            }
            state.threads[thread].step += 1
        }
        return nil
    }
    private func set(_ register: String, _ value: Int, _ thread: Int, _ state: inout ModelMemory) {
        guard let index = model.threads[thread].registers[register] else { return }
        state.threads[thread].registers[index] = Int8(value)
    }
    private func index(_ place: Place, _ thread: Int, _ state: ModelMemory) -> Int {
        let first = names[place.name] ?? 0
        guard let cursor = place.cursor else { return first }
        return first + model.threads[thread].value(cursor, state.threads[thread].registers) % place.count
    }

    /// Every way in which the thread's next step can go; none when it must wait.
    private func move(_ state: ModelMemory, _ thread: Int, _ next: inout [ModelMemory]) -> ModelFinding? {
        let program = model.threads[thread]
        func after(_ change: (inout ModelMemory) -> Void) {
            var state = state
            change(&state)
            state.threads[thread].step += 1
            next.append(state)
        }
        func number(_ value: Value) -> Int { program.value(value, state.threads[thread].registers) }
        switch program.steps[state.threads[thread].step] {
        case .load(let register, let place, let order):
            let place = index(place, thread, state)
            for position in state.readable(place, by: thread) {
                after { set(register, $0.load(place, position, by: thread, acquires: order.acquires), thread, &$0) }
            }
        case .store(let place, let value, let order):
            let place = index(place, thread, state)
            for position in state.writable(place, by: thread) {
                after { $0.store(place, position, number(value), by: thread, releases: order.releases) }
            }
        case .exchange(let register, let place, let value, let order):
            let place = index(place, thread, state)
            for position in state.takeable(place, by: thread) {
                after { state in
                    let taken = state.exchange(place, position, by: thread, order) { _ in number(value) }
                    set(register, taken, thread, &state)
                }
            }
        case .add(let place, let value, let order):
            let place = index(place, thread, state)
            for position in state.takeable(place, by: thread) {
                after { _ = $0.exchange(place, position, by: thread, order) { $0 + number(value) } }
            }
        case .fence: after { $0.fence(by: thread) }
        case .read(let register, let place):
            return plainRead(register, place, thread, state, &next)
        case .write(let place, let value):
            let index = index(place, thread, state)
            var hasRace = false
            after { hasRace = !$0.write(index, number(value), marks: marks[index] ?? [], by: thread) }
            if hasRace { return .race(place: place.name) }
        case .lock, .unlock, .signal, .wait: system(program.steps[state.threads[thread].step], thread, state, &next)
        case .set, .label, .jump, .check: break
        }
        return nil
    }
    private func plainRead(
        _ register: String, _ place: Place, _ thread: Int, _ state: ModelMemory, _ next: inout [ModelMemory]
    ) -> ModelFinding? {
        let index = index(place, thread, state)
        var after = state
        guard let value = after.read(index, marks: marks[index] ?? [], by: thread) else {
            return .race(place: place.name)
        }
        set(register, value, thread, &after)
        after.threads[thread].step += 1
        next.append(after)
        return nil
    }
    /// The kernel's and the library's own, which are strong: they take the last value there is.
    private func system(_ step: Step, _ thread: Int, _ state: ModelMemory, _ next: inout [ModelMemory]) {
        func last(_ name: String, _ isPassable: (Int) -> Bool, _ change: (Int) -> Int) {
            let place = names[name] ?? 0
            let position = state.places[place].count - 1
            guard isPassable(Int(state.places[place][position].value)) else { return }
            var after = state
            _ = after.exchange(place, position, by: thread, .acquiringAndReleasing, change)
            after.threads[thread].step += 1
            next.append(after)
        }
        switch step {
        case .lock(let name): last(name, { $0 == 0 }, { _ in 1 })
        case .unlock(let name): last(name, { _ in true }, { _ in 0 })
        case .signal(let name): last(name, { _ in true }, { min($0 + 1, 3) })
        case .wait(let name): last(name, { $0 > 0 }, { _ in 0 })
        default: break
        }
    }
}
