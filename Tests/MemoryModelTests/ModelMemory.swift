// Memory as C11 has it (RC11, without load buffering): each place is a list of what was stored in it, each thread has
// a view of how much of each list it must have seen, and a store with release hands its thread's view to whoever
// loads it with acquire. A relaxed load may return anything that is not older than the thread's view. Fences of
// sequential consistency share one more view. After Kang and others, "A Promising Semantics for Relaxed-Memory
// Concurrency" (2017), without promises.
//
// Plain memory: an access that has not seen the last one of another thread is a race, which C11 gives no meaning.
//
// Invariants: views are positions in the lists, so a state says the same whatever led to it; what no thread can load
// any more is forgotten. Values are small numbers.

typealias View = [UInt8]

struct ModelMemory: Hashable {
    struct Message: Hashable {
        var value: Int8
        var view: View
        /// By an exchange: nothing comes between it and what it took.
        var isGlued = false
    }
    struct Thread: Hashable {
        var step = 0
        var registers: [Int8]
        /// What it has seen, what an acquire fence would add, and what a relaxed store hands on.
        var current: View
        var pending: View
        var released: View
        var isDone = false
    }
    var places: [[Message]]
    var threads: [Thread]
    private var fenced: View

    init(placeCount: Int, registerCounts: [Int]) {
        let start = View(repeating: 0, count: placeCount)
        places = Array(repeating: [Message(value: 0, view: start)], count: placeCount)
        threads = registerCounts.map {
            Thread(registers: Array(repeating: 0, count: $0), current: start, pending: start, released: start)
        }
        fenced = start
    }

    private static func join(_ view: inout View, _ other: View) {
        for index in view.indices where other[index] > view[index] { view[index] = other[index] }
    }

    // MARK: atomic places

    func readable(_ place: Int, by thread: Int) -> Range<Int> {
        Int(threads[thread].current[place])..<places[place].count
    }
    mutating func load(_ place: Int, _ position: Int, by thread: Int, acquires: Bool) -> Int {
        let message = places[place][position]
        threads[thread].current[place] = max(threads[thread].current[place], UInt8(position))
        if acquires { ModelMemory.join(&threads[thread].current, message.view) }
        ModelMemory.join(&threads[thread].pending, message.view)
        ModelMemory.join(&threads[thread].pending, threads[thread].current)
        return Int(message.value)
    }
    /// Where a store may come in the order of its place: behind what its thread has seen, and between no exchange and
    /// what it took.
    func writable(_ place: Int, by thread: Int) -> [Int] {
        let first = Int(threads[thread].current[place]) + 1
        return (first...places[place].count).filter { $0 == places[place].count || !places[place][$0].isGlued }
    }
    mutating func store(
        _ place: Int, _ position: Int, _ value: Int, by thread: Int, releases: Bool, taken: View? = nil
    ) {
        makeRoom(place, position)
        threads[thread].current[place] = UInt8(position)
        var view = releases ? threads[thread].current : threads[thread].released
        view[place] = UInt8(position)
        if let taken { ModelMemory.join(&view, taken) }
        places[place].insert(Message(value: Int8(value), view: view, isGlued: taken != nil), at: position)
        places[place][position].view[place] = UInt8(position)
        ModelMemory.join(&threads[thread].pending, threads[thread].current)
    }
    private mutating func makeRoom(_ place: Int, _ position: Int) {
        changeEachView { view in if Int(view[place]) >= position { view[place] += 1 } }
    }
    private mutating func changeEachView(_ change: (inout View) -> Void) {
        for index in threads.indices {
            change(&threads[index].current)
            change(&threads[index].pending)
            change(&threads[index].released)
        }
        change(&fenced)
        for other in places.indices {
            for index in places[other].indices { change(&places[other][index].view) }
        }
    }
    /// What an exchange may take: of two, none takes the same.
    func takeable(_ place: Int, by thread: Int) -> [Int] {
        readable(place, by: thread).filter { $0 + 1 == places[place].count || !places[place][$0 + 1].isGlued }
    }
    mutating func exchange(
        _ place: Int, _ position: Int, by thread: Int, _ order: Order, _ change: (Int) -> Int
    ) -> Int {
        let taken = places[place][position].view
        let value = load(place, position, by: thread, acquires: order.acquires)
        store(place, position + 1, change(value), by: thread, releases: order.releases, taken: taken)
        return value
    }
    mutating func fence(by thread: Int) {
        ModelMemory.join(&threads[thread].current, threads[thread].pending)
        ModelMemory.join(&threads[thread].current, fenced)
        fenced = threads[thread].current
        threads[thread].released = threads[thread].current
        threads[thread].pending = threads[thread].current
    }

    // MARK: plain memory

    /// `marks`: one place a thread, where its reads are counted. Nil is a race.
    mutating func read(_ place: Int, marks: [Int], by thread: Int) -> Int? {
        let last = places[place].count - 1
        guard Int(threads[thread].current[place]) == last else { return nil }
        let mark = marks[thread]
        store(mark, places[mark].count, 0, by: thread, releases: false)
        return Int(places[place][last].value)
    }
    /// False is a race.
    mutating func write(_ place: Int, _ value: Int, marks: [Int], by thread: Int) -> Bool {
        for seen in marks + [place] where Int(threads[thread].current[seen]) != places[seen].count - 1 { return false }
        store(place, places[place].count, value, by: thread, releases: false)
        return true
    }

    // MARK: one form for what means the same

    mutating func forgetOld() {
        for place in places.indices {
            let oldest = threads.filter { !$0.isDone }.map { Int($0.current[place]) }.min() ?? places[place].count - 1
            guard oldest > 0 else { continue }
            places[place].removeFirst(oldest)
            places[place][0].isGlued = false
            changeEachView { view in view[place] = UInt8(max(0, Int(view[place]) - oldest)) }
        }
    }
}
