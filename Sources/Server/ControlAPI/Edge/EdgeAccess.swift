// Whose session a request has, whether it is of the tenant that the request names, and whether its role is enough.
import Engine
import HTTPTypes
import Hummingbird

extension Edge {
    package struct RequireSession: EdgeMiddleware {
        let keeper: any EdgeGuard

        package init(keeper: any EdgeGuard) { self.keeper = keeper }

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            let session = if let known = exchange.session { known } else {
                try await RateLimiter.session(of: exchange, keeper)
            }
            exchange.session = session
            switch session {
            case .missing:
                throw EdgeRefusal(.unauthenticated, "a session is needed: `Authorization: Bearer TOKEN`")
            case .refused(let why): throw EdgeRefusal(.unauthenticated, why)
            case .principal(_, let isToken):
                // Else a session could be made longer for ever.
                guard exchange.needsEnvelope || !isToken else {
                    throw EdgeRefusal(.unauthenticated, "a session is made with an API key, not with a session")
                }
            }
            return nil
        }
    }

    /// Behind the session, because it compares with it.
    package struct ValidateTenantHeader: EdgeMiddleware {
        let keeper: any EdgeGuard

        package init(keeper: any EdgeGuard) { self.keeper = keeper }

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard let principal = exchange.session?.principal else {
                throw EdgeRefusal(.unauthenticated, "a session is needed")
            }
            guard exchange.needsEnvelope else {
                exchange.principal = principal
                return nil
            }
            guard let tenant = try keeper.tenant(uuid: exchange.tenant),
                principal.tenant == nil || principal.tenant == tenant
            else { throw EdgeRefusal(.tenantMismatch, "`X-Tenant-Id` is not the session's tenant") }
            exchange.principal = Principal(
                name: principal.name, role: principal.role, tenant: tenant, featureFlags: principal.featureFlags,
                isPortal: principal.isPortal)
            return nil
        }
    }

    package struct RBAC: EdgeMiddleware {
        package init() {}
        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            guard let route = exchange.route, let principal = exchange.principal else {
                throw EdgeRefusal(.forbidden, "the session may not do this")
            }
            do {
                try principal.require(AccessTable.access(to: route.operation), isForPortals: false)
            } catch let error as ControlError { throw EdgeRefusal(error) }
            return nil
        }
    }
}
