// The order by itself: what may go, what waits, what goes next; and where the key stands in an event.

import Engine
import FastPath
import Testing

private func attempt(_ sequence: UInt64) -> DeferredAttempt {
    DeferredAttempt(
        place: EventLocation(sequence: sequence, position: 0), attempts: 0, origin: .retry(dueMillis: 0))
}

/// The order in a reference, so that an expectation can change it.
private final class OrderBox {
    private var order = LaneOrder()
    var isEmpty: Bool { order.isEmpty }
    var isComplete: Bool { order.isComplete }
    var memberCount: Int { order.memberCount }

    func mayGo(_ sequence: UInt64, key: UInt64) -> Bool { order.mayGo(sequence, key: key) }
    func began(_ sequence: UInt64, key: UInt64) -> Bool { order.began(sequence, key: key) }
    func ended(_ sequence: UInt64, isDone: Bool) -> UInt64? {
        order.ended(sequence, isDone: isDone)?.place.sequence
    }
    func enrol(_ sequence: UInt64, key: UInt64) { order.enrol(sequence, key: key) }
    func holdsBack(_ sequence: UInt64) -> Bool { order.holdsBack(attempt(sequence)) }
    func note(_ sequence: UInt64) { order.note(EventLocation(sequence: sequence, position: 0)) }
    func nextUnread() -> UInt64? { order.nextUnread()?.sequence }
    func disband() -> [UInt64] { order.disband().map(\.place.sequence).sorted() }
    /// True when it is out now; else it is held.
    func offer(_ sequence: UInt64, key: UInt64) -> Bool {
        guard order.mayGo(sequence, key: key) else {
            order.hold(attempt(sequence), key: key, isUnsent: true)
            return false
        }
        return !order.began(sequence, key: key)
    }
}

@Suite struct LaneOrderTests {
    @Test func ofEachKeyTheFirstIsOutAndNoOther() {
        let order = OrderBox()
        #expect(order.offer(1, key: 7) && order.offer(2, key: 8))
        #expect(!order.offer(3, key: 7) && !order.offer(4, key: 7) && !order.offer(5, key: 8))
        #expect(order.memberCount == 5)
        #expect(order.ended(1, isDone: true) == 3)
        #expect(order.mayGo(3, key: 7) && !order.mayGo(4, key: 7))
        #expect(order.began(3, key: 7), "it was held and never sent")
        #expect(order.ended(2, isDone: true) == 5)
    }
    @Test func oneThatFailsHoldsBackWhatFollowsUntilItIsDone() {
        let order = OrderBox()
        #expect(order.offer(1, key: 7) && !order.offer(2, key: 7))
        #expect(order.ended(1, isDone: false) == nil)
        #expect(!order.mayGo(2, key: 7) && order.mayGo(1, key: 7) && order.mayGo(9, key: 6))
        #expect(!order.began(1, key: 7))
        #expect(order.ended(1, isDone: true) == 2)
        _ = order.began(2, key: 7)
        #expect(order.ended(2, isDone: true) == nil && order.isEmpty)
    }
    @Test func anOlderOneGoesFirstWheneverItComes() {
        let order = OrderBox()
        #expect(order.offer(5, key: 7) && !order.offer(6, key: 7))
        // A replay: due at once, and 5 is out.
        order.enrol(3, key: 7)
        #expect(order.holdsBack(3))
        #expect(order.ended(5, isDone: false) == 3)
        _ = order.began(3, key: 7)
        #expect(order.holdsBack(5))
        #expect(order.ended(3, isDone: true) == 5)
        _ = order.began(5, key: 7)
        #expect(order.ended(5, isDone: true) == 6)
    }
    @Test func whatIsNotEnrolledIsNotItsAffair() {
        let order = OrderBox()
        #expect(order.ended(4, isDone: true) == nil && !order.holdsBack(4) && order.isEmpty)
        order.note(4)
        #expect(!order.isComplete && !order.isEmpty)
        #expect(order.nextUnread() == 4 && order.isComplete)
        order.enrol(4, key: 1)
        order.note(4)
        #expect(order.isComplete && !order.mayGo(5, key: 1))
    }
    @Test func disbandingGivesEverythingBack() {
        let order = OrderBox()
        for sequence in UInt64(1)...6 { _ = order.offer(sequence, key: sequence % 2) }
        let held = order.disband()
        #expect(held == [3, 4, 5, 6] && order.isEmpty)
    }

