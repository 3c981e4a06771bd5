// Who calls: the bearer of a key, or nobody. Stands before every route, so that no controller runs for a stranger.
//
// Invariants: without a valid key nothing is answered but health, whether or not there is something at the path; the
// role is the route's to ask for (`Principal.require`); a caller's tenant is the key's, and a key of all tenants may
// name one. A valid key is let in however many tries from its address failed, so that nobody can lock others out.
import Engine
import Foundation
import HTTPTypes
import Hummingbird
import Logging
import Synchronization

/// What the control API asks of the keys and of the identity provider.
package protocol SignInService: AnyObject, Sendable {
    /// In memory, quick enough for an event loop; nil for a token that `verify` has to look at.
    func known(token: String) throws -> SignInAnswer?
    func verify(token: String) async throws -> SignInAnswer
    /// The public id of the tenant that is meant; nil when there is none.
    func tenant(_ ref: String) throws -> String?
    /// For the audit log; returns at once.
    func note(_ refused: RefusedTry)
}

/// A call that was answered 401, 403 or 429.
package struct RefusedTry: Equatable, Sendable {
    package var principal: Principal
    package var requestID: String
    package var address: String
    /// Method and path, as far as one line takes them.
    package var target: String
    package var reason: ProblemCode
}

package enum SignInAnswer: Equatable, Sendable {
    case caller(Principal)
    case unknown
    case expired
    /// Why the token of an identity provider is not taken.
    case refused(String)
}

struct SignIn: RouterMiddleware {
    let keys: any SignInService
    let routes: RouteTable
    private let bearers: Bearers

    init(keys: any SignInService, routes: RouteTable, logger: Logger) {
        self.keys = keys
        self.routes = routes
        bearers = Bearers(keys: keys, logger: logger)
    }

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        let access = routes.route(of: request).map(routes.access)
        guard access != .anyone else { return try await next(request, context) }
        var context = context
        do {
            context.principal = try await principal(of: request, context)
            if case .tenant? = access, let ref = request.headers[SignIn.tenantHeader] {
                context.principal = try bearers.confined(context.principal, to: ref)
            }
            return try await next(request, context)
        } catch let error as ControlError {
            bearers.note(
                error, of: context.caller, at: context.address, target: "\(request.method) \(request.uri.path)")
            throw error
        }
    }
    static let tenantHeader = HTTPField.Name("X-Tenant-Id")!

    private func principal(of request: Request, _ context: ControlContext) async throws -> Principal {
        let token = try Bearers.token(request.headers[values: .authorization])
        let known = try keys.known(token: token)
        let answer = if let known { known } else { try await keys.verify(token: token) }
        return try bearers.principal(answer, at: context.address, requestID: context.requestID)
    }
}

/// Bearers of keys, wherever they call: the one who is meant by an answer of the keys, and those who are not let in.
final class Bearers: Sendable {
    let keys: any SignInService
    private let logger: Logger
    private let failures = FailedSignIns()

    init(keys: any SignInService, logger: Logger) {
        self.keys = keys
        self.logger = logger
    }

    /// For the audit log, when it is of those that are told there.
    func note(_ error: ControlError, of caller: Caller, at address: String, target: String) {
        guard [.unauthorized, .forbidden, .tooManyAttempts].contains(error.code) else { return }
        keys.note(
            RefusedTry(
                principal: caller.principal, requestID: caller.requestID, address: address,
                target: String(target.prefix(Bearers.targetCharactersMax)), reason: error.code))
    }
    private static let targetCharactersMax = 200

    func confined(_ principal: Principal, to ref: String) throws -> Principal {
        guard let tenant = try keys.tenant(ref), principal.tenant == nil || principal.tenant == tenant else {
            throw ControlError(.noSuchTenant, "`X-Tenant-Id` names no tenant")
        }
        return Principal(
            name: principal.name, role: principal.role, tenant: tenant, featureFlags: principal.featureFlags,
            isPortal: principal.isPortal)
    }

