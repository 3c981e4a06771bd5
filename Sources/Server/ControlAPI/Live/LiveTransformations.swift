// Transformations tried on a running gateway's events: one, or the newest of a span, in bounded work.
//
// Invariant: an event that is another tenant's than the caller's or the endpoint's, or whose content is gone, is not
// found, and part of no sum.
import Engine
import FastPath
import Foundation

final class LiveTransformations: TransformationTrials {
    /// A call looks at no more records than this, and for no longer.
    private static let recordsReadMax: UInt64 = 100_000
    private static let nanosMax: UInt64 = 5_000_000_000
    /// So many records, then a pause, so that a trial never takes a core from delivery.
    private static let paceCount: UInt64 = 500
    private static let paceSeconds = 0.001
    private let gateway: Gateway

    init(gateway: Gateway) { self.gateway = gateway }

    func test(_ test: TransformationTest, _ caller: Caller) throws -> TransformationTestAnswer {
        let lookup = try RegistryLookup(gateway, caller)
        let policies = try self.policies(of: test.endpoint, test.redact, test.transform, lookup).tried
        let (lines, body) = try subject(test, lookup)
        guard let preparation = Preparation(policies) else {
            return answer(.success(PreparedEvent(fieldLines: lines, body: body)), body)
        }
        return answer(
            Result { () throws(PreparationFailure) in try preparation.prepare(fieldLines: lines, body: body) }, body)
    }
    private func subject(
        _ test: TransformationTest, _ lookup: RegistryLookup
    ) throws -> (fieldLines: [UInt8], body: [UInt8]) {
        switch (test.event, test.body) {
        case (nil, let body?):
            let type = test.contentType ?? "application/json"
            guard type.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) else {
                throw ControlError.invalid([FieldProblem(path: "content_type", reason: "must be visible ASCII")])
            }
            return (Array("Content-Type: \(type)\r\n".utf8), Array(body.utf8))
        case (let event?, nil): return try stored(event, of: test.endpoint, lookup)
        default:
            throw ControlError.invalid([FieldProblem(path: "body", reason: "either `event` or `body` is needed")])
        }
    }
    /// Whose events are tried: the endpoint's tenant's, who alone gets them sent; without one the caller's.
    private func tenant(of endpoint: String?, _ lookup: RegistryLookup) throws -> TenantID? {
        try endpoint.map { try lookup.endpoint($0).tenant } ?? lookup.scope
    }
    private func stored(
        _ id: String, of endpoint: String?, _ lookup: RegistryLookup
    ) throws -> (fieldLines: [UInt8], body: [UInt8]) {
        let access = try gateway.accessNow()
        return try access.withEvent(id, of: try tenant(of: endpoint, lookup)) { _, record in
            guard !access.isGone(record) else { throw ControlError.noSuchEvent(id) }
            return (record.fieldLines.array, record.body.array)
        }
    }
    private func answer(
        _ result: Result<PreparedEvent, PreparationFailure>, _ received: [UInt8]
    ) -> TransformationTestAnswer {
        switch result {
        case .failure(let failure):
            var answer = TransformationTestAnswer(result: failure.name)
            answer.reason = failure.explanation
            return answer
        case .success(let prepared):
            var answer = TransformationTestAnswer(result: "ok")
            answer.changed = prepared.body != received
            answer.body = String(validating: prepared.body, as: UTF8.self)
            if answer.body == nil { answer.bodyBase64 = TextEncoding.base64(prepared.body) }
            answer.redactions = LiveTransformations.named(prepared.redactions)
            return answer
        }
    }
    private static func named(_ counts: [UInt64]) -> [String: Int] {
        var named: [String: Int] = [:]
        for kind in RedactionKind.allCases where Int(kind.rawValue) < counts.count && counts[Int(kind.rawValue)] > 0 {
            named[kind.name] = Int(clamping: counts[Int(kind.rawValue)])
        }
        return named
    }

    /// What the endpoint has now, and what is tried: refused by its place when it is wrong.
    private func policies(
        of endpoint: String?, _ redact: RedactResource?, _ transform: [TransformStepResource]?, _ lookup: RegistryLookup
    ) throws -> (current: EndpointPolicies, tried: EndpointPolicies) {
        var errors = TransformStepResource.errors(transform ?? [], at: "")
        let current = try endpoint.map { try lookup.endpoint($0).settings.policies } ?? EndpointPolicies()
        var tried = current
        if let redact {
            tried.redaction = redact.settings
            if redact.keepsKey { tried.redaction?.key = current.redaction?.key }
        }
        if let transform { tried.transform = transform.compactMap(\.step) }
        errors += tried.preparationIssues(at: FieldPath()).map {
            FieldProblem(path: $0.path.description, reason: $0.reason)
        }
        guard errors.isEmpty else { throw ControlError.invalid(errors) }
        return (current, tried)
    }

    // MARK: a span of the log

    func survey(_ survey: TransformationSurvey, _ caller: Caller) throws -> TransformationSurveyAnswer {
        let lookup = try RegistryLookup(gateway, caller)
        let (current, tried) = try policies(of: survey.endpoint, survey.redact, survey.transform, lookup)
        var search = EventSearch()
        search.source = survey.source
        search.type = survey.type
        let from = survey.from.flatMap { TimeText.parse($0) } ?? 0
        let until = survey.until.flatMap { TimeText.parse($0) } ?? .max
        search.received = from < until ? from..<until : 0..<0
        let access = try gateway.accessNow()
        var sums = PreparationSurvey(current: Preparation(current), tried: Preparation(tried))
        let isComplete = try walk(
            access, EventFilter(search, tenant: try tenant(of: survey.endpoint, lookup)),
            limit: survey.limit ?? TransformationSurvey.limitDefault, &sums)
        if sums.eventCount == 0, let name = survey.source, !PublishSource.all.contains(name) {
            _ = try lookup.source(name)
        }
        return answer(sums, isComplete: isComplete)
    }
    /// In windows that grow towards the past, so that the newest are tried first. False when a bound was met before all
    /// that match had been.
    private func walk(
        _ access: GatewayAccess, _ filter: EventFilter, limit: Int, _ sums: inout PreparationSurvey
    ) throws -> Bool {
        let end = ProcessResources.monotonicNanos + LiveTransformations.nanosMax
        let tail = access.tail.snapshot
        let readMax = LiveTransformations.recordsReadMax
        let floor = tail.sequence > readMax ? tail.sequence - readMax + 1 : 1
        var last = tail.sequence
        var window = UInt64(limit)
        while last >= floor, last > 0 {
            let first = last - floor >= window ? last - window + 1 : floor
            var bound = tail
            bound.sequence = last
            var reader = access.makeReader(from: first)
            reading: while true {
                switch reader.next(through: bound) {
                case .record(let record, _):
                    if record.sequence % LiveTransformations.paceCount == 0 {
                        Thread.sleep(forTimeInterval: LiveTransformations.paceSeconds)
                    }
                    guard record.sequence >= first, !record.isRequestOfBatch, filter.takes(record),
                        !access.isGone(record)
                    else { continue }
                    guard sums.eventCount < limit, ProcessResources.monotonicNanos < end else { return false }
                    sums.add(
                        EventID(logIdentity: access.identity, sequence: record.sequence),
                        fieldLines: record.fieldLines.array, body: record.body.array)
                case .damaged, .missing: continue
                case .caughtUp: break reading
                case .failed: throw ControlError.logUnavailable
                }
            }
            guard first > 1 else { return true }
            last = first - 1
            window *= 8
        }
        return floor == 1
    }
    private func answer(_ sums: PreparationSurvey, isComplete: Bool) -> TransformationSurveyAnswer {
        var answer = TransformationSurveyAnswer()
        answer.events = sums.eventCount
        answer.changed = sums.changed
        for failure in PreparationFailure.allCases where sums.failures[Int(failure.rawValue)] > 0 {
            answer.failed[failure.name] = Int(clamping: sums.failures[Int(failure.rawValue)])
        }
        answer.redactions = LiveTransformations.named(sums.redactions)
        answer.isComplete = isComplete
        answer.examples = (sums.changedExamples + sums.failedExamples).map { example in
            func text(_ result: Result<[UInt8], PreparationFailure>) -> String? {
                (try? result.get()).map { String(decoding: $0, as: UTF8.self) }
            }
            var shown = TransformationExample(event: example.event.text, result: "ok")
            if case .failure(let failure) = example.after { shown.result = failure.name }
            (shown.before, shown.after) = (text(example.before), text(example.after))
            return shown
        }
        return answer
    }
}
