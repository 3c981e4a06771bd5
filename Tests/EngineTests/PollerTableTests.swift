// Positions of consumers of polled sinks: kept over a restart, each by itself, bounded by tenant.
import Engine
import FastPath
import TestSupport
import Testing

@Suite struct PollerTableTests {
    private func consumer(
        _ name: String, _ sink: PollerConsumer.Sink = .named("s"), tenant: UInt32 = 1
    ) -> PollerConsumer {
        PollerConsumer(tenant: TenantID(tenant), sink: sink, name: name)
    }

    @Test func eachHasItsOwnPositionOverARestart() throws {
        let scratch = TemporaryFolder()
        let all = [
            consumer("a"), consumer("b"), consumer("a", tenant: 2), consumer("a", .named("t")),
            consumer("a", .endpoint(EndpointID(1))), consumer("a", .endpoint(EndpointID(2))),
        ]
        do {
            let store = try SQLiteStore(folder: scratch.path, logIdentity: 7)
            for (place, one) in all.enumerated() {
                #expect(try store.position(of: one) == nil)
                try store.move(one, to: UInt64(place) + 10, nowMillis: 1)
            }
            try store.move(all[0], to: 3, nowMillis: 2)
        }
        let store = try SQLiteStore(folder: scratch.path, logIdentity: 7)
        #expect(try all.map { try store.position(of: $0) } == [3, 11, 12, 13, 14, 15])
        try store.forget([EndpointID(1)])
        #expect(try all.map { try store.position(of: $0) } == [3, 11, 12, 13, nil, 15])
    }
    @Test func anotherLogBeginsAnew() throws {
        let scratch = TemporaryFolder()
        do { try SQLiteStore(folder: scratch.path, logIdentity: 7).move(consumer("a"), to: 9, nowMillis: 1) }
        let store = try SQLiteStore(folder: scratch.path, logIdentity: 8)
        #expect(try store.position(of: consumer("a")) == nil)
    }
    @Test func ofATenantANewOneFindsRoomWhereOneHasRestedForAMonth() throws {
        let scratch = TemporaryFolder()
        let store = try SQLiteStore(folder: scratch.path, logIdentity: 7)
        let month: Int64 = 30 * 24 * 3_600_000
        #expect(try store.move(consumer("other", tenant: 2), to: 1, nowMillis: 0))
        for number in 0..<1000 { try store.move(consumer("c\(number)"), to: 1, nowMillis: Int64(number)) }
        let new = consumer("new", .named("t"))
        #expect(try !store.move(new, to: 1, nowMillis: month) && store.position(of: new) == nil)
        #expect(try store.move(consumer("c0"), to: 2, nowMillis: 5000), "those that are there go on")
        #expect(try store.position(of: consumer("c1")) == 1)
        #expect(try store.move(consumer("third", tenant: 3), to: 1, nowMillis: month))
        #expect(try store.move(new, to: 3, nowMillis: month + 10, isDurable: false))
        #expect(try store.position(of: new) == 3 && store.position(of: consumer("c1")) == nil)
        #expect(try store.position(of: consumer("c0")) == 2 && store.position(of: consumer("c2")) == 1)
        #expect(try store.position(of: consumer("other", tenant: 2)) == 1)
    }
}
