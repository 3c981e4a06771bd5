// Runs a load on a thread of its own and watches it: progress for a terminal, an early end when the target cannot be
// had or the secret is wrong, a clean end at the first signal.
import Engine
import FastPath
import Foundation
import Synchronization

/// Why a run ended before its time, or was pointless.
package enum LoadFailure: Error, Equatable, Sendable, CustomStringConvertible {
    case unreachable(String, why: String)
    case unauthorized(UInt64)
    case noRing(String)

    package var description: String {
        switch self {
        case .unreachable(let target, let why): "\(target) cannot be reached: \(why)"
        case .unauthorized(let count):
            "all of the first \(count) answers were 401 or 403: "
                + "the secret is not the source's, or the path is another's"
        case .noRing(let why): "io_uring is not available for the load: \(why); `sluice doctor` shows what is missing"
        }
    }
}

package final class LoadRun: Sendable {
    private let plan: LoadPlan
    private let target: String
    package let shared = LoadControl()
    private let outcome = Mutex<Result<LoadReport, UringError>?>(nil)
    /// Answers that decide that the secret is wrong.
    private static let unauthorizedCount: UInt64 = 50

    package init(_ plan: LoadPlan, target: String) {
        self.plan = plan
        self.target = target
    }
    package func stop() { shared.stop() }
    package var ledger: LoadLedger? { plan.ledger }

    /// `progress` hears a line about once a second. Returns also when the run failed: what there is, and why.
    package func run(progress: (String) -> Void) async throws -> (report: LoadReport, failure: LoadFailure?) {
        let (plan, shared) = (plan, shared)
        let thread = try LoopThread(name: "sluice-load", urgency: .prompt) {
            let result: Result<LoadReport, UringError>
            do throws(UringError) { result = .success(try runLoad(plan, shared: shared)) } catch {
                result = .failure(error)
            }
            self.outcome.withLock { $0 = result }
        }
        var failure: LoadFailure?
        var shown: UInt64 = 0
        while outcome.withLock({ $0 == nil }) {
            try? await Task.sleep(for: .milliseconds(20))
            if failure == nil, let found = early() {
                failure = found
                shared.stop()
            }
            let intervals = shared.read(.intervals)
            if intervals > shown {
                shown = intervals
                progress(line())
            }
        }
        thread.join()
        guard let result = outcome.withLock({ $0 }) else { preconditionFailure("the thread has ended") }
        switch result {
        case .failure(let error):
            throw LoadFailure.noRing("\(error.step.rawValue): \(systemText(error.errno))")
        case .success(let report):
            if failure == nil, shared.read(.answered) > 0 || shared.read(.startedAt) > 0 { failure = late(report) }
            if failure == nil, shared.read(.startedAt) == 0, !report.isInterrupted { failure = unreachable(report) }
            return (report, failure)
        }
    }
    private func early() -> LoadFailure? {
        if shared.read(.startedAt) == 0, shared.read(.connected) == 0,
            shared.read(.connectFailures) >= UInt64(plan.connectionCount)
        {
            return .unreachable(target, why: LoadRun.words(Int32(truncatingIfNeeded: shared.read(.connectErrno))))
        }
        let good = shared.read(.goodAnswered)
        if good >= LoadRun.unauthorizedCount, shared.read(.goodUnauthorized) == good { return .unauthorized(good) }
        return nil
    }
    private func late(_ report: LoadReport) -> LoadFailure? {
        let good = shared.read(.goodAnswered)
        if good > 0, shared.read(.goodUnauthorized) == good { return .unauthorized(good) }
        if shared.read(.answered) == 0, report.connectFailures > 0 { return unreachable(report) }
        return nil
    }
    private func unreachable(_ report: LoadReport) -> LoadFailure {
        .unreachable(target, why: report.connectErrno == 0 ? "no answer in time" : LoadRun.words(report.connectErrno))
    }
    private static func words(_ number: Int32) -> String {
        switch number {
        case ECONNREFUSED: "the connection is refused; nothing listens there"
        case ETIMEDOUT: "no answer in time"
        default: systemText(number)
        }
    }
    private func line() -> String {
        let now = ProcessResources.monotonicNanos
        let started = shared.read(.startedAt)
        let passed = now > started ? now - started : 0
        let left = plan.nanos > passed ? Double(plan.nanos - passed) / 1e9 : 0
        let seconds = Double(plan.intervalNanos) / 1e9
        let rate = String(format: "%.0f", Double(shared.read(.intervalAnswered)) / seconds)
        let (p50, p99) = (Double(shared.read(.intervalP50)) / 1000, Double(shared.read(.intervalP99)) / 1000)
        return "\(rate)/s  p50 \(LoadText.time(p50))  p99 \(LoadText.time(p99))  errors \(shared.read(.errors))  "
            + "backlog \(shared.read(.backlog))  \(Int(left)) s left"
    }
}
