// A route as a value: what the router is made from, and the published document too, so that neither can know of a route
// that the other does not.
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

struct Route: Sendable {
    enum Body: Sendable {
        case json(ObjectSchema, isOptional: Bool = false)
        /// One of several forms.
        case oneOf([ObjectSchema])
        /// A configuration file, YAML or JSON.
        case manifest
        /// In JSON, or the payload itself, of any type.
        case payload(ObjectSchema)
        var isOptional: Bool {
            if case .json(_, let isOptional) = self { return isOptional }
            return false
        }
    }
    enum Answer: Sendable {
        case json(ObjectSchema)
        /// Of such objects.
        case list(ObjectSchema)
        /// A JSON document that is not described further.
        case document
        case text(String)
        case nothing
    }

    static let bodyBytesMax = 64 << 10

    let method: HTTPRequest.Method
    /// From the root, `{name}` for parameters.
    let path: String
    /// Unique; the document's `operationId`.
    let operation: String
    /// The resource that it belongs to.
    var resource: String
    let summary: String
    var query: [QueryParameter] = []
    var body: Body?
    var bodyBytesMax = Route.bodyBytesMax
    var status = HTTPResponse.Status.ok
    var answer: Answer
    /// Beside those that every route may answer with.
    var problems: [ProblemCode] = []
    var surface = Surface.own
    /// Of success too: what was there already, or was not.
    var otherStatus: Int?
    /// The answer has an `ETag`, and 304 is one to whoever shows it.
    var isTagged = false
    /// An older spelling that is kept for the tools that use it.
    var isDeprecated = false
    /// Called thousands of times a second: the log has no line for each.
    var isFrequent = false
    /// Of the contract edge alone.
    var edge: EdgeTraits?
    let handle: @Sendable (Call) async throws -> Response

    /// The application's own people may call it, as far as it is open to their tenant.
    var isForPortals: Bool { surface == .svix && resource != Route.organization }
    /// The resource of what is the tenant's own affair, in the Svix-shaped API.
    static let organization = "operational webhooks"

    /// Names of the parameters in the path.
    var parameterNames: [String] {
        path.split(separator: "/").filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }
    /// Every code that this route may answer with, asking for `access`; those of the Svix-shaped API have other codes.
    func allProblems(_ access: Access) -> [ProblemCode] {
        var codes = problems + [.wrongHost, .internalFault]
        if access != .anyone { codes += [.unauthorized, .forbidden, .tooManyAttempts, .notRunning] }
        if case .tenant = access { codes.append(.noSuchTenant) }
        if method != .get { codes.append(.missingHeader) }
        codes.append(.unknownParameter)
        if !query.isEmpty || isDeprecated { codes.append(.badParameter) }
        if query.contains(where: { $0.name == "cursor" }) { codes.append(.badCursor) }
        if method != .get { codes += body == nil ? [.tooLarge, .badRequest] : [.tooLarge, .badJSON, .invalid] }
        return ProblemCode.allCases.filter(codes.contains)
    }
}

/// One request as a handler sees it: parameters read and checked, the body in memory.
struct Call: Sendable {
    let caller: Caller
    let path: [String: String]
    let query: QueryValues
    let fields: HTTPFields
    let body: [UInt8]
    /// The query of a call of the Svix-shaped API.
    var svix = SvixQuery([])
    var surface = Surface.own
    /// Path and query as they were asked.
    var target = ""
    /// Whom the caller believes to speak with.
    var authority = ""
    var idempotencyKey: String?
    /// What the caller has shown.
    var token: String?
    /// Nil where there is none, as in tests.
    var connection: ClientConnection?

    func parameter(_ name: String) -> String { path[name] ?? "" }
}

struct RouteTable: Sendable {
    let routes: [Route]
    /// `/metrics` asks for no key.
    let hasOpenMetrics: Bool
    private let index: RouteIndex

