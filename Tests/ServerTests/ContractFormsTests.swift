// Bodies of the contract edge: what is taken, and that every mistake is named.
import Engine
import Foundation
import Server
import Testing

@Suite struct ContractFormsTests {
    private static let tenant = FakeGateway.contractTenant

    private func fields(_ body: () throws -> Void) -> [String] {
        do {
            try body()
            return []
        } catch let refusal as EdgeRefusal {
            return refusal.details.isEmpty ? [refusal.code.rawValue] : refusal.details.map(\.path)
        } catch { return ["\(error)"] }
    }
    private func entry(_ text: String, isNew: Bool = true) -> [String] {
        fields {
            var settings = EndpointConfiguration()
            try ContractEntryChange(Array(text.utf8), isNew: isNew, tenant: ContractFormsTests.tenant)
                .apply(to: &settings)
        }
    }
    private func event(_ text: String) -> [String] {
        fields { _ = try ContractIngest(Array(text.utf8), tenant: ContractFormsTests.tenant) }
    }

    @Test func anEntryNeedsATargetAndAType() {
        #expect(entry("{}") == ["target_url", "event_type"])
        #expect(entry("{\"target_url\":\"http://h/\",\"event_type\":\"a.*\"}").isEmpty)
        #expect(entry("{\"target_url\":\"http://h/\",\"event_types\":[],\"event_type\":null}") == ["event_types"])
        #expect(entry("[]") == [""] && entry("{") == ["malformed_json"] && entry("") == ["malformed_json"])
        #expect(entry("{}", isNew: false).isEmpty)
    }
    @Test(arguments: [
        ("\"colour\":\"red\"", "colour"), ("\"event_types\":[\"a b\"]", "event_types"),
        ("\"active\":\"yes\"", "active"),
        ("\"secret\":\"short\"", "secret"), ("\"retry_policy\":{\"max_retries\":21}", "retry_policy.max_retries"),
        ("\"retry_policy\":{\"initial_delay_ms\":49}", "retry_policy.initial_delay_ms"),
        ("\"retry_policy\":{\"speed\":1}", "retry_policy.speed"), ("\"webhook_id\":\"x\"", "webhook_id"),
        ("\"retry_policy\":{\"initial_delay_ms\":500000}", "retry_policy.max_delay_ms"),
        ("\"retry_policy\":{\"backoff\":\"linear\"}", "retry_policy.backoff"), ("\"secret_ref\":\"x\"", "secret_ref"),
        ("\"delivery_policy\":{\"timeout_ms\":99}", "delivery_policy.timeout_ms"),
        ("\"delivery_policy\":{\"failover_url\":7}", "delivery_policy.failover_url"),
        ("\"mtls_cert_ref\":\"\"", "mtls_cert_ref"), ("\"rate_limit_bucket\":7", "rate_limit_bucket"),
        ("\"rate_limit_bucket\":{\"capacity\":0}", "rate_limit_bucket.capacity"),
    ])
    func aMistakeOfAnEntryIsNamed(_ member: String, _ field: String) {
        let types = member.contains("event_types") ? "" : ",\"event_type\":\"a\""
        #expect(entry("{\"target_url\":\"http://h/\"\(types),\(member)}") == [field])
    }
    @Test func aCertificateStaysIsChangedOrIsTakenAway() throws {
        var settings = EndpointConfiguration()
        func change(_ text: String) throws -> JSONValue? {
            try ContractEntryChange(Array(text.utf8), isNew: false, tenant: ContractFormsTests.tenant)
                .apply(to: &settings)
            let view = ContractEntryView(id: "i", tenant: "t", settings: settings, createdMillis: 0, updatedMillis: 0)
            guard case .object(let members) = view.json() else { return nil }
            return members["mtls_cert_ref"]
        }
        #expect(try change("{}") == .null)
        #expect(try change("{\"mtls_cert_ref\":\"partner\"}") == "partner")
        #expect(try change("{\"name\":\"n\"}") == "partner")
        #expect(settings.extras.contract?.value.text.contains("certificate partner") == true)
        #expect(try change("{\"mtls_cert_ref\":null}") == .null)
    }
    @Test func anotherTenantsIDIsAMismatch() {
        let id = "\"tenant_id\":\"11111111-2222-4333-8444-555555555555\""
        #expect(entry("{\"target_url\":\"http://h/\",\"event_type\":\"a\",\(id)}") == ["tenant_mismatch"])
        #expect(entry("{\(id)}", isNew: false) == ["tenant_id"], "in a change it is fixed")
        let rest = "\"source\":\"s\",\"category\":\"c\",\"severity\":\"low\",\"event_type\":\"a\""
        #expect(event("{\(rest),\(id)}") == ["tenant_mismatch"])
        #expect(event("{\(rest),\"tenant_id\":\"\(ContractFormsTests.tenant.uppercased())\"}").isEmpty)
    }
    @Test func aChangeKeepsWhatItDoesNotName() throws {
        var settings = EndpointConfiguration()
        let made = "{\"target_url\":\"http://h/\",\"event_type\":\"a\",\"event_types\":[\"b\",\"a\"],"
            + "\"retry_policy\":{\"max_retries\":2,\"jitter\":false},\"schema_version\":\"3\"}"
        try ContractEntryChange(Array(made.utf8), isNew: true, tenant: "").apply(to: &settings)
        #expect(settings.types == ["a", "b"])
        let change = "{\"name\":\"after\",\"retry_policy\":{\"max_retries\":4}}"
        try ContractEntryChange(Array(change.utf8), isNew: false, tenant: "").apply(to: &settings)
        let entry = try #require(settings.extras.contract?.value)
        #expect(entry.retry.retries == 4 && !entry.retry.hasJitter && entry.schemaVersion == "3")
        #expect(settings.extras.about == "after" && settings.url == "http://h/" && settings.types == ["a", "b"])
    }
    @Test func anEventNamesEveryFieldThatIsMissing() {
        #expect(event("{}") == ["source", "severity", "event_type", "category"])
        let good = ["\"source\":\"s\"", "\"category\":\"c\"", "\"severity\":\"high\"", "\"event_type\":\"a.b\""]
        #expect(event("{\(good.joined(separator: ","))}").isEmpty)
        for (member, field) in [
            ("\"payload\":[]", "payload"), ("\"detected_at\":\"yesterday\"", "detected_at"), ("\"colour\":1", "colour"),
        ] {
            #expect(event("{\(good.joined(separator: ",")),\(member)}") == [field])
        }
        let marks = String(repeating: "\u{301}", count: 300)
        #expect(event("{\(good.joined(separator: ",")),\"cluster_id\":\"e\(marks)\"}") == ["cluster_id"])
        #expect(event("{\"source\":\"\",\"category\":3,\"severity\":\"HIGH\",\"event_type\":\"a b\"}")
            == ["source", "severity", "event_type", "category"])
    }
    @Test func aTenantsDryRunsLeaveSeatsToOthers() {
        let seats = DryRunSeats()
        func take(_ number: UInt32) -> Bool { seats.take(TenantID(number)) }
        for _ in 0..<DryRunSeats.tenantCountMax {
            #expect(take(1))
        }
        #expect(!take(1) && take(2))
        seats.leave(TenantID(1))
        #expect(take(1) && !take(1))
        var count = DryRunSeats.tenantCountMax + 1
        for number in 3...UInt32(DryRunSeats.countMax + 2) where take(number) { count += 1 }
        #expect(count == DryRunSeats.countMax && !take(100))
    }
    @Test func aPayloadGoesOnByteByByte() throws {
        let payload = "{ \"n\": 1.50, \"big\": 12345678901234567890,\n\"e\": \"\\u00e9 é\" }"
        let head = "{\"source\":\"s\",\"category\":\"c\",\"severity\":\"low\",\"event_type\":\"a\","
        let text = "\(head)\"payload\":\(payload)}"
        let order = try ContractIngest(Array(text.utf8), tenant: "")
        let body = String(decoding: order.events[0].body(id: "i", tenant: "t", atMillis: 0), as: UTF8.self)
        #expect(body.hasSuffix(",\"payload\":\(payload)}"))
        #expect(body.hasPrefix("{\"event_id\":\"i\",\"event_type\":\"a\","))
        #expect(body.contains("\"detected_at\":\"1970-01-01T00:00:00.000Z\",\"schema_version\":\"1\""))
    }
    @Test func anEntryOfABatchIsItsEventsPayload() throws {
        let one =
            "{\"source\": \"s\", \"type\":\"a.b\",\"severity\":\"low\",\"timestamp\":\"2026-01-31T10:30:00Z\","
            + "\"details\":{\"x\":1}}"
        let order = try ContractIngest(Array("{\"events\":[\(one), \(one)]}".utf8), tenant: "")
        #expect(order.isBatch && order.events.map { String(decoding: $0.payload, as: UTF8.self) } == [one, one])
        #expect(order.events[0].type == "a.b" && order.events[0].detectedAt == "2026-01-31T10:30:00Z")
        #expect(event("{\"events\":[]}") == ["events"] && event("{\"events\":{}}") == ["events"])
        #expect(event("{\"events\":[\(one),{\"source\":\"s\"}]}") == ["events[1].severity", "events[1].type"])
        let many = Array(repeating: one, count: 1001).joined(separator: ",")
        #expect(event("{\"events\":[\(many)]}") == ["events"])
    }
}
