// The rings and hand-overs of FastPath as models, each with the memory orders that its code has, by name. What is
// weakened here must go wrong (`ModelTests`); `OrderTableTests` holds the code against the models.

/// How strong one access is, or whether a fence is there.
enum Strength: Equatable, Sendable {
    case order(Order)
    case fence, none

    var weaker: [Strength] {
        switch self {
        case .order(let order): order.weaker.map { .order($0) }
        case .fence: [.none]
        case .none: []
        }
    }
}

struct HandOver: Sendable {
    let name: String
    let strengths: [String: Strength]
    let make: @Sendable (Orders) -> Model

    struct Orders: Sendable {
        var strengths: [String: Strength]
        subscript(name: String) -> Order {
            guard case .order(let order)? = strengths[name] else { fatalError("no order \(name)") }
            return order
        }
        func fence(_ name: String) -> [Step] { strengths[name] == .fence ? [.fence] : [] }
    }
    func model(_ changed: [String: Strength] = [:]) -> Model {
        make(Orders(strengths: strengths.merging(changed) { _, new in new }))
    }

    static let all: [HandOver] = [
        ring, batchedRing, ringCount, eventRing, wakeup, sharedWakeup, commitSignal, ingestControl, spareMailbox,
        committedTail, journalDrain, verifierLink, stopFlag,
    ]
    private static let acquire = Strength.order(.acquiring)
    private static let release = Strength.order(.releasing)
    private static let relaxed = Strength.order(.relaxed)

    // MARK: rings

    private static let ringOrders = [
        "producer.head.load": acquire, "tail.store": release, "consumer.tail.load": acquire, "head.store": release,
    ]
    /// Two slots, so that each is used again while the other is in use.
    static let ring = HandOver(name: "SPSCRing", strengths: ringOrders) { orders in
        Model("SPSCRing", [producer(orders, itemCount: 4, batch: 1), consumer(orders, itemCount: 4, batch: 1)])
    }
    static let batchedRing = HandOver(name: "SPSCRing, batches", strengths: ringOrders) { orders in
        Model(
            "SPSCRing, batches", [producer(orders, itemCount: 4, batch: 2), consumer(orders, itemCount: 4, batch: 1)])
    }
    /// Full and empty are asked of what was last seen of the other side, and of the other side when that says so.
    private static func producer(_ orders: Orders, itemCount: Int, batch: Int) -> [Step] {
        let tail = Value.register("tail")
        var push: [Step] = []
        for index in 0..<batch {
            push.append(.write(Place("slot", at: tail + .constant(index), of: 2), tail + .constant(index + 1)))
        }
        return [
            .set("tail", 0), .set("seen", 0), .label("next"), .jump("done", .equal(tail, .constant(itemCount))),
        ] + (0...(2 - batch)).map { .jump("push", .equal(tail - .register("seen"), .constant($0))) } + [
            .load("seen", "head", orders["producer.head.load"]), .jump("next", nil), .label("push"),
        ] + push + [
            .store("tail", tail + .constant(batch), orders["tail.store"]), .set("tail", tail + .constant(batch)),
            .jump("next", nil), .label("done"),
        ]
    }
    private static func consumer(_ orders: Orders, itemCount: Int, batch: Int) -> [Step] {
        let head = Value.register("head")
        return [
            .set("head", 0), .set("seen", 0), .label("next"), .jump("done", .equal(head, .constant(itemCount))),
            .jump("pop", .differ(.register("seen"), head)), .load("seen", "tail", orders["consumer.tail.load"]),
            .jump("next", nil), .label("pop"), .read("item", Place("slot", at: head, of: 2)),
            .check(.equal(.register("item"), head + 1), "an item is lost, doubled or out of order"),
            .store("head", head + 1, orders["head.store"]), .set("head", head + 1), .jump("next", nil), .label("done"),
        ]
    }
    /// A third thread that counts: never fewer than none.
    static let ringCount = HandOver(
        name: "SPSCRing.count",
        strengths: [
            "count.head.load": acquire, "tail.store": release, "consumer.tail.load": acquire, "head.store": release,
        ]
    ) { orders in
        var orders = orders
        orders.strengths["producer.head.load"] = acquire
        return Model(
            "SPSCRing.count",
            [
                producer(orders, itemCount: 2, batch: 1), consumer(orders, itemCount: 2, batch: 1),
                [
                    .load("head", "head", orders["count.head.load"]), .load("tail", "tail", .relaxed),
                    .check(.differ(.register("tail") - .register("head"), -1), "fewer than none"),
                    .check(.differ(.register("tail") - .register("head"), -2), "fewer than none"),
                ],
            ])
    }
    /// The same without a memory of the other side; records are of any size, so a full one waits.
    static let eventRing = HandOver(
        name: "EventRing",
        strengths: [
            "push.head.load": acquire, "tail.store": release, "front.tail.load": acquire, "head.store": release,
        ]
    ) { orders in
        let (tail, head) = (Value.register("tail"), Value.register("head"))
        return Model(
            "EventRing",
            [
                [
                    .set("tail", 0), .label("next"), .jump("done", .equal(tail, 4)),
                    .load("seen", "head", orders["push.head.load"]), .jump("next", .equal(tail - .register("seen"), 2)),
                    .write(Place("bytes", at: tail, of: 2), tail + 1), .store("tail", tail + 1, orders["tail.store"]),
                    .set("tail", tail + 1), .jump("next", nil), .label("done"),
                ],
                [
                    .set("head", 0), .label("next"), .jump("done", .equal(head, 4)),
                    .load("seen", "tail", orders["front.tail.load"]), .jump("next", .equal(.register("seen"), head)),
                    .read("item", Place("bytes", at: head, of: 2)),
                    .check(.equal(.register("item"), head + 1), "an event is lost, doubled or out of order"),
                    .store("head", head + 1, orders["head.store"]), .set("head", head + 1), .jump("next", nil),
                    .label("done"),
                ],
            ])
    }

