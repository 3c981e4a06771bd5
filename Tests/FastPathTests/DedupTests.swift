// The dedup table and its hashes: reference vectors, identity by tag alone, windows, load, eviction.

import CShims
import FastPath
import TestSupport
import Testing

/// A class, because `#expect` copies what it is given and the table cannot be copied.
private final class Table {
    private var table: DedupTable

    init(_ count: Int) { table = DedupTable(entryCount: count)! }
    var capacity: Int { table.capacity }
    var entryCount: Int { table.entryCount }
    var evictionCount: UInt64 { table.evictionCount }
    var byteCount: Int { table.byteCount }
    func lookup(_ print: Fingerprint, nowSeconds: UInt32, windowSeconds: UInt32) -> UInt64? {
        table.lookup(print, nowSeconds: nowSeconds, windowSeconds: windowSeconds)
    }
    func insert(_ print: Fingerprint, sequence: UInt64, nowSeconds: UInt32, windowSeconds: UInt32) {
        table.insert(print, sequence: sequence, nowSeconds: nowSeconds, windowSeconds: windowSeconds)
    }
    func remove(_ print: Fingerprint, sequence: UInt64) { table.remove(print, sequence: sequence) }
}

@Suite struct DedupTests {
    static let keys = FingerprintKeys(seed: 1, tagKey0: 2, tagKey1: 3)

    static func print(_ number: UInt64) -> Fingerprint {
        var generator = SeededRandom(number)
        return Fingerprint(
            slot: Hash128(low: generator.next(), high: generator.next()),
            tag: Hash128(low: generator.next(), high: generator.next()))
    }
    static func print(_ key: String, tenant: String = "", source: String = "s") -> Fingerprint {
        Array(tenant.utf8).withView { tenant in
            Array(source.utf8).withView { source in
                Array(key.utf8).withView { Fingerprint(tenant: tenant, source: source, key: $0, keys: keys) }
            }
        }
    }