    init(_ routes: [Route], hasOpenMetrics: Bool) {
        precondition(Set(routes.map(\.operation)).count == routes.count, "an operation's name is used twice")
        // `BrowserGuard` looks at those that change something.
        precondition(routes.allSatisfy { $0.method == .get || BrowserGuard.changing.contains($0.method) })
        self.routes = routes
        self.hasOpenMetrics = hasOpenMetrics
        index = RouteIndex(routes)
    }

    func access(_ route: Route) -> Access {
        hasOpenMetrics && route.operation == "getMetrics" ? .anyone : AccessTable.access(to: route.operation)
    }
    func route(of request: Request) -> Route? {
        let method = request.method == .head ? .get : request.method
        return index.routes(at: request.uri.path).first { routes[$0].method == method }.map { routes[$0] }
    }

    func methods(at path: String) -> [HTTPRequest.Method] {
        index.routes(at: path).map { routes[$0].method }.sorted { $0.rawValue < $1.rawValue }
    }
    func bodyBytesMax(of request: Request) -> Int {
        route(of: request)?.bodyBytesMax ?? Route.bodyBytesMax
    }
    func add(to router: Router<ControlContext>) {
        // The contract edge leads to its routes by itself.
        for route in routes where route.edge == nil {
            let access = access(route)
            router.on(RouterPath(route.path), method: route.method) { request, context in
                try context.principal.require(access, isForPortals: route.isForPortals)
                if route.surface == .own, route.method != .get { try BrowserGuard.requireHeader(request) }
                return try await RouteTable.answer(route, request, context)
            }
        }
    }

    private static func read(_ body: RequestBody, bytesMax: Int) async throws -> [UInt8] {
        do {
            return [UInt8](try await body.collect(upTo: bytesMax).readableBytesView)
        } catch is NIOTooManyBytesError {
            throw ControlError(.tooLarge, "the body is larger than \(bytesMax) bytes")
        }
    }
    private static func query(of request: Request, _ route: Route) throws -> QueryValues {
        switch route.surface {
        case .svix: return QueryValues()
        case .own, .contract: return try QueryValues(request, parameters: route.query)
        case .webhooks:
            do { return try QueryValues(request, parameters: route.query) } catch let error as ControlError {
                throw ControlError(.invalid, error.message)
            }
        }
    }
    private static func answer(_ route: Route, _ request: Request, _ context: ControlContext) async throws -> Response {
        let isOwn = route.surface != .svix
        let query = try RouteTable.query(of: request, route)
        if query.flag(QueryParameter.reveal.name) { try context.principal.require(.tenant(AccessTable.revealing)) }
        var path: [String: String] = [:]
        for name in route.parameterNames {
            let text = try context.parameters.require(name)
            path[name] = text.removingPercentEncoding ?? text
        }
        var body: [UInt8] = []
        // Of the Svix-shaped API any body may come, also from strangers; one that no route looks at is not kept for it.
        if route.method != .get, isOwn || route.body != nil {
            if route.surface == .webhooks { try WebhookFailure.needJSON(request) }
            body = try await read(request.body, bytesMax: route.bodyBytesMax)
            if route.body == nil, !route.isDeprecated, isOwn, !body.isEmpty {
                throw ControlError(.badRequest, "\(route.method) \(request.uri.path) takes no body")
            }
        }
        var call = Call(caller: context.caller, path: path, query: query, fields: request.headers, body: body)
        call.token = request.headers[.authorization].flatMap(Bearers.token(_:))
        call.connection = context.connection
        call.surface = route.surface
        if !isOwn {
            call.svix = SvixQuery(request)
            call.target = request.uri.string
            call.authority = request.head.authority ?? ""
            call.idempotencyKey = request.headers[IdempotencyKey.header].flatMap { $0.isEmpty ? nil : $0 }
        }
        guard CallPlace.isBrief(route.operation, call) else {
            return try await CallPlace.elsewhere { try await route.handle(call) }
        }
        return try await route.handle(call)
    }
}
