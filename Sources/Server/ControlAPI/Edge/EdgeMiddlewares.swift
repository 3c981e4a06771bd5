// The middleware of the contract edge: one list, in the order in which the contract has it. Each either lets a request
// go on, having found something out, or answers it; the first that refuses is the one that answers. What the answer
// needs from each is put on it at the end, whoever answered.
//
// Invariant: the order of the list is the order of the checks: S0-R13, docs/contract.md.
import Engine
import HTTPTypes
import Hummingbird
import Logging

package protocol EdgeMiddleware: Sendable {
    /// Nil: it goes on.
    func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply?
    /// Puts on the answer what this one is for.
    func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async
}

extension EdgeMiddleware {
    package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? { nil }
    package func dress(_ reply: inout EdgeReply, of exchange: EdgeExchange) async {}
}

/// Where the contract's names live.
package enum Edge {}

/// The parameters of a list: another surface has the same one with others.
package struct EdgeParameters: Sendable {
    var settings: ContractSettings
    var host: String
    var routes: EdgeRoutes
    var keeper: any EdgeGuard
    var answers: ContractAnswers

    package init(
        settings: ContractSettings, host: String, routes: EdgeRoutes, keeper: any EdgeGuard, answers: ContractAnswers
    ) {
        (self.settings, self.host, self.routes, self.keeper) = (settings, host, routes, keeper)
        self.answers = answers
    }
}

package enum EdgeMiddlewares {
    package static func ordered(_ parameters: EdgeParameters) -> [any EdgeMiddleware] {
        let keeper = parameters.keeper
        return [
            Edge.Routing(routes: parameters.routes, host: parameters.host),
            Edge.SecurityHeaders(),
            Edge.CORS(origins: parameters.settings.origins),
            Edge.RequestID(),
            Edge.ContractVersion(),
            Edge.EnsureTenantHeader(),
            Edge.SignatureVerifier(keeper: keeper),
            Edge.JSONOnly(),
            Edge.RateLimiter(parameters.settings, keeper: keeper),
            Edge.RequireSession(keeper: keeper),
            Edge.ValidateTenantHeader(keeper: keeper),
            Edge.RBAC(),
            Edge.IdempotencyChecker(answers: parameters.answers),
        ]
    }
}

/// Runs a request through a list and to its route.
struct EdgeRunner: Sendable {
    let list: [any EdgeMiddleware]
    let keeper: any EdgeGuard
    let logger: Logger

    func answer(_ received: EdgeExchange) async -> EdgeReply {
        var exchange = received
        var reply: EdgeReply
        var refusal: EdgeRefusal?
        do { reply = try await pass(&exchange) } catch {
            let why = self.refusal(of: error, exchange)
            refusal = why
            reply = why.reply(requestID: exchange.requestID)
        }
        for middleware in list { await middleware.dress(&reply, of: exchange) }
        if let refusal { note(refusal, exchange) }
        let spent = EdgeTime.now.monotonicNanos &- exchange.time.monotonicNanos
        keeper.count(
            EdgeAnswered(
                status: reply.status, micros: spent / 1000, isIngest: exchange.traits?.isIngest ?? false,
                isSignatureFailure: refusal?.code == .invalidSignature))
        if received.request.method == .head { reply.body = .nothing }
        return reply
    }
    private func pass(_ exchange: inout EdgeExchange) async throws -> EdgeReply {
        for middleware in list {
            if let reply = try await middleware.take(&exchange) { return reply }
        }
        guard let route = exchange.route, let traits = route.edge else {
            throw EdgeRefusal(.notFound, "there is nothing at \(exchange.path)")
        }
        let query: QueryValues
        do { query = try QueryValues(exchange.request, parameters: route.query) } catch let error as ControlError {
            throw EdgeRefusal.invalid([FieldProblem(path: "query", reason: error.message)])
        }
        let body = try await exchange.isMutation ? exchange.body() : []
        var call = Call(
            caller: exchange.caller, path: exchange.parameters, query: query, fields: exchange.fields, body: body)
        call.token = exchange.fields[.authorization].flatMap(Bearers.token(_:))
        call.connection = exchange.connection
        call.target = exchange.request.uri.string
        call.idempotencyKey = exchange.key
        return try await traits.reply(call)
    }
    private func refusal(of error: any Error, _ exchange: EdgeExchange) -> EdgeRefusal {
        switch error {
        case let refusal as EdgeRefusal: return refusal
        case let error as ControlError: return EdgeRefusal(error)
        case let error as DeliveryError: return EdgeRefusal(ControlError(error))
        default:
            logger.error(
                "contract edge failed",
                metadata: [
                    "request": "\(exchange.requestID)", "path": "\(exchange.path)", "error": "\(error)",
                ])
            return EdgeRefusal(.internalFault, "an internal error; the log has more")
        }
    }
    private func note(_ refusal: EdgeRefusal, _ exchange: EdgeExchange) {
        guard [401, 403].contains(refusal.code.status), !exchange.tenant.isEmpty else { return }
        let target = "\(exchange.method) \(exchange.path)"
        keeper.note(
            EdgeRefusedTry(
                tenant: exchange.tenant,
                principal: (exchange.principal ?? exchange.session?.principal)?.name ?? "stranger",
                requestID: exchange.requestID, address: exchange.address, target: String(target.prefix(200)),
                reason: refusal.reason ?? refusal.code.rawValue))
    }
}