    /// Random arrivals, failures, replays and ends, against a model that knows every delivery.
    @Test(arguments: 1...40) func nothingOvertakesAndNothingStandsStill(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let order = OrderBox()
        var open: [UInt64: UInt64] = [:]
        var out: Set<UInt64> = []
        var waiting: Set<UInt64> = []
        var sequence: UInt64 = 1000
        func mayGo(_ sequence: UInt64) -> Bool {
            let key = open[sequence]
            return !out.contains { open[$0] == key } && !open.contains { $0.value == key && $0.key < sequence }
        }
        func start(_ sequence: UInt64) {
            #expect(mayGo(sequence), "\(sequence) overtakes")
            _ = order.began(sequence, key: open[sequence]!)
            waiting.remove(sequence)
            out.insert(sequence)
        }
        func end(_ sequence: UInt64, isDone: Bool) {
            let next = order.ended(sequence, isDone: isDone)
            out.remove(sequence)
            if isDone { open[sequence] = nil } else { waiting.insert(sequence) }
            if let next { start(next) }
        }
        for _ in 0..<2000 {
            switch Int.random(in: 0..<10, using: &generator) {
            case 0..<4:
                sequence += 1
                open[sequence] = UInt64.random(in: 0..<4, using: &generator)
                if order.offer(sequence, key: open[sequence]!) { out.insert(sequence) }
            case 4:
                let old = UInt64.random(in: 1..<1000, using: &generator)
                guard open[old] == nil else { continue }
                open[old] = UInt64.random(in: 0..<4, using: &generator)
                order.enrol(old, key: open[old]!)
                waiting.insert(old)
            case 5..<7:
                // A time has come.
                guard let due = waiting.randomElement(using: &generator) else { continue }
                if order.holdsBack(due) {
                    #expect(!mayGo(due))
                    waiting.remove(due)
                } else {
                    start(due)
                }
            default:
                guard let one = out.randomElement(using: &generator) else { continue }
                end(one, isDone: Bool.random(using: &generator))
            }
            #expect(order.memberCount == open.count)
        }
        var rounds = 0
        while !open.isEmpty, rounds < 10_000 {
            rounds += 1
            for one in out { end(one, isDone: true) }
            for due in waiting where !order.holdsBack(due) { start(due) }
        }
        #expect(open.isEmpty && order.isEmpty)
    }
}