    // Key 00…0f, message 00 01 02 …, as in the reference vectors; `openssl mac -macopt size:16 SIPHASH` gives the same.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"), (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
    ])
    func sipHashAgreesWithItsReferenceVectors(count: Int, expected: String) {
        let message = (0..<count).map { UInt8($0) }
        let hash = sluice_siphash128(0x0706_0504_0302_0100, 0x0F0E_0D0C_0B0A_0908, message, count)
        let bytes = [
            hash.low,
            hash.high,
        ].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) } }
        let digits = Array("0123456789abcdef")
        let text = String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
        #expect(text == expected)
    }

    @Test func tagIsSipHashOfThePaddedPrefixAndTheKey() {
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 300, 1000] {
            let key = TestEvent.body("k", count)
            var message: [UInt8] = [3, 0, 0, 0, 6, 0, 0, 0]
            message += (0..<8).map { UInt8(truncatingIfNeeded: UInt64(count) >> UInt64(8 * $0)) }
            message += Array("acmgithub".utf8) + [UInt8](repeating: 0, count: 7)
            let expected = sluice_siphash128(2, 3, message + key, message.count + count)
            let slot = sluice_xxh3_128(key, count, sluice_xxh3_64(message, message.count, 1))
            let print = Array("acm".utf8).withView { tenant in
                Array("github".utf8).withView { source in
                    key.withView { Fingerprint(tenant: tenant, source: source, key: $0, keys: Self.keys) }
                }
            }
            #expect(print.tag == Hash128(low: expected.low, high: expected.high))
            #expect(print.slot == Hash128(low: slot.low, high: slot.high))
        }
    }

    @Test func tenantSourceAndKeyDoNotRunIntoEachOther() {
        let prints = [
            Self.print("c", tenant: "a", source: "b"), Self.print("bc", tenant: "a", source: ""),
            Self.print("c", tenant: "ab", source: ""), Self.print("c", tenant: "", source: "ab"),
            Self.print(
                "abc",
                source: ""),
        ]
        for (index, one) in prints.enumerated() {
            for other in prints.dropFirst(index + 1) { #expect(one.tag != other.tag && one.slot != other.slot) }
        }
    }

    // The idea of xxHash #1127: keys that collide in XXH3 exist; they must stay two events.
    @Test func equalFingerprintsWithDifferentTagsAreTwoEvents() {
        let table = Table(1024)
        let slot = Hash128(low: 77, high: 88)
        for number in UInt64(1)...16 {
            let print = Fingerprint(slot: slot, tag: Hash128(low: number, high: 5))
            #expect(table.lookup(print, nowSeconds: 10, windowSeconds: 100) == nil)
            table.insert(print, sequence: number, nowSeconds: 10, windowSeconds: 100)
        }
        for number in UInt64(1)...16 {
            let print = Fingerprint(slot: slot, tag: Hash128(low: number, high: 5))
            #expect(table.lookup(print, nowSeconds: 10, windowSeconds: 100) == number)
            let halfEqual = Fingerprint(slot: slot, tag: Hash128(low: number, high: 6))
            #expect(table.lookup(halfEqual, nowSeconds: 10, windowSeconds: 100) == nil)
        }
    }

    @Test func tagWithALowWordOfZeroIsKept() {
        let table = Table(64)
        let print = Fingerprint(slot: Hash128(low: 1, high: 2), tag: Hash128(low: 0, high: 9))
        #expect(table.lookup(print, nowSeconds: 1, windowSeconds: 9) == nil)
        table.insert(print, sequence: 4, nowSeconds: 1, windowSeconds: 9)
        #expect(table.lookup(print, nowSeconds: 1, windowSeconds: 9) == 4)
        #expect(table.entryCount == 1)
    }

    @Test func windowIsExactToTheSecondAndSurvivesAClockSetBack() {
        let table = Table(64)
        table.insert(Self.print(1), sequence: 7, nowSeconds: 1000, windowSeconds: 60)
        #expect(table.lookup(Self.print(1), nowSeconds: 1059, windowSeconds: 60) == 7)
        #expect(table.lookup(Self.print(1), nowSeconds: 1060, windowSeconds: 60) == nil)
        #expect(table.lookup(Self.print(1), nowSeconds: 0, windowSeconds: 60) == 7)
        #expect(table.lookup(Self.print(1), nowSeconds: .max, windowSeconds: .max) == 7)
    }

    @Test func removeForgetsOnlyTheSequenceItNames() {
        let table = Table(64)
        table.insert(Self.print(1), sequence: 7, nowSeconds: 1, windowSeconds: 60)
        table.remove(Self.print(1), sequence: 6)
        #expect(table.lookup(Self.print(1), nowSeconds: 1, windowSeconds: 60) == 7)
        table.remove(Self.print(1), sequence: 7)
        #expect(table.lookup(Self.print(1), nowSeconds: 1, windowSeconds: 60) == nil)
        #expect(table.entryCount == 0)
    }

    @Test(arguments: [8192, 100_000]) func takes95PercentWithoutAnEviction(capacity: Int) {
        let table = Table(capacity)
        let count = UInt64(table.capacity * 95 / 100)
        for number in 0..<count { table.insert(Self.print(number), sequence: number, nowSeconds: 5, windowSeconds: 60) }
        #expect(table.evictionCount == 0)
        #expect(table.entryCount == Int(count))
        for number in 0..<count {
            #expect(table.lookup(Self.print(number), nowSeconds: 6, windowSeconds: 60) == number)
        }
        #expect(table.lookup(Self.print(count), nowSeconds: 6, windowSeconds: 60) == nil)
        #expect(table.byteCount <= 32 * table.capacity)
    }

    @Test func overfullTableForgetsOldOnesAndCountsThem() {
        let table = Table(4096)
        let count = UInt64(table.capacity * 2)
        for number in 0..<count {
            table.insert(Self.print(number), sequence: number, nowSeconds: UInt32(number), windowSeconds: .max)
        }
        #expect(table.evictionCount + UInt64(table.entryCount) == count)
        #expect(table.entryCount <= table.capacity)
        // The newest quarter of the capacity is far from being the oldest of any sixteen.
        let missing = (count - UInt64(table.capacity / 4)..<count).filter {
            table.lookup(Self.print($0), nowSeconds: UInt32(count), windowSeconds: .max) != $0
        }
        #expect(missing.isEmpty)
    }

    @Test func expiredEntriesMakeRoomWithoutCountingAsEvictions() {
        let table = Table(4096)
        let count = UInt64(table.capacity * 9 / 10)
        for round in UInt64(0)..<5 {
            let now = UInt32(round * 1000 + 1)
            for number in 0..<count {
                table.insert(Self.print(round << 32 | number), sequence: number, nowSeconds: now, windowSeconds: 300)
            }
            let found = (0..<count).count {
                table.lookup(Self.print(round << 32 | $0), nowSeconds: now, windowSeconds: 300) == $0
            }
            #expect(found == Int(count))
        }
        #expect(table.evictionCount == 0)
        #expect(table.entryCount <= table.capacity)
    }
}
