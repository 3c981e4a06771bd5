// What the middleware of the contract edge works on: one request on its way, the answer that it gets, and how one is
// refused. Values; `EdgeMiddlewares` has the list and its order.
//
// Invariants: a code is one status forever; what refuses says why in one sentence that has no secret in it.
import Engine
import FastPath
import HTTPTypes
import Hummingbird
import NIOCore

package enum EdgeCode: String, CaseIterable, Sendable {
    case missingHeader = "missing_header"
    case invalidHeader = "invalid_header"
    case unsupportedVersion = "unsupported_contract_version"
    case malformedJSON = "malformed_json"
    case unauthenticated
    case invalidSignature = "invalid_signature"
    case tenantMismatch = "tenant_mismatch"
    case forbidden
    case notFound = "not_found"
    case methodNotAllowed = "method_not_allowed"
    case idempotencyConflict = "idempotency_conflict"
    case notInDLQ = "not_in_dlq"
    case tooLarge = "too_large"
    case unsupportedMediaType = "unsupported_media_type"
    case wrongHost = "wrong_host"
    case validationFailed = "validation_failed"
    case rateLimited = "rate_limited"
    case internalFault = "internal"
    case unavailable

    package var status: Int {
        switch self {
        case .missingHeader, .invalidHeader, .unsupportedVersion, .malformedJSON: 400
        case .unauthenticated, .invalidSignature: 401
        case .tenantMismatch, .forbidden: 403
        case .notFound: 404
        case .methodNotAllowed: 405
        case .idempotencyConflict, .notInDLQ: 409
        case .tooLarge: 413
        case .unsupportedMediaType: 415
        case .wrongHost: 421
        case .validationFailed: 422
        case .rateLimited: 429
        case .internalFault: 500
        case .unavailable: 503
        }
    }
}

package struct EdgeRefusal: Error, Equatable, Sendable {
    package var code: EdgeCode
    package var message: String
    package var details: [FieldProblem] = []
    /// Of a 405.
    package var allow: [String] = []
    package var retryAfterSeconds: Int?
    /// The error names the versions that are served.
    package var namesVersions = false
    /// Of what the audit log has; nil = the code.
    package var reason: String?

    package init(_ code: EdgeCode, _ message: String) {
        self.code = code
        self.message = message
    }
    package static func invalid(_ details: [FieldProblem]) -> EdgeRefusal {
        let first = details.first?.line ?? "the body is not valid"
        let more = details.count > 1 ? " (and \(details.count - 1) more)" : ""
        var refusal = EdgeRefusal(.validationFailed, first + more)
        refusal.details = details
        return refusal
    }
    /// What the services behind the routes refuse, in the contract's words.
    package init(_ error: ControlError) {
        let code: EdgeCode =
            switch error.code.status {
            case 401: .unauthenticated
            case 403: .forbidden
            case 404: .notFound
            case 405: .methodNotAllowed
            case 409: .idempotencyConflict
            case 413: .tooLarge
            case 415: .unsupportedMediaType
            case 421: .wrongHost
            case 429: error.code == .rateLimited ? .rateLimited : .unavailable
            case 503: .unavailable
            case 500: .internalFault
            case 400: error.code == .badJSON ? .malformedJSON : .validationFailed
            default: .validationFailed
            }
        self.init(code, error.message)
        details = error.errors
        retryAfterSeconds = error.retryAfterSeconds
    }

    package func text(requestID: String) -> String {
        var error: [String: JSONValue] = [
            "code": .text(code.rawValue), "message": .text(message), "request_id": .text(requestID),
        ]
        if !details.isEmpty {
            error["details"] = .list(details.map { ["field": .text($0.path), "message": .text($0.reason)] })
        }
        if namesVersions { error["supported_versions"] = .list(EdgeVersion.allCases.map { .text($0.rawValue) }) }
        return JSONValue.object(["error": .object(error)]).json
    }
    func reply(requestID: String) -> EdgeReply {
        var reply = EdgeReply(code.status, .json(text(requestID: requestID)))
        if !allow.isEmpty { reply.fields[.allow] = allow.joined(separator: ", ") }
        switch code.status {
        case 401: reply.fields[.wwwAuthenticate] = "Bearer realm=\"sluice\""
        case 429, 503: reply.fields[.retryAfter] = "\(max(1, retryAfterSeconds ?? 1))"
        default: break
        }
        return reply
    }
}

package enum EdgeVersion: String, CaseIterable, Sendable {
    case v0
    case v1alpha1
    package static let newest = EdgeVersion.v1alpha1
}

package struct EdgeReply: Sendable {
    package enum Body: Sendable {
        case nothing
        case json(String)
        case stream(ResponseBody, contentType: String)
    }
    package var status: Int
    package var fields = HTTPFields()
    package var body: Body
    /// What is kept for a repetition instead of the body, which has a secret that is shown once.
    package var keptText: String?

    package init(_ status: Int, _ body: Body = .nothing) {
        self.status = status
        self.body = body
    }
    package init(_ status: Int, _ value: JSONValue) { self.init(status, .json(value.json)) }

    package var text: String? {
        if case .json(let text) = body { return text }
        return nil
    }
    var response: Response {
        var fields = fields
        let status = HTTPResponse.Status(code: status)
        switch body {
        case .nothing: return Response(status: status, headers: fields)
        case .json(let text):
            fields[.contentType] = "application/json"
            return Response(
                status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(string: text + "\n")))
        case .stream(let body, let type):
            fields[.contentType] = type
            // A proxy that gathers an answer before it passes it on would hold it for ever.
            fields[HTTPField.Name("X-Accel-Buffering")!] = "no"
            return Response(status: status, headers: fields, body: body)
        }
    }
}