@Suite struct OrderKeyTests {
    private func hash(_ spellings: [String], lines: String = "", body: String = "") throws -> UInt64 {
        let key = try #require(OrderKey(spellings))
        return stored(lines: lines, body: body) { key.hash(of: $0, in: EventGroups()) }
    }
    private func stored<Result>(
        source: SourceID = SourceID(1), named: String = "s", lines: String = "", body: String = "",
        _ use: (StoredEvent) -> Result
    ) -> Result {
        let place = EventLocation(sequence: 1, position: 0)
        return Array(named.utf8).withView { name in
            Array(lines.utf8).withView { lines in
                Array(body.utf8).withView { body in
                    use(
                        StoredEvent(
                            place: place, next: place, receivedAt: 0, sourceID: source, source: name,
                            eventType: .empty, fieldLines: lines, body: body))
                }
            }
        }
    }
    @Test func equalValuesAreOneKeyHoweverTheyAreSpelled() throws {
        let spelling = ["json:$.order.customer"]
        let plain = try hash(spelling, body: #"{"order":{"customer":"a/b"}}"#)
        #expect(try hash(spelling, body: #"{"x":1,"order":{"customer": "a\/b"}}"#) == plain)
        #expect(try hash(spelling, body: #"{"order":{"customer":"\u0061/b"}}"#) == plain)
        #expect(try hash(spelling, body: #"{"order":{"customer":"a/c"}}"#) != plain)
        let header = ["header:X-Customer"]
        let five = try hash(header, lines: "A: 1\r\nX-CUSTOMER:  5 \r\nB: 2\r\n")
        #expect(try hash(header, lines: "x-customer:5\r\n") == five)
        #expect(try hash(header, lines: "X-Customers: 5\r\nX-Customer: 6\r\n") != five)
    }
    @Test func theFirstPlaceThatHasAValueCounts() throws {
        let both = ["json:$.a", "header:X-A"]
        let ofHeader = try hash(["header:X-A"], lines: "X-A: 1\r\n")
        for body in ["", "no json", #"{"a":null}"#, #"{"a":""}"#, "{}"] {
            #expect(try hash(both, lines: "X-A: 1\r\n", body: body) == ofHeader, "\(body)")
        }
        #expect(try hash(both, lines: "X-A: 1\r\n", body: #"{"a":2}"#) == hash(["json:$.a"], body: #"{"a":2}"#))
    }
    @Test func eventsWithoutAValueHaveOneKey() throws {
        #expect(try hash(["json:$.a"], body: "{}") == hash(["json:$.a"], body: "no json"))
        #expect(try hash(["json:$.a"], body: "{}") != hash(["json:$.a"], body: #"{"a":1}"#))
    }
    @Test func aGroupIsWhatThePublisherSaysOrTheSourceFinds() throws {
        let key = try #require(OrderKey(["group"]))
        var groups = EventGroups([
            (id: SourceID(1), places: ["json:$.account"]), (id: SourceID(2), places: ["header:X-Account"]),
        ])
        groups.sourceNames = [Array("old".utf8): SourceID(2)]
        let seven = stored(body: #"{"account":"7"}"#) { key.hash(of: $0, in: groups) }
        let none = stored { key.hash(of: $0, in: groups) }
        #expect(seven != none)
        #expect(stored(source: SourceID(2), lines: "X-Account: 7\r\n") { key.hash(of: $0, in: groups) } == seven)
        let old = stored(source: SourceID(0), named: "old", lines: "X-Account: 7\r\n") { key.hash(of: $0, in: groups) }
        #expect(old == seven, "a record that names its source only")
        var event = PublishedEvent(tenant: .main, type: "t", body: Array(#"{"account":"8"}"#.utf8))
        event.group = "7"
        let lines = String(decoding: event.injected(windowSeconds: 0).fieldLines, as: UTF8.self)
        for source in [SourceID.publishing, .messages, .opsCenter] {
            #expect(stored(source: source, lines: lines) { key.hash(of: $0, in: groups) } == seven)
        }
        #expect(stored(source: SourceID(3), lines: lines) { key.hash(of: $0, in: groups) } == none, "anybody's field")
        #expect(stored(lines: lines) { key.hash(of: $0, in: groups) } == none)
        let both = try #require(OrderKey(["group", "json:$.x"]))
        #expect(stored(body: #"{"x":7}"#) { both.hash(of: $0, in: groups) } == seven, "the next place counts")
    }
    @Test func aGroupIsRefusedWhereItIsNone() {
        func paths(_ issues: [ValidationIssue]) -> [String] { issues.map { "\($0.path)" } }
        #expect(OrderKey.keyIssues(of: ["group", "json:$.a", "header:X"], at: FieldPath("key")).isEmpty)
        #expect(paths(OrderKey.keyIssues(of: ["groups", "group:"], at: FieldPath("key"))) == ["key[0]", "key[1]"])
        #expect(OrderKey.issues(of: ["json:$.a"], at: FieldPath("group")).isEmpty)
        #expect(paths(OrderKey.issues(of: ["group", "query:a"], at: FieldPath("group"))) == ["group[0]", "group[1]"])
        let many = [String](repeating: "header:X", count: 5)
        #expect(paths(OrderKey.issues(of: many, at: FieldPath("group"))) == ["group"])
    }
    @Test func placesThatAreNoneMakeNoKey() {
        #expect(OrderKey([]) == nil && OrderKey(["query:a", "body", "header:", "json:a", "header:a b"]) == nil)
    }
}
