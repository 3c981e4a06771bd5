// What a thread of a model does, as data: steps over registers of its own and places that all share. A program is made
// once and run in every order by `ModelSearch`.

/// The orders of C11 that Swift's `Synchronization` has, but for `sequentiallyConsistent` accesses, which no code here
/// uses; fences of that strength have a step of their own.
enum Order: Int, Comparable, Sendable {
    case relaxed, acquiring, releasing, acquiringAndReleasing
    static func < (left: Order, right: Order) -> Bool { left.rawValue < right.rawValue }
    var acquires: Bool { self == .acquiring || self == .acquiringAndReleasing }
    var releases: Bool { self == .releasing || self == .acquiringAndReleasing }
    /// All that are weaker, and not merely other.
    var weaker: [Order] {
        switch self {
        case .relaxed: []
        case .acquiring, .releasing: [.relaxed]
        case .acquiringAndReleasing: [.acquiring, .releasing]
        }
    }
}

/// A number that a thread can compute.
indirect enum Value: Sendable, ExpressibleByIntegerLiteral {
    case constant(Int)
    case register(String)
    case sum(Value, Value)
    case difference(Value, Value)

    init(integerLiteral value: Int) { self = .constant(value) }
    static func + (left: Value, right: Value) -> Value { .sum(left, right) }
    static func - (left: Value, right: Value) -> Value { .difference(left, right) }
}

/// Of two numbers.
struct Test: Sendable {
    let left: Value
    let right: Value
    let isEqual: Bool
    static func equal(_ left: Value, _ right: Value) -> Test { Test(left: left, right: right, isEqual: true) }
    static func differ(_ left: Value, _ right: Value) -> Test { Test(left: left, right: right, isEqual: false) }
}

/// A place in memory: one of its own, or the element of an array by a cursor that wraps.
struct Place: Sendable, ExpressibleByStringLiteral {
    let name: String
    var cursor: Value?
    var count = 1
    init(stringLiteral value: String) { name = value }
    init(_ name: String, at cursor: Value, of count: Int) {
        self.name = name
        self.cursor = cursor
        self.count = count
    }
}

enum Step: Sendable {
    // Atomic places.
    case load(String, Place, Order)
    case store(Place, Value, Order)
    case exchange(String, Place, Value, Order)
    case add(Place, Value, Order)
    /// `atomicMemoryFence(ordering: .sequentiallyConsistent)`.
    case fence
    // Plain memory: two threads that touch it without an order between them are a finding.
    case read(String, Place)
    case write(Place, Value)
    // What the system orders by itself.
    case lock(String)
    case unlock(String)
    /// An eventfd: adds to it; blocks until it is not 0 and takes it.
    case signal(String)
    case wait(String)
    // The thread's own.
    case set(String, Value)
    case label(String)
    case jump(String, Test?)
    case check(Test, String)
}

struct ModelProgram: Sendable {
    let steps: [Step]
    let labels: [String: Int]
    /// Names of registers, by their place in a thread's state.
    let registers: [String: Int]

    init(_ steps: [Step]) {
        self.steps = steps
        var labels: [String: Int] = [:]
        var registers: [String: Int] = [:]
        func note(_ register: String) { registers[register] = registers[register] ?? registers.count }
        for (index, step) in steps.enumerated() {
            switch step {
            case .label(let name): labels[name] = index
            case .load(let register, _, _), .exchange(let register, _, _, _), .read(let register, _),
                .set(let register, _):
                note(register)
            default: break
            }
        }
        self.labels = labels
        self.registers = registers
    }

    func value(_ value: Value, _ state: [Int8]) -> Int {
        switch value {
        case .constant(let number): number
        case .register(let name): registers[name].map { Int(state[$0]) } ?? 0
        case .sum(let left, let right): self.value(left, state) + self.value(right, state)
        case .difference(let left, let right): self.value(left, state) - self.value(right, state)
        }
    }
    func holds(_ test: Test, _ state: [Int8]) -> Bool {
        (value(test.left, state) == value(test.right, state)) == test.isEqual
    }
}
