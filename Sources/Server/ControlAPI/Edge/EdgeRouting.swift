// Where a request of the contract edge leads: its route, or that there is none. First of the list, so that an unknown
// path is told apart from a broken envelope.
import Engine
import Foundation
import HTTPTypes
import Hummingbird

/// The routes of the contract, found by path.
package struct EdgeRoutes: Sendable {
    let routes: [Route]
    private let index: RouteIndex

    init(_ all: [Route]) {
        routes = all.filter { $0.edge != nil }
        index = RouteIndex(routes)
    }
    /// Those at a path.
    func at(_ path: String) -> [Route] { index.routes(at: path).map { routes[$0] } }

    /// Whatever is under these is the edge's, whether there is something or not.
    package static func owns(_ path: String) -> Bool {
        let parts = path.split(separator: "/", maxSplits: 2)
        return parts.first == "v1" && parts.count > 1 && ["webhooks", "auth"].contains(parts[1])
    }
}

extension Edge {
    package struct Routing: EdgeMiddleware {
        let routes: EdgeRoutes
        /// That the control listener listens on.
        let host: String

        package init(routes: EdgeRoutes, host: String) { (self.routes, self.host) = (routes, host) }

        package func take(_ exchange: inout EdgeExchange) async throws -> EdgeReply? {
            if BrowserGuard.isLoopback(host), let authority = exchange.request.head.authority,
                !BrowserGuard.isOwn(authority, host: host)
            {
                throw EdgeRefusal(.wrongHost, "this listener answers to its address and to localhost only")
            }
            let found = routes.at(exchange.path)
            guard !found.isEmpty else { throw EdgeRefusal(.notFound, "there is nothing at \(exchange.path)") }
            // A preflight is CORS's to answer.
            guard exchange.method != .options else { return nil }
            guard let route = found.first(where: { $0.method == exchange.method }) else {
                let methods = found.map(\.method.rawValue).sorted()
                var refusal = EdgeRefusal(
                    .methodNotAllowed, "\(exchange.path) takes \(methods.joined(separator: ", "))")
                refusal.allow = methods
                throw refusal
            }
            exchange.route = route
            for (pattern, segment) in zip(route.path.split(separator: "/"), exchange.path.split(separator: "/"))
            where pattern.hasPrefix("{") {
                exchange.parameters[String(pattern.dropFirst().dropLast())] =
                    segment.removingPercentEncoding ?? String(segment)
            }
            return nil
        }
    }
}
