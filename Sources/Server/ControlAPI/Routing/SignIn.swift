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
    let logger: Logger
    private let failures = FailedSignIns()

    init(keys: any SignInService, routes: RouteTable, logger: Logger) {
        self.keys = keys
        self.routes = routes
        self.logger = logger
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
                context.principal = try confined(context.principal, to: ref)
            }
            return try await next(request, context)
        } catch let error as ControlError {
            if [.unauthorized, .forbidden, .tooManyAttempts].contains(error.code) {
                keys.note(
                    RefusedTry(
                        principal: context.principal, requestID: context.requestID, address: context.address,
                        target: "\(request.method) \(request.uri.path.prefix(SignIn.targetCharactersMax))",
                        reason: error.code))
            }
            throw error
        }
    }
    private static let targetCharactersMax = 200
    static let tenantHeader = HTTPField.Name("X-Tenant-Id")!

    private func confined(_ principal: Principal, to ref: String) throws -> Principal {
        guard let tenant = try keys.tenant(ref), principal.tenant == nil || principal.tenant == tenant else {
            throw ControlError(.noSuchTenant, "`X-Tenant-Id` names no tenant")
        }
        return Principal(
            name: principal.name, role: principal.role, tenant: tenant, featureFlags: principal.featureFlags,
            isPortal: principal.isPortal)
    }

    // MARK: the key

    private func principal(of request: Request, _ context: ControlContext) async throws -> Principal {
        let fields = request.headers[values: .authorization]
        guard let field = fields.first, fields.count == 1, let token = SignIn.token(field) else {
            throw ControlError(
                .unauthorized,
                fields.count > 1
                    ? "there are several `Authorization` fields" : "a key is needed: `Authorization: Bearer KEY`")
        }
        let known = try keys.known(token: token)
        let answer = if let known { known } else { try await keys.verify(token: token) }
        switch answer {
        case .caller(let principal): return principal
        case .unknown: throw failure("the key is not known, or was revoked", context)
        case .expired: throw failure("the key has expired", context)
        case .refused(let reason): throw failure(reason, context)
        }
    }
    /// The scheme's name in any case of letters, one or more spaces, the token.
    private static func token(_ field: String) -> String? {
        let parts = field.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return nil }
        let token = parts[1].drop { $0 == " " || $0 == "\t" }
        return token.isEmpty ? nil : String(token)
    }
    private func failure(_ reason: String, _ context: ControlContext) -> ControlError {
        let now = Int64(Date().timeIntervalSince1970 * 1000)
        guard failures.note(context.address, nowMillis: now) else {
            return ControlError(
                .tooManyAttempts, "too many sign-ins from this address have failed; try again in a minute")
        }
        logger.notice(
            "sign-in refused",
            metadata: ["request": "\(context.requestID)", "address": "\(context.address)", "reason": "\(reason)"])
        return ControlError(.unauthorized, reason)
    }
}

extension Principal {
    /// Asked where the router has led, so that no difference in how a path is read opens a door.
    func require(_ access: Access, on route: Route) throws {
        guard !isPortal || route.isForPortals || access == .anyone else {
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
