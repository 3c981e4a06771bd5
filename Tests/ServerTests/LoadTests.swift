// The load command's texts: profiles, mixes, destinations, the page; and the bad sink's.
import Engine
import FastPath
import LoadGenerator
import Server
import Testing

@Suite struct LoadTextTests {
    @Test func profilesAreReadAndNonsenseIsNot() {
        #expect(LoadProfileText.parse("500") == .constant(500))
        #expect(LoadProfileText.parse("ramp:1-9") == .ramp(from: 1, to: 9))
        #expect(LoadProfileText.parse("sine:10-50/10s") == .sine(low: 10, high: 50, periodSeconds: 10))
        #expect(
            LoadProfileText.parse("burst:5s,500ms@100") == .burst(silenceSeconds: 5, stormSeconds: 0.5, rate: 100))
        for text in ["", "saw:1-2", "ramp:5", "ramp:0-0", "step:1@", "sine:9-1/1s", "burst:1s", "-5", "nan", "1e99"] {
            #expect(LoadProfileText.parse(text) == nil, "\(text)")
        }
    }
    @Test func aMixSaysWhatIsWrongAndWhere() throws {
        let good = "shares: {stale: 0.1}\ntraffic:\n  - {provider: slack, secret: s, size: 1KiB-2KiB, weight: 2}\n"
        let entries = try LoadMixFile(text: good, name: "m").entries
        #expect(entries.count == 1 && entries[0].name == "slack" && entries[0].sizes == .uniform(1024, 2048))
        #expect(entries[0].shares.stale == 0.1 && !entries[0].hasOwnStale)
        let calls = "traffic:\n  - {call: GET /a?b=1, weight: 3}\n  - {name: c, call: PUT /x, body: '{\"n\":1}'}\n"
        let read = try LoadMixFile(text: calls, name: "m").entries
        #expect(read.map(\.name) == ["GET /a?b=1", "c"] && read[0].weight == 3)
        #expect(read.map(\.call) == [LoadCall("GET /a?b=1"), LoadCall(method: "PUT", path: "/x", body: #"{"n":1}"#)])
        for (text, part) in [
            ("traffic: []", "traffic"), ("traffic:\n  - {secret: s}", "provider"), ("x: 1", "unknown key `x`"),
            ("traffic:\n  - {provider: a, size: 9-1}", "size"), ("traffic:\n  - {provider: a, weight: x}", "weight"),
            ("traffic:\n  - {provider: a}\n  - {provider: a}", "taken"),
            ("shares: {stale: 2}\ntraffic: [{provider: a}]", "1"), ("traffic: [{call: nothing}]", "METHOD"),
            ("traffic: [{call: GET /, provider: a}]", "provider"), ("traffic: [{provider: a, body: x}]", "call"),
        ] {
            #expect(throws: LoadMixProblem.self, "\(part)") { try LoadMixFile(text: text, name: "m") }
        }
    }
    @Test func whatBelongsToOthersNeedsAWord() throws {
        #expect(throws: LoadDestination.Problem.self) { try LoadDestination("http://8.8.8.8/x", isOwned: false) }
        #expect(throws: LoadDestination.Problem.self) {
            try LoadDestination("http://169.254.169.254/x", isOwned: false)
        }
        #expect(try LoadDestination("http://8.8.8.8/x", isOwned: true).target.target == "/x")
        for url in ["http://127.0.0.1:9000", "http://[::1]:9000/x", "http://10.0.0.1/x", "unix:/tmp/s:/in/x"] {
            #expect(throws: Never.self, "\(url)") { try LoadDestination(url, isOwned: false) }
        }
    }
    private func interval(_ start: Double, _ seconds: Double) -> LoadInterval {
        var interval = LoadInterval()
        interval.start = start
        interval.seconds = seconds
        return interval
    }
    @Test func theSlotThatTheEndCutsShortIsNotDrawn() {
        let slots = [interval(0, 1), interval(1, 1), interval(2, 1)]
        #expect(LoadPage.whole(slots, until: 3).count == 3)
        #expect(LoadPage.whole(slots + [interval(3, 0.4)], until: 3.4).count == 3)
        // It ends after the last request was sent.
        #expect(LoadPage.whole(slots + [interval(3, 1)], until: 3.3).count == 3)
        #expect(LoadPage.whole([interval(0, 0.2)], until: 0.2).count == 1)
    }
    @Test func aPageSaysWhenWhereAndHowAndMarksTheWarmUp() {
        var summary = LoadSummary()
        summary.date = "2026-01-02T03:04:05Z"
        summary.machine = "x86_64, a processor, 2 processors"
        summary.command = "sluice load --rate 5"
        summary.warmupSeconds = 1
        summary.measuredSeconds = 2
        summary.intervals = [interval(0, 1), interval(1, 1), interval(2, 1)]
        let page = LoadPage.of(summary, curve: [(0.5, 10), (1, 20)])
        for text in [summary.date, summary.machine, summary.command, ">warm-up<"] { #expect(page.contains(text)) }
        summary.warmupSeconds = 0
        #expect(!LoadPage.of(summary, curve: [(0.5, 10)]).contains(">warm-up<"))
    }
    @Test func aReportsCommandLineHasNoSecret() {
        let shown = LoadCommandLine.shown([
            "/usr/bin/sluice", "load", "--secret", "geheim", "--secret=geheim", "--secret", "file:/run/s", "--header",
            "X-Key: geheim", "--url", "http://h/x?a=1&b=2", "--type", "it's",
        ])
        #expect(
            shown == "sluice load --secret … --secret=… --secret file:/run/s --header 'X-Key: …' "
                + #"--url 'http://h/x?a=1&b=2' --type 'it'\''s'"#)
    }
    @Test func aPageNeedsNoNetworkAndEscapes() {
        var summary = LoadSummary()
        summary.target = "http://h/<x>"
        let page = LoadPage.of(summary, curve: [(0.5, 10), (1, 20)])
        #expect(page.contains("&lt;x&gt;") && !page.contains("<x>") && !page.contains("src="))
    }
}

