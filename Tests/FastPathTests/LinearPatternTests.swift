// Regular expressions: what matches and where, what is refused, and that no expression takes more than linear time.
import FastPath
import Testing

@Suite struct LinearPatternTests {
    private func found(_ pattern: LinearPattern, _ text: String, from start: Int = 0) -> Range<Int>? {
        Array(text.utf8).withView { pattern.firstMatch(in: $0, from: start) }
    }

    @Test func findsTheLeftmostMatch() throws {
        let pattern = try LinearPattern("[a-z]+@[a-z.]+")
        #expect(found(pattern, "to ann@b.example, bob@c.example") == 3..<16)
        #expect(found(pattern, "to ann@b.example, bob@c.example", from: 16) == 18..<31)
        #expect(found(pattern, "nobody") == nil)
        #expect(found(pattern, "ann@b.example", from: 99) == nil)
        #expect(Array("x ann@b".utf8).withView { pattern.matches($0) })
    }
    @Test func readsCharactersOrBytes() throws {
        #expect(found(try LinearPattern("^.$"), "é") == 0..<2)
        #expect(found(try LinearPattern("^.$", isBytes: true), "é") == nil)
        #expect(found(try LinearPattern("STRASSE", foldsCase: true), "strasse") == 0..<7)
    }
    @Test func emptyTextsAndPatterns() throws {
        #expect(found(try LinearPattern(""), "") == 0..<0)
        #expect(found(try LinearPattern("a"), "") == nil)
        #expect(found(try LinearPattern("$"), "ab", from: 2) == 2..<2)
    }
    @Test(arguments: ["(", "a{2000}", "(?=b)", "(a)\\1", "[z-a]", "a**"])
    func refusesWhatIsWrongOrNotLinear(_ text: String) {
        #expect(throws: LinearPatternError.self) { try LinearPattern(text) }
    }
    @Test func refusesWhatCompilesToTooMuch() {
        #expect(throws: LinearPatternError.self) { try LinearPattern("((a{100}){100}){10}") }
        #expect(throws: LinearPatternError.self) { try LinearPattern("[^x]{900}[^y]{900}[^z]{900}[^w]{900}") }
    }
    @Test func mostTakeLittleMemory() throws {
        let small = try LinearPattern("[a-z0-9]+@example[.](com|org)")
        #expect(small.memoryBytes == LinearPattern.smallMemoryBytesMax)
        let large = try LinearPattern("[a-z]{900}")
        #expect(large.memoryBytes == LinearPattern.memoryBytesMax)
        #expect(large.instructionCount > LinearPattern.smallInstructionCountMax)
        // Many states: a cache that is full begins anew, and finds the same.
        let states = try LinearPattern("(a|b)*a(a|b){20}c")
        let text = (0..<50_000).map { $0.nonzeroBitCount % 2 == 0 ? "a" : "b" }.joined()
        #expect(states.memoryBytes == LinearPattern.smallMemoryBytesMax)
        let end = "a" + String(repeating: "b", count: 20) + "c"
        #expect(found(states, text) == nil && found(states, text + end) == 0..<text.utf8.count + end.utf8.count)
    }
    /// Backtracking would try 2^64 ways.
    @Test func nestedRepetitionIsNoTrap() throws {
        let pattern = try LinearPattern("^(a+)+$")
        #expect(found(pattern, String(repeating: "a", count: 65_536) + "b") == nil)
    }
}
