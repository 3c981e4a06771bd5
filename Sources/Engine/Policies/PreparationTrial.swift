// A transformation or redaction that is tried before it is saved: on one body, or on a span of the log against what
// holds now. Bounded; sends nothing and keeps nothing.
//
// Invariant: examples are as many as their bound says, and no longer than theirs.
import FastPath

/// Sums of a trial over many events.
package struct PreparationSurvey: Sendable {
    package struct Example: Sendable {
        package let event: EventID
        /// What would be sent by the settings that hold now, and by the ones that are tried.
        package let before: Result<[UInt8], PreparationFailure>
        package let after: Result<[UInt8], PreparationFailure>
    }
    package static let exampleCountMax = 5
    package static let exampleBytesMax = 2048

    private let current: Preparation?
    private let tried: Preparation?
    package private(set) var eventCount = 0
    package private(set) var changed = 0
    /// `PreparationFailure.rawValue` is the index; 0 is unused.
    package private(set) var failures = [UInt64](repeating: 0, count: PreparationFailure.allCases.count + 1)
    /// `RedactionKind.rawValue` is the index.
    package private(set) var redactions = [UInt64](repeating: 0, count: RedactionKind.allCases.count)
    /// Of bodies that would be others, and of events that would fail, each within its bound.
    package private(set) var changedExamples: [Example] = []
    package private(set) var failedExamples: [Example] = []

    /// Nil = events as they came.
    package init(current: Preparation?, tried: Preparation?) {
        self.current = current
        self.tried = tried
    }
    package mutating func add(_ event: EventID, fieldLines: [UInt8], body: [UInt8]) {
        eventCount += 1
        let before = PreparationSurvey.run(current, fieldLines, body)
        let after = PreparationSurvey.run(tried, fieldLines, body)
        switch after {
        case .failure(let failure):
            failures[Int(failure.rawValue)] += 1
            if failedExamples.count < PreparationSurvey.exampleCountMax {
                failedExamples.append(example(event, before, after))
            }
        case .success(let prepared):
            for (index, count) in prepared.redactions.enumerated() { redactions[index] += count }
        }
        guard before != after else { return }
        changed += 1
        if case .success = after, changedExamples.count < PreparationSurvey.exampleCountMax {
            changedExamples.append(example(event, before, after))
        }
    }
    private func example(
        _ event: EventID, _ before: Result<PreparedEvent, PreparationFailure>,
        _ after: Result<PreparedEvent, PreparationFailure>
    ) -> Example {
        Example(event: event, before: PreparationSurvey.beginning(before), after: PreparationSurvey.beginning(after))
    }
    private static func beginning(
        _ result: Result<PreparedEvent, PreparationFailure>
    ) -> Result<[UInt8], PreparationFailure> {
        result.map { Array($0.body.prefix(exampleBytesMax)) }
    }
    private static func run(
        _ preparation: Preparation?, _ fieldLines: [UInt8], _ body: [UInt8]
    ) -> Result<PreparedEvent, PreparationFailure> {
        guard let preparation else { return .success(PreparedEvent(fieldLines: fieldLines, body: body)) }
        return Result { () throws(PreparationFailure) in
            try preparation.prepare(fieldLines: fieldLines, body: body)
        }
    }
}