    // MARK: the key

    /// What the values of `Authorization` carry.
    static func token(_ fields: [String]) throws -> String {
        guard let field = fields.first, fields.count == 1, let token = token(field) else {
            throw ControlError(
                .unauthorized,
                fields.count > 1
                    ? "there are several `Authorization` fields" : "a key is needed: `Authorization: Bearer KEY`")
        }
        return token
    }
    func principal(
        _ answer: SignInAnswer, at address: @autoclosure () -> String, requestID: String
    ) throws -> Principal {
        switch answer {
        case .caller(let principal): return principal
        case .unknown: throw failure("the key is not known, or was revoked", address(), requestID)
        case .expired: throw failure("the key has expired", address(), requestID)
        case .refused(let reason): throw failure(reason, address(), requestID)
        }
    }
    /// The scheme's name in any case of letters, one or more spaces, the token.
    static func token(_ field: String) -> String? {
        let text = field.utf8
        guard let space = text.firstIndex(of: UInt8(ascii: " ")),
            text[..<space].elementsEqual("bearer".utf8, by: { $0 | 0x20 == $1 })
        else { return nil }
        let token = text[space...].drop { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        return token.isEmpty ? nil : String(token)
    }
    private func failure(_ reason: String, _ address: String, _ requestID: String) -> ControlError {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        guard failures.note(address, nowMillis: now) else {
            return ControlError(
                .tooManyAttempts, "too many sign-ins from this address have failed; try again in a minute")
        }
        logger.notice(
            "sign-in refused",
            metadata: ["request": "\(requestID)", "address": "\(address)", "reason": "\(reason)"])
        return ControlError(.unauthorized, reason)
    }
}

extension Principal {
    /// Asked where the router has led, so that no difference in how a path is read opens a door.
    func require(_ access: Access, isForPortals: Bool) throws {
        guard !isPortal || isForPortals || access == .anyone else {
            throw ControlError(.forbidden, "the token of a portal opens the Svix-shaped API of its application alone")
        }
        try require(access)
    }
    func require(_ access: Access) throws {
        guard let least = access.least else { return }
        guard self != .stranger else { throw ControlError(.unauthorized, "a key is needed") }
        guard role.includes(least) else {
            throw ControlError(.forbidden, "this takes a key of the role `\(least.name)`, not `\(role.name)`")
        }
        if case .gateway = access, tenant != nil {
            throw ControlError(.forbidden, "this is about all tenants, and the key is one tenant's")
        }
    }
}

/// How many sign-ins of each address have failed of late: a bucket that fills again. Bounded: of the addresses, those
/// that failed last are remembered.
final class FailedSignIns: Sendable {
    private static let bucket = 10
    private static let refillMillis: Int64 = 6_000
    private static let addressCountMax = 1024
    private struct Bucket {
        var left: Int
        var millis: Int64
    }
    private let buckets = Mutex<[String: Bucket]>([:])

    /// False when the address has used up what it may fail.
    func note(_ address: String, nowMillis: Int64) -> Bool {
        buckets.withLock { buckets in
            var bucket = buckets[address] ?? Bucket(left: FailedSignIns.bucket, millis: nowMillis)
            let refill = max(0, nowMillis - bucket.millis) / FailedSignIns.refillMillis
            bucket.left = min(FailedSignIns.bucket, bucket.left + Int(clamping: refill))
            bucket.millis =
                bucket.left == FailedSignIns.bucket ? nowMillis : bucket.millis + refill * FailedSignIns.refillMillis
            if buckets[address] == nil, buckets.count >= FailedSignIns.addressCountMax,
                let oldest = buckets.min(by: { $0.value.millis < $1.value.millis })?.key
            {
                buckets[oldest] = nil
            }
            defer { buckets[address] = bucket }
            guard bucket.left > 0 else { return false }
            bucket.left -= 1
            return true
        }
    }
}
