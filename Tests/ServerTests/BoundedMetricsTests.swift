// Metrics of many endpoints: a scrape stays small, and no counter goes back when others become the busiest.
import Engine
import FastPath
import Server
import Testing

@Suite struct BoundedMetricsTests {
    @Test func aScrapeOfAHundredThousandEndpointsIsAtMost256KiB() {
        let long = String(repeating: "n", count: 58)
        // Every result and reason at least once: the largest that an endpoint's samples can be.
        let counts = LaneCounts(row: LaneCounts().row.map { _ in 100_000_000_000 })
        var lanes = LaneOverview()
        for number in (99_950..<100_000).reversed() {
            var lane = LaneFigures(name: "\(long)\(number)")
            lane.tenant = String(repeating: "t", count: 64)
            lane.counts = counts
            lanes.busiest.append(lane)
        }
        lanes.rest.counts = counts
        lanes.restCount = 99_950
        #expect(lanes.busiest.count == LaneSelection.countMax)
        var status = GatewayStatus()
        for number in 0..<1000 {
            var counters: [SourceCounter: UInt64] = [:]
            for counter in SourceCounter.allCases { counters[counter] = 123_456 }
            status.sources.append(
                SourceStatus(name: "\(long)\(number)", counters: counters, rejections: [:], observations: [:]))
        }
        let families = GatewayFamilies.of(status, LaneSeries().take(lanes))
        let text = PrometheusText.of(families)
        #expect(text.utf8.count <= 256 << 10, "\(text.utf8.count)")
        #expect(text.contains("endpoint=\"\(long)99999\"") && text.contains("endpoint=\"other\""))
    }

    // MARK: counters over time

    private func take(_ series: CounterSeries, _ named: [String: UInt64], rest: UInt64) -> ([String: UInt64], UInt64) {
        let keys = named.keys.sorted()
        let taken = series.take(
            named: keys.map { ($0, [named[$0] ?? 0]) }, rest: [rest], hasOthers: rest > 0)
        return (Dictionary(uniqueKeysWithValues: zip(keys, taken.named.map { $0[0] })), taken.other[0])
    }

    @Test func withoutOthersEachShowsItsOwnCounts() {
        let series = CounterSeries()
        #expect(take(series, ["a": 5], rest: 0) == (["a": 5], 0))
        // One that is new while all have names loses nothing.
        #expect(take(series, ["a": 6, "b": 3], rest: 0) == (["a": 6, "b": 3], 0))
    }
    @Test func changingNamesMovesNoCounts() {
        let series = CounterSeries()
        #expect(take(series, ["a": 100], rest: 40) == (["a": 100], 40))
        // b, of the others, gets a name with 30 counted, 10 of which since; a loses its own with 2 more.
        #expect(take(series, ["b": 30], rest: 122) == (["b": 0], 52))
        #expect(take(series, ["b": 35], rest: 122) == (["b": 5], 52))
        // a again, 7 later: they were counted among the others.
        #expect(take(series, ["a": 109], rest: 55) == (["a": 0], 59))
        #expect(take(series, ["a": 110], rest: 55) == (["a": 1], 59))
    }
    @Test func aRemovedEndpointTakesNothingFromTheOthers() {
        let series = CounterSeries()
        #expect(take(series, ["a": 10], rest: 500).1 == 500)
        #expect(take(series, ["a": 10], rest: 100).1 == 500)
        #expect(take(series, ["a": 10], rest: 103).1 == 503)
        #expect(take(series, [:], rest: 103).1 == 503)
        #expect(take(series, [:], rest: 110).1 == 510)
    }
}
