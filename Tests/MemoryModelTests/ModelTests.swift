// Every hand-over in every order: right as it is, wrong with any of its orders weakened; and the search itself, by
// programs whose outcomes are known.
import Testing

@Suite struct ModelTests {
    private static func run(_ model: Model) -> (finding: ModelFinding?, states: Int) {
        var search = ModelSearch(model)
        return (search.run(), search.stateCount)
    }

    @Test(arguments: HandOver.all.map(\.name)) func isRightAsItIs(_ name: String) throws {
        let handOver = try #require(HandOver.all.first { $0.name == name })
        let (finding, states) = ModelTests.run(handOver.model())
        #expect(finding == nil, "\(name)")
        #expect(states > 10, "\(name) was hardly run")
    }
    @Test(arguments: HandOver.all.map(\.name)) func eachOrderIsNeeded(_ name: String) throws {
        let handOver = try #require(HandOver.all.first { $0.name == name })
        for (place, strength) in handOver.strengths.sorted(by: { $0.key < $1.key }) {
            for weaker in strength.weaker {
                let finding = ModelTests.run(handOver.model([place: weaker])).finding
                #expect(finding != nil && finding != .tooLarge, "\(name) does without \(place), as \(weaker)")
            }
        }
    }
    /// What `takeSnapshot` says of its exchange, and `tell` of its own: with a store in its place a drain is lost.
    @Test(arguments: [0, 1]) func aPlainStoreWouldLoseADrain(_ written: Int) {
        let steps = HandOver.ingestControl.model().threads.map { program in
            program.steps.map { step -> Step in
                if case .exchange(_, let place, .constant(written), _) = step, place.name == "news" {
                    return .store(place, .constant(written), .releasing)
                }
                return step
            }
        }
        #expect(ModelTests.run(Model("plain", steps)).finding == .stuck([2]))
    }

    // MARK: the search

    /// Litmus tests: two threads, and whether both may read the old value.
    @Test(arguments: [
        ("store buffering, relaxed", Order.relaxed, Order.relaxed, false, true),
        ("store buffering, acquire and release", .releasing, .acquiring, false, true),
        ("store buffering, fences", .relaxed, .relaxed, true, false),
    ]) func storeBuffering(_ name: String, _ store: Order, _ load: Order, _ hasFence: Bool, _ isAllowed: Bool) {
        func side(_ own: String, _ other: String) -> [Step] {
            let saw = Place(stringLiteral: "saw \(own)")
            return [.store(Place(stringLiteral: own), 1, store)] + (hasFence ? [.fence] : []) + [
                .load("seen", Place(stringLiteral: other), load), .store(saw, .register("seen") + 1, .releasing),
            ]
        }
        // A third thread that waits for both and says whether neither saw the other.
        let judge: [Step] = [
            .label("again"), .load("one", "saw x", .acquiring), .jump("again", .equal(.register("one"), 0)),
            .label("other"), .load("two", "saw y", .acquiring), .jump("other", .equal(.register("two"), 0)),
            .check(.differ(.register("one") + .register("two"), 2), "both saw nothing"),
        ]
        let finding = ModelTests.run(Model(name, [side("x", "y"), side("y", "x"), judge])).finding
        #expect((finding == .failed("both saw nothing")) == isAllowed, "\(name)")
        #expect(isAllowed || finding == nil)
    }
    @Test(arguments: [
        (Order.releasing, Order.acquiring, true), (.relaxed, .acquiring, false), (.releasing, .relaxed, false),
    ])
    func messagePassing(_ store: Order, _ load: Order, _ isOrdered: Bool) {
        let model = Model(
            "message passing",
            [
                [.write("data", 1), .store("flag", 1, store)],
                [
                    .load("flag", "flag", load), .jump("end", .equal(.register("flag"), 0)), .read("data", "data"),
                    .check(.equal(.register("data"), 1), "old data"), .label("end"),
                ],
            ])
        #expect(ModelTests.run(model).finding == (isOrdered ? nil : .race(place: "data")))
    }
    @Test func twoThatWriteAreARace() {
        let model = Model("two writers", [[.write("data", 1)], [.write("data", 2)]])
        #expect(ModelTests.run(model).finding == .race(place: "data"))
        let locked: [Step] = [.lock("m"), .write("data", 1), .unlock("m")]
        #expect(ModelTests.run(Model("locked", [locked, locked])).finding == nil)
    }
    @Test func oneExchangeAloneTakesAValue() {
        let taker: [Step] = [
            .exchange("was", "flag", 1, .relaxed), .jump("end", .differ(.register("was"), 0)),
            .add("winners", 1, .relaxed), .label("end"), .load("count", "winners", .relaxed),
            .check(.differ(.register("count"), 2), "two winners"),
        ]
        #expect(ModelTests.run(Model("exchange", [taker, taker])).finding == nil)
    }
    @Test func aReleaseReachesThroughAnExchange() {
        let model = Model(
            "release sequence",
            [
                [.write("data", 1), .store("flag", 1, .releasing)], [.exchange("was", "flag", 2, .relaxed)],
                [
                    .load("flag", "flag", .acquiring), .jump("end", .differ(.register("flag"), 1)),
                    .read("data", "data"), .label("end"),
                ],
            ])
        #expect(ModelTests.run(model).finding == nil)
    }
    @Test func waitingForNothingIsFound() {
        #expect(ModelTests.run(Model("waiting", [[.wait("fd")], [.store("x", 1, .relaxed)]])).finding == .stuck([0]))
    }
}
