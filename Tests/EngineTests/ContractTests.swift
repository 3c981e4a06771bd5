// What the contract edge has in Engine: ids that say where and when, sessions, what an entry of the registry comes to.
import Engine
import FastPath
import Foundation
import Testing

@Suite struct ContractTests {
    // MARK: ids

    @Test func anEventsIDSaysWhenItCame() {
        for millis in [0, 1, 1_800_000_000_123, (Int64(1) << 48) - 1] {
            let id = ContractID.event(atMillis: millis)
            #expect(ContractID.millis(ofEvent: id) == millis && ContractID.isUUID(id, version: "7"), "\(id)")
        }
        #expect(ContractID.event(atMillis: 5) != ContractID.event(atMillis: 5))
        #expect(ContractID.millis(ofEvent: ContractID.make()) == nil && ContractID.millis(ofEvent: "x") == nil)
    }
    @Test func aDeliverysIDLeadsBackToIt() throws {
        let id = ContractID.delivery(of: 1 << 40, at: EndpointID(7))
        let found = try #require(ContractID.delivery(id.uppercased()))
        #expect(found.sequence == 1 << 40 && found.endpoint == EndpointID(7) && ContractID.isUUID(id))
        #expect(ContractID.delivery(ContractID.make()) == nil)
    }
    @Test func anIdempotencyKeyIsTheDeliverysAndTheLogs() {
        func key(_ log: UInt64, _ sequence: UInt64, _ endpoint: UInt32) -> String {
            ContractID.idempotencyKey(of: EventID(logIdentity: log, sequence: sequence), at: EndpointID(endpoint))
        }
        #expect(key(1, 2, 3) == key(1, 2, 3) && ContractID.isUUID(key(1, 2, 3)))
        #expect(Set([key(1, 2, 3), key(2, 2, 3), key(1, 3, 3), key(1, 2, 4)]).count == 4)
    }
    @Test func aUUIDHasItsFormAndVersion() {
        let good = "3f2a9c1e-1111-4aaa-8bbb-0123456789ab"
        #expect(ContractID.isUUID(good, version: "4") && ContractID.isUUID(good.uppercased(), version: "4"))
        for bad in [
            "", "3f2a9c1e11114aaa8bbb0123456789ab", good + "0", "3f2a9c1e-1111-4aaa-8bbb-0123456789ag",
            "\u{13}f2a9c1e-1111-4aaa-8bbb-0123456789ab", "3f2a9c1e-1111-1aaa-8bbb-0123456789ab",
            "3f2a9c1e-1111-4aaa-cbbb-0123456789ab",
        ] { #expect(!ContractID.isUUID(bad, version: "4"), "\(bad)") }
    }
    @Test func aStampIsReadFromTheLinesThatItWrites() throws {
        var event = PublishedEvent(tenant: .main, type: "a", body: Array("{}".utf8))
        event.source = .contract
        let stamp = ContractStamp(eventID: "e", correlationID: "c", key: "k 1", digest: "d")
        event.contract = stamp
        let injected = event.injected(windowSeconds: 60)
        #expect(injected.dedupKey == Array("contract k 1".utf8))
        #expect(injected.fieldLines.withView { ContractStamp(in: $0) } == stamp)
        let other = PublishedEvent(tenant: .main, type: "a", body: []).injected(windowSeconds: 60)
        #expect(other.fieldLines.withView { ContractStamp(in: $0) } == nil)
    }

    // MARK: sessions

    private let tokens = SessionTokens(secret: Array(repeating: 7, count: 32))
    private let session = SessionTokens.Session(key: "key_1", tenant: "t", role: .viewer, endSeconds: 2000)

    @Test func aSessionIsWhatItsTokenSays() {
        let token = tokens.token(session, id: "j", nowSeconds: 1000)
        #expect(tokens.verdict(on: token, nowSeconds: 1999) == .session(session))
        #expect(tokens.verdict(on: token, nowSeconds: 2000) == .refused(.expired))
        let others = SessionTokens(secret: Array(repeating: 8, count: 32))
        #expect(others.verdict(on: token, nowSeconds: 1000) == .refused(.signature))
    }
    @Test func aChangedOrUnsignedTokenIsNone() throws {
        let token = tokens.token(session, id: "j", nowSeconds: 1000)
        let parts = token.split(separator: ".").map(String.init)
        func pack(_ text: String) -> String {
            TextEncoding.base64(Array(text.utf8)).replacing("+", with: "-").replacing("/", with: "_")
                .replacing("=", with: "")
        }
        let claims = try #require(TextEncoding.bareBase64URL(parts[1]))
        let raised = pack(String(decoding: claims, as: UTF8.self).replacing("viewer", with: "admin"))
        let none = pack("{\"alg\":\"none\",\"typ\":\"JWT\"}")
        for bad in [
            "\(parts[0]).\(raised).\(parts[2])", "\(none).\(parts[1]).", "\(none).\(parts[1]).\(parts[2])",
            "\(parts[0]).\(parts[1]).", "\(parts[0]).\(parts[1]).\(String(parts[2].reversed()))", parts[1], "..", "",
        ] {
            if case .session = tokens.verdict(on: bad, nowSeconds: 1000) { Issue.record("\(bad) is a session") }
        }
    }

    // MARK: entries

    private func table(_ change: (inout ContractEntry) -> Void = { _ in }) throws -> ErrorTable {
        var entry = ContractEntry()
        change(&entry)
        var settings = EndpointConfiguration()
        entry.apply(to: &settings)
        return ErrorTable(try #require(settings.policies.errors))
    }
    private func outcome(_ status: UInt16) -> DeliveryOutcome {
        var outcome = DeliveryOutcome(token: 0, result: .answered)
        outcome.status = status
        return outcome
    }
    @Test func errorsGoByTheirClass() throws {
        let table = try table()
        var generator = SeededGenerator(seed: 1)
        let retry = OutcomeDecision(.retry)
        func retries(_ status: UInt16) -> Int {
            (1...30).first {
                table.delayMillis(
                    afterAttempts: $0, outcome(status), own: RetrySchedule(delaysMillis: [], jitter: 0),
                    using: &generator) == nil
            }.map { $0 - 1 } ?? .max
        }
        for status: UInt16 in [500, 503, 408, 425, 302] {
            #expect(table.revised(retry, outcome(status)).decision == .retry && retries(status) == 5, "\(status)")
        }
        for status: UInt16 in [400, 404, 410, 413, 415, 422, 418, 401, 403, 407] {
            #expect(table.revised(retry, outcome(status)).decision == .deadLetter(.permanentAnswer), "\(status)")
        }
        #expect(retries(429) == 3)
        #expect(table.atMostMillis(outcome(500)) == 900_000 && table.atMostMillis(outcome(429)) == 1_800_000)
        for failure in FailureClass.allCases {
            let wanted: ContractErrorClass =
                switch failure {
                case .network, .timeout, .tls, .blockedAddress, .server: .transient
                case .validation: .validation
                case .authentication, .authorizationFailed: .auth
                case .limit: .rateLimited
                }
            #expect(ContractErrorClass(failure) == wanted)
        }
    }
    @Test func withoutJitterEachWaitIsItsBound() throws {
        let table = try table { entry in
            (entry.retry.firstMillis, entry.retry.maxMillis, entry.retry.hasJitter) = (200, 700, false)
        }
        var generator = SeededGenerator(seed: 1)
        let waits = (1...4).map {
            table.delayMillis(
                afterAttempts: $0, outcome(500), own: RetrySchedule(delaysMillis: [], jitter: 0), using: &generator)
        }
        #expect(waits == [200, 400, 700, 700])
    }
    @Test func anotherSchemaVersionIsPutIntoTheBody() throws {
        var entry = ContractEntry()
        var settings = EndpointConfiguration()
        entry.apply(to: &settings)
        #expect(settings.policies.transform == nil)
        entry.schemaVersion = "3"
        entry.apply(to: &settings)
        let preparation = try #require(Preparation(settings.policies))
        let body = Array("{\"event_id\":\"e\",\"schema_version\":\"1\",\"payload\":{ \"n\": 1.50 }}".utf8)
        let made = try preparation.prepare(fieldLines: [], body: body)
        #expect(
            String(decoding: made.body, as: UTF8.self)
                == "{\"event_id\":\"e\",\"schema_version\":\"3\",\"payload\":{ \"n\": 1.50 }}")
    }
    @Test func theFormIsTheContracts() throws {
        let lines = try FormSigner.lines(
            ContractEntry.form, secrets: ["the secret of an entry"], id: Array("r".utf8), timestamp: 5,
            body: Array("{}".utf8))
        #expect(lines.hasPrefix("\r\nX-Timestamp: 5\r\nX-Signature: "))
        let memory = CompiledMemory()
        let key = SigningKey(secret: Array("the secret of an entry".utf8), algorithm: .sha256, in: memory)
        #expect(lines.hasSuffix(TextEncoding.hex(key.mac(over: Array("r.5.{}".utf8)))))
        withExtendedLifetime(memory) {}
    }
}
