// Keys of several places: what counts together, what gives no identity, and that no two lists of values are one key.
import FastPath
import TestSupport
import Testing

@Suite struct SelectedKeyTests {
    private let memory = CompiledMemory()

    private func key(
        _ spellings: [String], _ headers: [(String, String)] = [], _ body: String = "", target: String = "/in/x"
    ) throws -> String? {
        let selectors = try EventSelectors(eventID: [], eventType: [], dedupKey: spellings, in: memory)
        return GuardedRequest(headers, body: Array(body.utf8), target: target).select(selectors).dedupKey
    }

    @Test func partsCountTogether() throws {
        let spelling = ["header:ce-source + header:ce-id"]
        func key(_ source: String, _ id: String) throws -> String? {
            try self.key(spelling, [("ce-source", source), ("ce-id", id)])
        }
        #expect(try key("/a", "1") == "2:/a,1:1,")
        #expect(try Set([key("/a", "1"), key("/a", "2"), key("/b", "1"), key("/a1", "1")]).count == 4)
    }

    @Test func anAlternativeCountsOnlyWithAllOfItsParts() throws {
        let spelling = ["header:a + header:b", "header:c"]
        #expect(try key(spelling, [("a", "1"), ("c", "3")]) == "1:3,")
        #expect(try key(spelling, [("a", "1")]) == nil)
        #expect(try key(spelling, [("a", "1"), ("b", ""), ("c", "3")]) == "1:3,")
        #expect(try key(["header:a + header:b"], [("a", "1")]) == nil)
        #expect(try key([], [("a", "1")], "body") == nil)
    }

    @Test func noCutOfTheSameBytesIsAnotherKey() throws {
        var random = SeededRandom(3)
        var seen: [String: [String]] = [:]
        let letters = Array("1,:a")
        for _ in 0..<4000 {
            let values = (0..<2).map { _ in
                String((0...random.next() % 4).map { _ in letters[Int(random.next() % 4)] })
            }
            let text = try #require(try key(["header:a + header:b"], [("a", values[0]), ("b", values[1])]))
            #expect(seen[text] == nil || seen[text] == values)
            seen[text] = values
            #expect(DedupKeyText.parts(of: Array(text.utf8)) == values.map { Array($0.utf8) })
        }
    }

    @Test func methodTargetAndQueryAreContent() throws {
        let target = "/in/x?objectId=1&b=%41"
        #expect(try key(["method + target"], target: target) == "4:POST,22:\(target),")
        #expect(try key(["query:objectId + query:b"], target: target) == "1:1,1:A,")
        #expect(try key(["target"], target: target) == target)
    }

    @Test func theBodyAmongOthersIsItsHash() throws {
        let hash = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        #expect(try key(["method + body"], [], "hello") == "4:POST,64:\(hash),")
        #expect(try key(["method + body"], [], "") == nil)
        #expect(try key(["body"], [], "hello") == "hello")
    }

    @Test func partsAreDecodedBeforeTheyAreJoined() throws {
        let spelling = ["json:$.source + json:$.id"]
        let plain = try key(spelling, [], #"{"source":"/a","id":"1"}"#)
        #expect(try key(spelling, [], #"{"source":"\/a","id":"\u0031"}"#) == plain)
        #expect(plain == "2:/a,1:1,")
    }

    @Test func refusesMorePartsThanItTakes() throws {
        #expect(throws: SelectorError.self) { try key([(0..<5).map { "header:h\($0)" }.joined(separator: " + ")]) }
        #expect(throws: SelectorError.self) { try key(["header:a + "]) }
        #expect(throws: SelectorError.self) { try key(["header:a + nonsense"]) }
        // The sign inside a path's brackets joins nothing.
        #expect(try key(["json:$['a + b']"], [], #"{"a + b":1}"#) == "1")
    }

    @Test func showsAKeyToAPerson() {
        let key = Array("3:abc,2:12,".utf8)
        #expect(DedupKeyText.shown(key) == "abc 12" && DedupKeyText.shown(Array("evt_1".utf8)) == "evt_1")
        for (id, isNamed) in [("abc", true), ("12", true), ("abc 12", true), ("ab", false), ("3:abc,2:12,", true)] {
            #expect(DedupKeyText.names(Array(id.utf8), in: key) == isNamed, "\(id)")
        }
        for text in ["", "1", "1:", "1:a", "2:a,", "1:ab", "9999999999:a,", ":a,"] {
            #expect(DedupKeyText.parts(of: Array(text.utf8)) == nil, "\(text)")
        }
    }

    @Test func aLoopKeepsWhatHasNoIdentityAndDropsWhatIsTheSame() throws {
        let folder = TemporaryFolder()
        let harness = try IngestHarness(
            folder.path,
            [
                HarnessSource(name: "none", check: .none, dedupKey: []),
                HarnessSource(name: "body", check: .none, dedupKey: ["body"]),
                HarnessSource(name: "both", check: .none, dedupKey: ["query:source + query:id"]),
            ])
        let client = IngestClient(port: harness.port)
        var kept: [String] = []
        for target in [
            "none", "none", "body", "body", "body?a=1", "both?source=a&id=1", "both?source=a&id=2",
            "both?source=b&id=1", "both?id=%31&source=a", "both?id=1", "both?id=1",
        ] {
            client.send(IngestClient.request(target, body: "x"))
            let response = try #require(client.response())
            #expect(response.status == 202)
            if response.body.contains("accepted") { kept.append(target) }
        }
        #expect(
            kept == [
                "none", "none", "body", "both?source=a&id=1", "both?source=a&id=2", "both?source=b&id=1", "both?id=1",
                "both?id=1",
            ])
        #expect(try harness.finish().count == kept.count)
    }
}
