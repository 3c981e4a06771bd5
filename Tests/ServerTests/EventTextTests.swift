// An event as a person reads it: whose it is, by the numbers that outlive names.

import Server
import Testing

@Suite struct EventTextTests {
    private func row(tenant: UInt32, source: UInt32) -> EventRow {
        EventRow(
            id: "evt_0", sequence: 1, source: "github", type: "push", receivedAt: "2026-01-01T00:00:00.000Z",
            bodyBytes: 2, tenantNumber: tenant, sourceNumber: source)
    }
    @Test func detailNamesTheNumbersOfTenantAndSource() {
        let detail = EventDetail(
            event: row(tenant: 42, source: 7), method: "POST", target: "/in/github", headers: [],
            body: Array("{}".utf8), deliveries: [])
        #expect(detail.text.split(separator: "\n").contains("tenant 42, source 7"))
    }
    @Test func detailNamesTheClientsCertificate() {
        var event = row(tenant: 1, source: 7)
        event.clientSubject = "CN=billing"
        let detail = EventDetail(event: event, method: "POST", target: "/", headers: [], body: [], deliveries: [])
        #expect(detail.text.split(separator: "\n").contains("client certificate \"CN=billing\""))
    }
    @Test func sourceWithoutANumberHasNone() {
        #expect(row(tenant: 1, source: 0).identityLine == "tenant 1")
    }
}