    // MARK: wake-ups

    private static let wakeOrders: [String: Strength] = ["signal.fence": .fence, "beginSleep.fence": .fence]
    static func signal(_ orders: Orders) -> [Step] {
        orders.fence("signal.fence") + [
            .load("sleeping", "sleeping", .relaxed), .jump("signalled", .equal(.register("sleeping"), 0)),
            .exchange("sleeping", "sleeping", 0, .relaxed), .jump("signalled", .equal(.register("sleeping"), 0)),
            .signal("eventfd"), .label("signalled"),
        ]
    }
    /// `look` jumps to `work` when there is some.
    private static func sleeper(_ orders: Orders, look: [Step], work: [Step]) -> [Step] {
        [.label("again"), .store("sleeping", 1, .relaxed)] + orders.fence("beginSleep.fence") + look + [
            .wait("eventfd"), .store("sleeping", 0, .relaxed), .jump("again", nil), .label("work"),
            .store("sleeping", 0, .relaxed),
        ] + work + [.jump("again", nil), .label("done")]
    }
    static let wakeup = HandOver(name: "Wakeup", strengths: wakeOrders) { orders in
        Model(
            "Wakeup",
            [
                [.store("tail", 1, .releasing)] + signal(orders),
                sleeper(
                    orders,
                    look: [.load("tail", "tail", .acquiring), .jump("work", .equal(.register("tail"), 1))],
                    work: [.jump("done", nil)]),
            ])
    }
    /// Two producers, of whom one pays for the wake-up; the sleeper comes back until it has seen both.
    static let sharedWakeup = HandOver(name: "Wakeup, two producers", strengths: wakeOrders) { orders in
        let (one, two) = (Value.register("one"), Value.register("two"))
        return Model(
            "Wakeup, two producers",
            [
                [.store("one", 1, .releasing)] + signal(orders), [.store("two", 1, .releasing)] + signal(orders),
                sleeper(
                    orders,
                    look: [
                        .load("one", "one", .acquiring), .load("two", "two", .acquiring),
                        .jump("work", .differ(one + two, .register("seen"))),
                    ], work: [.set("seen", one + two), .jump("done", .equal(.register("seen"), 2))]),
            ])
    }
    /// A reader that begins to want commits, and a commit at that moment: one of them sees the other.
    static let commitSignal = HandOver(
        name: "CommitSignal", strengths: wakeOrders.merging(["isWanted.fence": .fence]) { one, _ in one }
    ) { orders in
        Model(
            "CommitSignal",
            [
                [.store("wanted", 1, .relaxed)] + signal(orders),
                [.store("tail", 1, .releasing)] + orders.fence("isWanted.fence") + [
                    .load("wanted", "wanted", .relaxed), .jump("unwanted", .equal(.register("wanted"), 0)),
                ] + signal(orders) + [.label("unwanted")],
                sleeper(
                    orders,
                    look: [.load("tail", "tail", .acquiring), .jump("work", .equal(.register("tail"), 1))],
                    work: [.jump("done", nil)]),
            ])
    }

    // MARK: mailboxes

