// What the control listener's handshakes come to, as metrics.
import FastPath
import Server
import Testing

@Suite struct ControlTLSFiguresTests {
    /// By name and labels. No other test has such a listener.
    private func values() -> [String: Double] {
        var found: [String: Double] = [:]
        for family in ControlTLSFigures.families {
            for sample in family.samples {
                guard case .number(let value) = sample.value else { continue }
                found[([family.name] + sample.labels.map(\.value)).joined(separator: " ")] = value
            }
        }
        return found
    }

    @Test func eachKindAndReasonIsCounted() {
        let before = values()
        ControlTLSFigures.opened(isResumed: false)
        ControlTLSFigures.opened(isResumed: false)
        ControlTLSFigures.opened(isResumed: true)
        ControlTLSFigures.failed(.revoked)
        ControlTLSFigures.cutOff()
        let grown = values().filter { $0.value != before[$0.key] }
        let names = [
            "sluice_control_tls_cut_off_total", "sluice_control_tls_failures_total revoked",
            "sluice_control_tls_handshakes_total full", "sluice_control_tls_handshakes_total resumed",
        ]
        #expect(grown.keys.sorted() == names)
        #expect(grown.allSatisfy { name, value in value - (before[name] ?? 0) == (name.hasSuffix(" full") ? 2 : 1) })
        let reasons = TLSFailure.allCases.filter { $0 != .none }.map { "sluice_control_tls_failures_total \($0.code)" }
        #expect(reasons.allSatisfy { before[$0] != nil })
    }
}
