// Conditions of the gateway that operators are told of once when they begin and once when they end. Passive: what is
// known and the time go in, what has begun or ended comes out. Each ends at another mark than it begins at, so that one
// that stands at its threshold is not told again and again.
//
// Invariant: of a condition a beginning and an end follow each other. What holds at a start is told then: nothing of
// this outlives the process.

import FastPath

package enum Condition: Hashable, Sendable {
    case refusing(SourceID)
    case spaceLow
    case lagging(EndpointID)
    /// Listener and file.
    case certificate(String, String)
}

/// What is said of it beside its name.
package enum ConditionFigures: Equatable, Sendable {
    case refused(Int, of: Int)
    case free(bytes: Int, least: Int)
    case oldest(millis: Int64)
    case expires(seconds: Int64)
}

package struct ConditionChange: Equatable, Sendable {
    package var condition: Condition
    package var hasBegun: Bool
    package var figures: ConditionFigures
    package var sinceMillis: Int64
    package var atMillis: Int64
    package init(
        _ condition: Condition, hasBegun: Bool, _ figures: ConditionFigures, sinceMillis: Int64, atMillis: Int64
    ) {
        self.condition = condition
        self.hasBegun = hasBegun
        self.figures = figures
        self.sinceMillis = sinceMillis
        self.atMillis = atMillis
    }
}

/// What is known at a moment.
package struct ConditionReading: Sendable {
    /// Since the start of the process.
    package struct Requests: Sendable {
        package var refused: UInt64
        /// Refused ones among them.
        package var all: UInt64
        package init(refused: UInt64, all: UInt64) {
            self.refused = refused
            self.all = all
        }
    }
    package var nowMillis: Int64
    package var requests: [SourceID: Requests] = [:]
    /// Nil: not known now.
    package var freeBytes: Int?
    /// Age of the oldest event that was not given to an endpoint that takes some now; 0 where none waits.
    package var oldest: [EndpointID: Int64] = [:]
    package var certificates: [ListenerCertificate] = []
    package init(nowMillis: Int64) { self.nowMillis = nowMillis }
}

package struct ConditionWatch {
    private static let bucketMillis: Int64 = 10_000
    private static let bucketCount = 6
    private let settings: ConditionSettings
    private var since: [Condition: Int64] = [:]
    /// Only of sources that were refused something within the last minute.
    private var windows: [SourceID: Window] = [:]
    private var seen: [SourceID: ConditionReading.Requests] = [:]

    /// The last minute, in buckets of ten seconds.
    private struct Window {
        var buckets = [(refused: Int, all: Int)](repeating: (0, 0), count: ConditionWatch.bucketCount)
        var last: Int64
        mutating func move(to bucket: Int64) {
            guard bucket > last else { return }
            for step in 0..<min(bucket - last, Int64(buckets.count)) {
                buckets[Int((bucket - step) % Int64(buckets.count))] = (0, 0)
            }
            last = bucket
        }
        mutating func add(refused: Int, all: Int) {
            buckets[Int(last % Int64(buckets.count))].refused += refused
            buckets[Int(last % Int64(buckets.count))].all += all
        }
        var sum: (refused: Int, all: Int) {
            buckets.reduce((0, 0)) { ($0.0 + $1.refused, $0.1 + $1.all) }
        }
    }

    package init(_ settings: ConditionSettings) { self.settings = settings }
    /// Endpoints that are said to lag.
    package var lagging: [EndpointID] {
        since.keys.compactMap { if case .lagging(let id) = $0 { id } else { nil } }.sorted()
    }

    package mutating func take(_ reading: ConditionReading) -> [ConditionChange] {
        var changes: [ConditionChange] = []
        takeRequests(reading, &changes)
        takeSpace(reading, &changes)
        takeLag(reading, &changes)
        takeCertificates(reading, &changes)
        return changes
    }
    /// `isBad` and `isGood` are not both true; where neither is, nothing changes.
    private mutating func judge(
        _ condition: Condition, isBad: Bool, isGood: Bool, _ figures: ConditionFigures, _ now: Int64,
        _ changes: inout [ConditionChange]
    ) {
        if let begun = since[condition] {
            guard isGood else { return }
            since[condition] = nil
            changes.append(ConditionChange(condition, hasBegun: false, figures, sinceMillis: begun, atMillis: now))
        } else if isBad {
            since[condition] = now
            changes.append(ConditionChange(condition, hasBegun: true, figures, sinceMillis: now, atMillis: now))
        }
    }

    private mutating func takeRequests(_ reading: ConditionReading, _ changes: inout [ConditionChange]) {
        let bucket = reading.nowMillis / ConditionWatch.bucketMillis
        for (source, now) in reading.requests {
            let before = seen.updateValue(now, forKey: source) ?? ConditionReading.Requests(refused: 0, all: 0)
            let (refused, all) = (Int(now.refused &- before.refused), Int(now.all &- before.all))
            guard windows[source] != nil || refused > 0 else { continue }
            var window = windows[source] ?? Window(last: bucket)
            window.move(to: bucket)
            window.add(refused: refused, all: all)
            windows[source] = window
        }
        // Of one that is gone nothing comes any more.
        for source in windows.keys where reading.requests[source] == nil {
            windows[source]?.move(to: bucket)
        }
        for (source, window) in windows.sorted(by: { $0.key < $1.key }) {
            let (refused, all) = window.sum
            let isBad = refused >= settings.refusedCountMin && refused * 100 >= all * settings.refusedPercent
            judge(
                .refusing(source), isBad: isBad, isGood: refused * 200 < all * settings.refusedPercent || refused == 0,
                .refused(refused, of: all), reading.nowMillis, &changes)
            if refused == 0 { windows[source] = nil }
        }
    }
    private mutating func takeSpace(_ reading: ConditionReading, _ changes: inout [ConditionChange]) {
        guard let free = reading.freeBytes, settings.freeBytesMin > 0 else { return }
        judge(
            .spaceLow, isBad: free < settings.freeBytesMin,
            isGood: free >= settings.freeBytesMin + settings.freeBytesMin / 4,
            .free(bytes: free, least: settings.freeBytesMin), reading.nowMillis, &changes)
    }
    private mutating func takeLag(_ reading: ConditionReading, _ changes: inout [ConditionChange]) {
        let known = Set(lagging).union(reading.oldest.keys)
        for endpoint in known.sorted() {
            // One that is not there any more, or takes nothing, lags no more.
            let age = reading.oldest[endpoint] ?? 0
            judge(
                .lagging(endpoint), isBad: age >= settings.laggingMillis, isGood: age < settings.laggingMillis / 2,
                .oldest(millis: age), reading.nowMillis, &changes)
        }
    }
    private mutating func takeCertificates(_ reading: ConditionReading, _ changes: inout [ConditionChange]) {
        let least = Int64(settings.certificateDays) * 86_400
        var named: Set<Condition> = []
        for one in reading.certificates {
            let condition = Condition.certificate(one.listener, one.file)
            named.insert(condition)
            let left = one.expiresAt - reading.nowMillis / 1000
            judge(
                condition, isBad: left < least, isGood: left >= least + 3600, .expires(seconds: one.expiresAt),
                reading.nowMillis, &changes)
        }
        for condition in since.keys {
            guard case .certificate = condition, !named.contains(condition) else { continue }
            judge(condition, isBad: false, isGood: true, .expires(seconds: 0), reading.nowMillis, &changes)
        }
    }
}