    /// A snapshot and a wish to drain, from two threads; the loop looks at neither without news.
    static let ingestControl = HandOver(
        name: "IngestControl",
        strengths: wakeOrders.merging(["tell.exchange": release, "news.exchange": acquire]) { one, _ in one }
    ) { orders in
        let tell: [Step] = [.exchange("was", "news", 1, orders["tell.exchange"])] + signal(orders)
        return Model(
            "IngestControl",
            [
                [.lock("mailbox"), .write("snapshot", 1), .unlock("mailbox")] + tell,
                [.store("drainWanted", 1, .relaxed)] + tell,
                sleeper(
                    orders, look: [.load("news", "news", .relaxed), .jump("work", .equal(.register("news"), 1))],
                    work: [
                        .exchange("news", "news", 0, orders["news.exchange"]), .lock("mailbox"),
                        .read("snapshot", "snapshot"), .unlock("mailbox"), .load("drain", "drainWanted", .relaxed),
                        .jump("done", .equal(.register("snapshot") + .register("drain"), 2)),
                    ]),
            ])
    }
    /// Two pieces of news for the driver, which takes one at a time and looks at nothing but the flag before it sleeps.
    static let spareMailbox = HandOver(name: "SpareMailbox", strengths: wakeOrders) { orders in
        let tell: [Step] = [
            .lock("list"), .read("count", "count"), .write("count", .register("count") + 1), .unlock("list"),
            .store("hasNews", 1, .relaxed),
        ]
        return Model(
            "SpareMailbox",
            [
                tell + signal(orders), tell + signal(orders),
                sleeper(
                    orders, look: [.load("news", "hasNews", .relaxed), .jump("work", .equal(.register("news"), 1))],
                    work: [
                        .lock("list"), .read("count", "count"), .jump("empty", .equal(.register("count"), 0)),
                        .write("count", .register("count") - 1), .set("taken", .register("taken") + 1),
                        .label("empty"), .set("more", 0), .jump("none", .equal(.register("count"), 0)),
                        .jump("none", .equal(.register("count"), 1)), .set("more", 1), .label("none"),
                        .store("hasNews", .register("more"), .relaxed), .unlock("list"),
                        .jump("done", .equal(.register("taken"), 2)),
                    ]),
            ])
    }
    /// Whoever sees a sequence sees the segment that it is in, and that segment's end.
    static let committedTail = HandOver(
        name: "CommittedTail", strengths: ["sequence.store": release, "sequence.load": acquire]
    ) { orders in
        func publish(_ number: Value) -> [Step] {
            ["end", "first", "generation"].map { .store(Place(stringLiteral: $0), number, .relaxed) } + [
                .store("sequence", number, orders["sequence.store"])
            ]
        }
        let seen = ["end", "first", "generation"].flatMap { name -> [Step] in
            [
                .load(name, Place(stringLiteral: name), .relaxed),
                .check(.differ(.register("sequence") - .register(name), 1), "a sequence before its \(name)"),
                .check(.differ(.register("sequence") - .register(name), 2), "a sequence before its \(name)"),
            ]
        }
        return Model(
            "CommittedTail",
            [publish(1) + publish(2), [.load("sequence", "sequence", orders["sequence.load"])] + seen])
    }
    /// The loop's last event, then its end, then the order to end: the journal's thread takes the event before it goes.
    static let journalDrain = HandOver(
        name: "JournalControl",
        strengths: ["stage.store": release, "stage.load": acquire, "drain.store": release, "drain.load": acquire]
    ) { orders in
        Model(
            "JournalControl",
            [
                [.store("tail", 1, .releasing), .store("stage", 1, orders["stage.store"])],
                [
                    .label("next"), .load("stage", "stage", orders["stage.load"]),
                    .jump("next", .equal(.register("stage"), 0)), .store("drain", 1, orders["drain.store"]),
                ], ending(orders),
            ])
    }
    /// The dispatcher's last order, then the order to stop: the egress loop takes the first before it goes.
    static let stopFlag = HandOver(
        name: "EgressMailbox", strengths: ["drain.store": release, "drain.load": acquire]
    ) { orders in
        Model(
            "EgressMailbox",
            [[.store("tail", 1, .releasing), .store("drain", 1, orders["drain.store"])], ending(orders)])
    }
    /// Ends when it is told to and its ring is empty.
    private static func ending(_ orders: Orders) -> [Step] {
        [
            .label("tick"), .load("drain", "drain", orders["drain.load"]), .jump("take", .equal(.register("drain"), 0)),
            .load("tail", "tail", .relaxed), .jump("ended", .equal(.register("tail"), .register("taken"))),
            .label("take"), .load("tail", "tail", .acquiring), .set("taken", .register("tail")), .jump("tick", nil),
            .label("ended"), .check(.equal(.register("taken"), 1), "what is in the ring is left in it"),
        ]
    }
    /// The loop's block goes to a worker with its order, and is the loop's again with the verdict.
    static let verifierLink = HandOver(
        name: "VerifierLink", strengths: ["tail.store": release, "consumer.tail.load": acquire]
    ) { orders in
        let worker: [Step] = [
            .lock("taking"), .load("order", "tail", orders["consumer.tail.load"]), .load("mine", "head", .relaxed),
            .jump("none", .equal(.register("order"), .register("mine"))), .read("bytes", "block"),
            .check(.equal(.register("bytes"), 7), "a worker reads what is not the request"),
            .store("head", .register("mine") + 1, .releasing), .unlock("taking"), .lock("answering"),
            .store("verdict", 1, orders["tail.store"]), .unlock("answering"), .jump("done", nil), .label("none"),
            .unlock("taking"), .label("done"),
        ]
        return Model(
            "VerifierLink",
            [
                [
                    .write("block", 7), .store("tail", 1, orders["tail.store"]), .label("wait"),
                    .load("verdict", "verdict", orders["consumer.tail.load"]),
                    .jump("wait", .equal(.register("verdict"), 0)), .write("block", 8),
                ], worker, worker,
            ])
    }
}
