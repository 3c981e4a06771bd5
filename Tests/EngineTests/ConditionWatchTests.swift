// Conditions begin once and end once, each at its own mark; and what is said of them.

import Engine
import FastPath
import Foundation
import Testing

@Suite struct ConditionWatchTests {
    private var watch = ConditionWatch(ConditionSettings())
    private static let start: Int64 = 1_700_000_000_000

    private func take(
        _ watch: inout ConditionWatch, at seconds: Int64, _ change: (inout ConditionReading) -> Void
    ) -> [ConditionChange] {
        var reading = ConditionReading(nowMillis: Self.start + seconds * 1000)
        change(&reading)
        return watch.take(reading)
    }
    private func requests(
        _ watch: inout ConditionWatch, at seconds: Int64, refused: UInt64, all: UInt64
    ) -> [Bool] {
        take(&watch, at: seconds) {
            $0.requests = [SourceID(3): ConditionReading.Requests(refused: refused, all: all)]
        }.map { change in
            #expect(change.condition == .refusing(SourceID(3)))
            return change.hasBegun
        }
    }

    @Test func aSourceThatRefusesMostIsToldOnceAndItsEnd() {
        var watch = watch
        // A few are nothing, however large their share.
        #expect(requests(&watch, at: 0, refused: 19, all: 19).isEmpty)
        #expect(requests(&watch, at: 1, refused: 20, all: 20) == [true])
        #expect(requests(&watch, at: 2, refused: 200, all: 200).isEmpty)
        // Between the two marks nothing changes: 50 of 130 within the minute.
        #expect(requests(&watch, at: 65, refused: 250, all: 330).isEmpty)
        // Under a quarter.
        #expect(requests(&watch, at: 66, refused: 250, all: 500) == [false])
        #expect(requests(&watch, at: 67, refused: 250, all: 500).isEmpty)
    }
    @Test func whenNobodySendsAnyMoreItEnds() {
        var watch = watch
        #expect(requests(&watch, at: 0, refused: 100, all: 100) == [true])
        for second in stride(from: Int64(5), to: 50, by: 5) {
            #expect(requests(&watch, at: second, refused: 100, all: 100).isEmpty)
        }
        #expect(requests(&watch, at: 61, refused: 100, all: 100) == [false])
        // A source that is removed while it holds.
        #expect(requests(&watch, at: 62, refused: 200, all: 200) == [true])
        #expect(take(&watch, at: 200) { _ in }.map(\.hasBegun) == [false])
    }
    @Test func manyRefusedAmongManyAreNothing() {
        var watch = watch
        for second in 1...100 {
            let count = UInt64(second)
            #expect(requests(&watch, at: Int64(second), refused: count * 40, all: count * 100).isEmpty)
        }
    }
    @Test func littleSpaceEndsAQuarterAboveItsMark() {
        var watch = watch
        func space(_ second: Int64, _ free: Int?) -> [Bool] {
            take(&watch, at: second) { $0.freeBytes = free }.map(\.hasBegun)
        }
        let mark = 1 << 30
        #expect(space(0, mark).isEmpty && space(1, mark - 1) == [true] && space(2, 5).isEmpty)
        #expect(space(3, mark + mark / 4 - 1).isEmpty && space(4, nil).isEmpty)
        #expect(space(5, mark + mark / 4) == [false] && space(6, mark).isEmpty)
        var never = ConditionSettings()
        never.freeBytesMin = 0
        watch = ConditionWatch(never)
        #expect(space(0, 0).isEmpty)
    }
    @Test func anEndpointThatLagsIsToldOnceAndItsEnd() {
        var watch = watch
        func lag(_ second: Int64, _ ages: [UInt32: Int64]) -> [String] {
            take(&watch, at: second) { reading in
                for (number, age) in ages { reading.oldest[EndpointID(number)] = age }
            }.map { change in
                guard case .lagging(let id) = change.condition else { return "other" }
                return "\(id.number) \(change.hasBegun)"
            }
        }
        #expect(lag(0, [1: 299_999, 2: 0]).isEmpty)
        #expect(lag(1, [1: 300_000, 2: 400_000]) == ["1 true", "2 true"])
        #expect(watch.lagging == [EndpointID(1), EndpointID(2)])
        #expect(lag(2, [1: 150_000, 2: 400_000]).isEmpty)
        #expect(lag(3, [1: 149_999, 2: 400_000]) == ["1 false"])
        #expect(lag(4, [:]) == ["2 false"], "one that is gone lags no more")
        #expect(watch.lagging.isEmpty)
    }
    @Test func aCertificateIsToldUntilThereIsAnother() {
        var watch = watch
        func certificates(_ second: Int64, _ days: [(String, Double)]) -> [Bool] {
            take(&watch, at: second) { reading in
                reading.certificates = days.map { file, days in
                    ListenerCertificate(
                        listener: "0.0.0.0:8443", file: file,
                        expiresAt: Self.start / 1000 + second + Int64(days * 86_400))
                }
            }.map(\.hasBegun)
        }
        #expect(certificates(0, [("a.pem", 14), ("b.pem", 30)]).isEmpty)
        #expect(certificates(1, [("a.pem", 13.9), ("b.pem", 30)]) == [true])
        #expect(certificates(2, [("a.pem", 13.8), ("b.pem", 30)]).isEmpty)
        #expect(certificates(3, [("a.pem", 14.01), ("b.pem", 30)]).isEmpty)
        #expect(certificates(4, [("a.pem", 90), ("b.pem", 30)]) == [false])
        #expect(certificates(5, [("b.pem", 1)]) == [true])
        #expect(certificates(6, []) == [false])
    }
    @Test func theFiguresOfABeginningAndAnEnd() throws {
        var watch = watch
        let begun = take(&watch, at: 0) { $0.freeBytes = 5 }
        #expect(
            begun == [
                ConditionChange(
                    .spaceLow, hasBegun: true, .free(bytes: 5, least: 1 << 30), sinceMillis: Self.start,
                    atMillis: Self.start)
            ])
        let ended = take(&watch, at: 60) { $0.freeBytes = 1 << 31 }
        #expect(ended[0].sinceMillis == Self.start && ended[0].atMillis == Self.start + 60_000)
        let fact = ConditionFact(tenant: .main, tenantID: "t", change: ended[0])
        let payload = OperationalPayload(fact)
        #expect(payload.type == .spaceLow && OperationalFact.condition(fact).tenant == .main)
        let data = PayloadValue.object(payload.data)
        #expect(data["state"] == .text("ended") && data["since"] == .time(Self.start))
        #expect(data["free_bytes"] == .number(Int64(1 << 31)) && data["tenant_id"] == .text("t"))
    }
    @Test func conditionsGoToThoseThatNameThem() throws {
        var settings = endpoint("ears") {
            $0.extras.family = .operational
            $0.url = "http://127.0.0.1:9000/ears"
        }
        func wants(_ type: OperationalEventType) throws -> Bool {
            let one = try compiled(settings, id: EndpointID(1), sources: [.operational])
            return Array("".utf8).withView {
                one.subscription.wants(source: .operational, type: Array(type.rawValue.utf8), channels: $0)
            }
        }
        for type in OperationalEventType.allCases { #expect(try wants(type) == !type.isByNameAlone, "\(type)") }
        settings.types = ["log.space_low"]
        for type in OperationalEventType.allCases { #expect(try wants(type) == (type == .spaceLow), "\(type)") }
    }
}
