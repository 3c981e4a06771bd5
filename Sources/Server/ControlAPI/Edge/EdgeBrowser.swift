// What browsers are told of the contract edge: how little they may do with its answers, and which origins may ask.
import Engine
import HTTPTypes
import Hummingbird

extension Edge {
    package struct SecurityHeaders: EdgeMiddleware {
        package init() {}
        private static let fields: [(HTTPField.Name, String)] = [
            (.xContentTypeOptions, "nosniff"), (HTTPField.Name("X-Frame-Options")!, "DENY"),
            (HTTPField.Name("Referrer-Policy")!, "no-referrer"), (.cacheControl, "no-store"),
            (.contentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'"),
        ]
        package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {
            SecurityHeaders.dress(&reply.fields)
        }
        static func dress(_ fields: inout HTTPFields) {
            for (name, value) in SecurityHeaders.fields { fields[name] = value }
        }
    }

    /// Configured origins alone are named, and never all of them.
    package struct CORS: EdgeMiddleware {
        let origins: [String]

        package init(origins: [String]) { self.origins = origins }
        static let allowedHeaders = [
            "authorization", "content-type", "last-event-id", "x-idempotency-key", "x-request-id", "x-signature",
            "x-tenant-id", "x-timestamp", "x-zen-contract-version",
        ]
        private static let exposedHeaders = [
            "retry-after", "idempotent-replayed", "x-request-id", "x-zen-contract-version",
        ]
        private static let methods = "GET, POST, PATCH, DELETE"
        private static let preflightSeconds = "600"

        private func origin(_ exchange: EdgeExchange) -> String? {
            exchange.fields[.origin].flatMap { origins.contains($0) ? $0 : nil }
        }
        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.method == .options else { return nil }
            var reply = EdgeReply(204)
            guard origin(exchange) != nil else { return reply }
            reply.fields[.accessControlAllowMethods] = CORS.methods
            reply.fields[.accessControlAllowHeaders] = CORS.allowedHeaders.joined(separator: ", ")
            reply.fields[.accessControlMaxAge] = CORS.preflightSeconds
            return reply
        }
        package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {
            reply.fields[.vary] = "Origin"
            guard let origin = origin(exchange) else { return }
            reply.fields[.accessControlAllowOrigin] = origin
            reply.fields[.accessControlExposeHeaders] = CORS.exposedHeaders.joined(separator: ", ")
        }
    }

    /// A mutation with a body says that it is JSON.
    package struct JSONOnly: EdgeMiddleware {
        package init() {}
        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard exchange.needsEnvelope, exchange.isMutation, exchange.hasBody else { return nil }
            let type = exchange.fields[.contentType] ?? ""
            let essence = type.prefix { $0 != ";" }.trimmingPrefix { $0 == " " || $0 == "\t" }
                .split(separator: " ").first.map { $0.lowercased() }
            guard essence == "application/json" else {
                throw EdgeRefusal(.unsupportedMediaType, "the body must be JSON: `Content-Type: application/json`")
            }
            return nil
        }
    }
}
