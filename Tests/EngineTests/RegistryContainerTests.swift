// What keeps a registry of many small: the index of numbers, the lists that are shared, identities as numbers.
import Engine
import FastPath
import Testing

@Suite struct NumberIndexTests {
    /// A table whose keys change, and the index beside it; many keys share a hash.
    private struct Bench {
        var keys: [UInt32: Int] = [:]
        var index = NumberIndex()

        static func hash(_ key: Int) -> Int { key % 37 << 8 }
        func first(_ key: Int) -> UInt32? { index.first(Bench.hash(key)) { keys[$0] == key } }
        mutating func set(_ number: UInt32, to key: Int) {
            remove(number)
            keys[number] = key
            let keys = keys
            index.set(number, Bench.hash(key)) {
                keys[$0] == key
            } hashOf: {
                Bench.hash(keys[$0] ?? -1)
            }
        }
        mutating func remove(_ number: UInt32) {
            guard let key = keys[number] else { return }
            let keys = keys
            index.remove(number, Bench.hash(key)) { Bench.hash(keys[$0] ?? -1) }
            self.keys[number] = nil
        }
    }
    @Test func findsExactlyWhatADictionaryDoes() {
        var generator = SeededGenerator(seed: 11)
        var bench = Bench()
        var model: [Int: UInt32] = [:]
        for round in 0..<4000 {
            let number = UInt32.random(in: 1...300, using: &generator)
            if let old = bench.keys[number] { model[old] = nil }
            let key = Int.random(in: 0..<2000, using: &generator)
            if round % 3 == 0 || model[key] != nil {
                bench.remove(number)
            } else {
                bench.set(number, to: key)
                model[key] = number
            }
            for key in [key, Int.random(in: 0..<2000, using: &generator)] {
                #expect(bench.first(key) == model[key], "key \(key) in round \(round)")
            }
        }
        for (key, number) in model { #expect(bench.first(key) == number) }
    }
    @Test func theOneThatComesLaterTakesTheKey() {
        var bench = Bench()
        bench.set(1, to: 5)
        bench.set(2, to: 5)
        #expect(bench.first(5) == 2)
        // It stands there no more, so nothing of the other goes with it.
        bench.remove(1)
        #expect(bench.first(5) == 2)
        let copy = bench
        bench.remove(2)
        #expect(bench.first(5) == nil && copy.first(5) == 2)
    }
}

@Suite struct SharedListTests {
    private func address(_ list: [Int]) -> UInt? {
        list.withUnsafeBufferPointer { unsafe $0.baseAddress.map { UInt(bitPattern: $0) } }
    }
    @Test func equalListsAreOne() {
        var lists = SharedLists()
        let (first, second) = (lists.shared((1...5).map { $0 }), lists.shared((1...5).map { $0 }))
        #expect(first == second && address(first) == address(second))
        #expect(lists.shared([Int]()).isEmpty && lists.shared(["a"]) == ["a"])
    }
    @Test func endpointsOfTheAPIShareTheirLists() throws {
        let bench = try RegistryBench()
        try bench.apply(manifest([source("github")], []))
        for name in ["a", "b"] {
            try bench.edit(.createEndpoint(endpointSettings(name) { $0.retryDelaysMillis = (1...3).map { $0 * 1000 } }))
        }
        for bench in [bench, try bench.restart()] {
            let (a, b) = (try bench.endpoint("a").settings, try bench.endpoint("b").settings)
            #expect(a.retryDelaysMillis == [1000, 2000, 3000])
            #expect(address(a.retryDelaysMillis) == address(b.retryDelaysMillis))
        }
    }
}

@Suite struct PublicIDTests {
    @Test func aTextIsReadAsItWasMade() {
        for _ in 0..<100 {
            let id = PublicID.make(.source)
            #expect(id.text.hasPrefix("src_") && id.text.utf8.count == 26)
            #expect(PublicID(id.text, prefix: .source) == id && PublicID(id.text, prefix: .endpoint) == nil)
        }
        let zeros = String(repeating: "0", count: 22)
        #expect(PublicID("ep_" + zeros, prefix: .endpoint)?.text == "ep_" + zeros)
    }
    @Test(arguments: ["", "ep_", "ep_123", "ep_" + String(repeating: "z", count: 22), "ep_000000000000000000000-"])
    func whatNobodyMadeIsNone(_ text: String) { #expect(PublicID(text, prefix: .endpoint) == nil) }
}

@Suite struct TableWalkTests {
    @Test func aTableIsWalkedDownOverGaps() {
        var table = PagedTable<UInt32>()
        for number: UInt32 in [0, 3, 64, 700, 701] { table[number] = number }
        #expect(table.values(before: .max, limit: 9) == [701, 700, 64, 3, 0])
        #expect(table.values(before: 701, limit: 2) == [700, 64] && table.values(before: 0, limit: 2).isEmpty)
        table[700] = nil
        table[701] = nil
        #expect(table.values(before: .max, limit: 1) == [64] && table.values(before: 64, limit: 9) == [3, 0])
        #expect(PagedTable<Int>().values(before: .max, limit: 1).isEmpty)
    }
}
