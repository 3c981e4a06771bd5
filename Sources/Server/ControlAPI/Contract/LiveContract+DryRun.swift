// Dry runs: one signed and marked request to an entry's target, outside of delivery, so that it leaves no trace.
import Engine
import FastPath
import Foundation
import Synchronization

/// Dry runs that wait for their targets: few, and of one tenant fewer, so that one whose targets are silent keeps
/// nobody else from theirs.
package final class DryRunSeats: Sendable {
    package static let countMax = 16
    package static let tenantCountMax = 2
    private let taken = Mutex<[TenantID: Int]>([:])

    package init() {}

    /// True: the caller has one, and leaves it.
    package func take(_ tenant: TenantID) -> Bool {
        taken.withLock { taken in
            let own = taken[tenant, default: 0]
            guard own < DryRunSeats.tenantCountMax, taken.values.reduce(0, +) < DryRunSeats.countMax else {
                return false
            }
            taken[tenant] = own + 1
            return true
        }
    }
    package func leave(_ tenant: TenantID) {
        taken.withLock { taken in
            let left = taken[tenant, default: 1] - 1
            taken[tenant] = left > 0 ? left : nil
        }
    }
}

extension LiveContract {
    /// Of an answer's body.
    private static var shownBytesMax: Int { 1024 }

    func dryRun(_ order: ContractTestOrder, _ caller: Caller) throws -> JSONValue {
        let tenant = try tenant(caller)
        let entry = try find(order.webhook, tenant)
        guard dryRunSeats.take(tenant.id) else {
            throw EdgeRefusal(.rateLimited, "too many tests wait for their targets; try again when one has ended")
        }
        defer { dryRunSeats.leave(tenant.id) }
        let address: EndpointAddress
        do throws(EndpointAddressError) { address = try EndpointAddress(entry.settings.url) } catch {
            throw EdgeRefusal.invalid([FieldProblem(path: "webhook_id", reason: error.description)])
        }
        let now = ProcessResources.wallNanos
        let millis = Int64(now / 1_000_000)
        let event = ContractEvent(
            type: order.type, source: "dry-run", category: "test", severity: "info", detectedAt: nil,
            payload: order.payload)
        let settings = entry.settings.extras.contract?.value ?? ContractEntry()
        var body = event.body(id: ContractID.event(atMillis: millis), tenant: tenant.publicID.uuid, atMillis: millis)
        if let preparation = Preparation(entry.settings.policies),
            let made = try? preparation.prepare(fieldLines: [], body: body)
        {
            body = made.body
        }
        let fields = headers(body, entry, tenant, isSigned: settings.isSigned, seconds: now / 1_000_000_000)
        let head =
            "POST \(address.target) HTTP/1.1\r\nHost: \(address.hostField)\r\n"
            + fields.map { "\($0): \($1)\r\n" }.joined() + "Content-Length: \(body.count)\r\nConnection: close\r\n\r\n"
        var result: [String: JSONValue] = [
            "dry_run": true, "delivered": false, "response": .null, "error": .null,
            "request": [
                "url": .text(entry.settings.url), "body": .text(String(decoding: body, as: UTF8.self)),
                "headers": .object(Dictionary(fields.map { ($0.0, JSONValue.text($0.1)) }) { first, _ in first }),
            ],
        ]
        do throws(DryRunFailure) {
            let (answer, micros) = try send(Array(head.utf8) + body, address, entry, settings.timeoutMillis)
            result["delivered"] = .bool((200..<300).contains(answer.status))
            result["response"] = [
                "status": .integer(Int64(answer.status)), "body": .text(String(decoding: answer.body, as: UTF8.self)),
                "latency_ms": JSONValue.number(Double(micros) / 1000).asStored,
            ]
        } catch { result["error"] = .text(error.text) }
        return .object(result)
    }
    private func headers(
        _ body: [UInt8], _ entry: EndpointSpec, _ tenant: TenantSpec, isSigned: Bool, seconds: UInt64
    ) -> [(String, String)] {
        let id = ContractID.make()
        var fields: [(String, String)] = [
            ("User-Agent", EndpointFamily.contract.userAgent ?? "Sluice"), ("Content-Type", "application/json"),
            ("X-Zen-Contract-Version", EdgeVersion.newest.rawValue), ("X-Tenant-Id", tenant.publicID.uuid),
            ("X-Request-Id", id), ("X-Idempotency-Key", ContractID.make()), ("X-Zen-Dry-Run", "true"),
        ]
        guard isSigned, let secret = entry.settings.secrets.first else { return fields }
        let mac = EnvelopeSignature.mac(secret: secret, requestID: id, timestamp: "\(seconds)", body: body)
        fields += [("X-Timestamp", "\(seconds)"), ("X-Signature", mac)]
        return fields
    }
    private func send(
        _ bytes: [UInt8], _ address: EndpointAddress, _ entry: EndpointSpec, _ timeoutMillis: Int
    ) throws(DryRunFailure) -> (answer: ExchangeAnswer, micros: UInt64) {
        guard let live = gateway.registry?.state.live else { throw DryRunFailure(text: "the gateway is not running") }
        // Whoever may not be delivered to is not tested either.
        let target: ExchangeTarget
        do throws(CheckedTargetFailure) {
            target = try ExchangeTarget(to: address, tls: live.tls(of: entry.settings), under: live)
        } catch { throw DryRunFailure(text: error.text) }
        let start = ProcessResources.monotonicNanos
        do throws(ExchangeFailure) {
            let answer = try CheckedExchange.run(
                target, request: bytes, answerBytesMax: LiveContract.shownBytesMax, cutsAnswer: true,
                deadlineMillis: UInt64(max(1, timeoutMillis)))
            return (answer, (ProcessResources.monotonicNanos - start) / 1000)
        } catch { throw DryRunFailure(text: error.text) }
    }
}

private struct DryRunFailure: Error {
    let text: String
}