@Suite struct SinkBehaviourTests {
    @Test func delaysAreReadAndNonsenseIsNot() {
        #expect(SinkDelay("200ms") == .fixed(0.2) && SinkDelay("uniform:1s-2s") == .uniform(1, 2))
        #expect(SinkDelay("bimodal:5ms,100ms@0.1") == .bimodal(0.005, 0.1, share: 0.1))
        for text in ["", "often", "uniform:2s-1s", "bimodal:1s@2", "lognormal:1s", "x:1s"] {
            #expect(SinkDelay(text) == nil, "\(text)")
        }
    }
    @Test func aStallHoldsEveryRequestOfItsTimeToItsEnd() {
        var behaviour = SinkBehaviour()
        behaviour.stall = SinkStall("1s@5s")
        var random = LoadRandom(state: 1)
        #expect(behaviour.decide(elapsed: 4.9, using: &random).seconds == 0)
        #expect(abs(behaviour.decide(elapsed: 5.25, using: &random).seconds - 0.75) < 1e-9)
        #expect(behaviour.decide(elapsed: 6, using: &random).seconds == 0)
    }
    @Test func statusesComeInTheirShares() throws {
        let statuses = try #require(SinkStatuses("200:0.9,503:0.1"))
        #expect(statuses.status(0.5) == 200 && statuses.status(0.95) == 503)
        #expect(SinkStatuses("410")?.status(0.3) == 410)
        for text in ["", "99", "200:x", "200:0", "200:1:1"] { #expect(SinkStatuses(text) == nil, "\(text)") }
    }
    @Test func flappingIsUpThenDown() {
        var behaviour = SinkBehaviour()
        behaviour.flapping = SinkFlapping("10s,2s")
        var random = LoadRandom(state: 1)
        #expect(!behaviour.decide(elapsed: 9.9, using: &random).resets)
        #expect(behaviour.decide(elapsed: 11, using: &random).resets)
        #expect(!behaviour.decide(elapsed: 12.5, using: &random).resets)
    }
}
