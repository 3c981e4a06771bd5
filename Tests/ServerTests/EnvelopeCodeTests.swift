// The two ports of the contract speak of one thing in one way.
import FastPath
import Server
import Testing

struct EnvelopeCodeTests {
    @Test func bothPortsHaveTheSameCodesWithTheSameStatuses() {
        for fault in EnvelopeFault.allCases {
            #expect(EdgeCode(rawValue: "\(fault.words.code)")?.status == fault.status, "\(fault)")
        }
        for status in [401, 403, 404, 405, 409, 413, 415, 422, 429, 503] {
            let words = EnvelopeFault.code(status, "")
            #expect(EdgeCode(rawValue: "\(words.code)")?.status == status, "\(status)")
        }
    }
}