/// What a route of the contract is beside what every route is.
struct EdgeTraits: Sendable {
    /// How repetitions of a call are told.
    enum Repetition: Sendable {
        case none
        /// By `X-Idempotency-Key`, else `X-Request-Id`; for so many seconds.
        case always(seconds: Int)
        /// By `X-Idempotency-Key` alone.
        case whenAsked(seconds: Int)
    }
    static let daySeconds = 86_400

    /// Signature or certificate, beside the session.
    var needsProof = false
    /// False: it has no header of the contract, and takes a key and no session.
    var needsEnvelope = true
    var repetition = Repetition.none
    /// A repetition is told as `duplicate`.
    var isIngest = false
    let reply: @Sendable (Call) async throws -> EdgeReply
}

package struct EdgeTime: Sendable {
    var monotonicNanos: UInt64
    package var wallSeconds: UInt64

    package init(monotonicNanos: UInt64, wallSeconds: UInt64) {
        (self.monotonicNanos, self.wallSeconds) = (monotonicNanos, wallSeconds)
    }
    static var now: EdgeTime {
        EdgeTime(
            monotonicNanos: ProcessResources.monotonicNanos, wallSeconds: ProcessResources.wallNanos / 1_000_000_000)
    }
}

/// One request on its way through the list; each middleware adds what it found out.
package struct EdgeExchange: Sendable {
    let request: Request
    /// Of the peer.
    let address: String
    let time: EdgeTime
    var connection: ClientConnection?
    /// Of the peer, who may be a proxy.
    package var certificate: ShownCertificate?

    // Routing.
    var route: Route?
    package var parameters: [String: String] = [:]
    // RequestID, ContractVersion, EnsureTenantHeader.
    package var requestID = ContractID.make()
    package var version = EdgeVersion.newest
    /// In small letters; empty until it is known to be a UUID.
    package var tenant = ""
    /// The signature is the tenant's. A certificate is somebody's: which tenant's, nothing says.
    package var isProven = false
    /// What the bearer's token is; nil until somebody has looked.
    var session: EdgeSession?
    /// Confined to the tenant that is named.
    var principal: Principal?
    /// The key of a call that may come again.
    var key: String?
    var claim: ContractAnswers.Claim?
    private var bytes: [UInt8]?

    init(_ request: Request, address: String, time: EdgeTime) {
        self.request = request
        self.address = address
        self.time = time
    }
    /// For whoever has no connection that it came over.
    package init(
        _ method: HTTPRequest.Method, _ path: String, _ fields: HTTPFields, body: String, address: String,
        time: EdgeTime
    ) {
        let head = HTTPRequest(
            method: method, scheme: "http", authority: "127.0.0.1", path: path, headerFields: fields)
        self.init(
            Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body))), address: address, time: time)
    }

    /// The route that it leads to, by its operation; for whoever does not come through `Routing`.
    package mutating func lead(to operation: String, of routes: EdgeRoutes) {
        route = routes.routes.first { $0.operation == operation }
    }
    package var operation: String? { route?.operation }

    var fields: HTTPFields { request.headers }
    var path: String { request.uri.path }
    /// HEAD asks for what GET would answer.
    var method: HTTPRequest.Method { request.method == .head ? .get : request.method }
    var isMutation: Bool { method != .get }
    var traits: EdgeTraits? { route?.edge }
    var needsEnvelope: Bool { traits?.needsEnvelope ?? true }
    var caller: Caller {
        Caller(principal: principal ?? .stranger, requestID: requestID, traceLines: fields.traceLines)
    }
    /// A body follows, or may.
    var hasBody: Bool {
        if let bytes { return !bytes.isEmpty }
        return fields[.contentLength].map { $0 != "0" } ?? (fields[.transferEncoding] != nil)
    }
    /// All of it; read once.
    mutating func body() async throws -> [UInt8] {
        if let bytes { return bytes }
        let bytesMax = route?.bodyBytesMax ?? Route.bodyBytesMax
        do {
            let read = [UInt8](try await request.body.collect(upTo: bytesMax).readableBytesView)
            bytes = read
            return read
        } catch is NIOTooManyBytesError {
            throw EdgeRefusal(.tooLarge, "the body is larger than \(bytesMax) bytes")
        }
    }
}

/// What a token of `Authorization` is.
package enum EdgeSession: Equatable, Sendable {
    case missing
    /// `isToken`: it is a session that a key's bearer has asked for.
    case principal(Principal, isToken: Bool)
    /// Why not.
    case refused(String)

    package var principal: Principal? {
        if case .principal(let principal, _) = self { return principal }
        return nil
    }
}

/// What the middleware asks of the gateway.
package protocol EdgeGuard: AnyObject, Sendable {
    func session(_ token: String) async throws -> EdgeSession
    /// The public id of the tenant with this UUID; nil when there is none.
    func tenant(uuid: String) throws -> String?
    /// What it signs its requests with; nil for an unknown tenant, and one that has none.
    func signingSecret(ofTenant uuid: String) throws -> String?
    /// Its word on a client's certificate counts.
    func isTrustedProxy(_ address: String) -> Bool
    /// For the audit log; returns at once.
    func note(_ refused: EdgeRefusedTry)
    /// Of a request that was answered.
    func count(_ answered: EdgeAnswered)
}

package struct EdgeRefusedTry: Equatable, Sendable {
    /// As the request says it.
    package var tenant: String
    package var principal: String
    package var requestID: String
    package var address: String
    package var target: String
    package var reason: String
}

package struct EdgeAnswered: Equatable, Sendable {
    package var status: Int
    package var micros: UInt64
    package var isIngest: Bool
    package var isSignatureFailure: Bool
}
