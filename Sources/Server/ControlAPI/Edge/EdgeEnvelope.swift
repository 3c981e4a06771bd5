// The envelope's headers: request id, contract version, tenant. Each is checked for its form here; whether the tenant
// is the session's is looked at behind the session.
import Engine
import HTTPTypes
import Hummingbird

extension Edge {
    /// Every answer has an id: the request's where that is one, else a new one.
    package struct RequestID: EdgeMiddleware {
        package init() {}
        package static let header = HTTPField.Name("X-Request-Id")!

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard let text = exchange.fields[RequestID.header] else {
                guard exchange.isMutation, exchange.needsEnvelope else { return nil }
                throw EdgeRefusal(.missingHeader, "`X-Request-Id` is required: a UUID of version 4, new each time")
            }
            guard ContractID.isUUID(text, version: "4") else {
                guard exchange.needsEnvelope else { return nil }
                throw EdgeRefusal(.invalidHeader, "`X-Request-Id` must be a UUID of version 4")
            }
            exchange.requestID = text
            return nil
        }
        package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {
            reply.fields[RequestID.header] = exchange.requestID
        }
    }

    package struct ContractVersion: EdgeMiddleware {
        package init() {}
        static let header = HTTPField.Name("X-Zen-Contract-Version")!

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.needsEnvelope else { return nil }
            let known = EdgeVersion.allCases.map(\.rawValue).joined(separator: ", ")
            guard let text = exchange.fields[ContractVersion.header] else {
                var refusal = EdgeRefusal(.missingHeader, "`X-Zen-Contract-Version` is required: one of \(known)")
                refusal.namesVersions = true
                throw refusal
            }
            guard let version = EdgeVersion(rawValue: text) else {
                var refusal = EdgeRefusal(
                    .unsupportedVersion, "`X-Zen-Contract-Version`: `\(text.prefix(32))` is not served; \(known) are")
                refusal.namesVersions = true
                throw refusal
            }
            exchange.version = version
            return nil
        }
        package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {
            reply.fields[ContractVersion.header] = exchange.version.rawValue
        }
    }

    package struct EnsureTenantHeader: EdgeMiddleware {
        package init() {}
        static let header = HTTPField.Name("X-Tenant-Id")!

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.needsEnvelope else { return nil }
            guard let text = exchange.fields[EnsureTenantHeader.header] else {
                throw EdgeRefusal(.missingHeader, "`X-Tenant-Id` is required: the tenant's UUID")
            }
            guard ContractID.isUUID(text) else {
                throw EdgeRefusal(.invalidHeader, "`X-Tenant-Id` must be a UUID")
            }
            exchange.tenant = text.lowercased()
            return nil
        }
    }
}
