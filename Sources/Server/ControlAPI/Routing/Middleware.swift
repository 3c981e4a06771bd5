// What stands before every route of the control API, in one order: what is the contract edge's goes there and no
// further (`EdgeMiddlewares`), the request gets its id, errors become problems, a
// browser that was talked into it by another page is turned away, the caller becomes known (`SignIn`).
//
// Invariants: a state-changing method without `X-Sluice-Request` is refused (a page of another origin cannot set that
// header without a preflight, which is never answered), but for the Svix-shaped API and webhooks, where a bearer token,
// which no browser sends by itself, does the same; on a loopback listener a `Host` that is neither an address,
// `localhost` nor the configured host is refused (DNS rebinding); every answer carries `X-Request-Id`.
import Engine
import HTTPTypes
import Hummingbird
import Logging

enum ControlMiddleware {
    /// Outermost first. The id comes before the errors, so that an error can name it, and what other origins are told
    /// so that they may read it; the guards come after them, so that a refusal is a problem like any other.
    static func ordered(
        host: String, logger: Logger, routes: RouteTable, keys: any SignInService, contract: ContractEdge?
    ) -> [any MiddlewareProtocol<Request, Response, ControlContext>] {
        var list: [any MiddlewareProtocol<Request, Response, ControlContext>] = []
        if let contract { list.append(contract) }
        list += [
            RequestIdentity(logger: logger, routes: routes), CrossOrigin(),
            ErrorAnswers(logger: logger, routes: routes), BrowserGuard(host: host, routes: routes),
            SignIn(keys: keys, routes: routes, logger: logger),
        ] as [any MiddlewareProtocol<Request, Response, ControlContext>]
        return list
    }
}

/// Takes or makes the request id, and writes one line for each call that changes something, but for those of routes
/// that are called all the time.
struct RequestIdentity: RouterMiddleware {
    let logger: Logger
    let routes: RouteTable

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        var context = context
        context.requestID = RequestID.accepted(request.headers[RequestID.header]) ?? RequestID.make()
        context.traceLines = request.headers.traceLines
        context.logger[metadataKey: "request"] = "\(context.requestID)"
        var response = try await next(request, context)
        response.headers[RequestID.header] = context.requestID
        if request.method != .get, request.method != .head, routes.route(of: request)?.isFrequent != true {
            logger.info(
                "control API",
                metadata: [
                    "request": "\(context.requestID)", "method": "\(request.method)", "path": "\(request.uri.path)",
                    "status": "\(response.status.code)",
                ])
        }
        return response
    }
}

struct ErrorAnswers: RouterMiddleware {
    let logger: Logger
    let routes: RouteTable

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as SvixError {
            return error.response
        } catch let error as ControlError {
            return answer(error, request, context)
        } catch let error as ConfigurationError {
            let problem = ControlError(
                .badConfiguration, "the configuration is not valid; the running one is unchanged",
                errors: error.problems.map {
                    FieldProblem(path: $0.line > 0 ? "\(error.file):\($0.line)" : error.file, reason: $0.message)
                })
            return answer(problem, request, context)
        } catch let error as DeliveryError {
            return answer(ControlError(error), request, context)
        } catch let error as Hummingbird.HTTPError {
            return answer(problem(of: error.status, request), request, context)
        } catch {
            logger.error(
                "control API failed",
                metadata: [
                    "request": "\(context.requestID)", "path": "\(request.uri.path)", "error": "\(error)",
                ])
            return answer(ControlError(.internalFault, "an internal error; the log has more"), request, context)
        }
    }

    private func answer(_ error: ControlError, _ request: Request, _ context: ControlContext) -> Response {
        let path = request.uri.path
        var response: Response
        switch Surface.of(path) {
        case .svix: response = SvixError(error).response
        case .webhooks: response = WebhookFailure.response(error)
        case .own where path.hasPrefix("/api/") && !path.hasPrefix(ControlAPI.base + "/"):
            response = ControlResponse.deprecatedFailure(error)
        case .own, .contract: response = ControlResponse.problem(error, request: context.requestID)
        }
        if error.code == .methodNotAllowed {
            response.headers[.allow] = routes.methods(at: path).map(\.rawValue).joined(separator: ", ")
        }
        switch error.code.status {
        case 401: response.headers[.wwwAuthenticate] = "Bearer realm=\"sluice\""
        case 429: response.headers[.retryAfter] = "\(error.retryAfterSeconds ?? 60)"
        case 503: response.headers[.retryAfter] = "1"
        default: break
        }
        return response
    }
    private func problem(of status: HTTPResponse.Status, _ request: Request) -> ControlError {
        let path = request.uri.path
        switch status.code {
        case 404:
            let methods = routes.methods(at: path).map(\.rawValue)
            let document = "\(ControlAPI.base)/openapi.json"
            return methods.isEmpty
                ? ControlError(.notFound, "there is nothing at \(path); \(document) lists what there is")
                : ControlError(.methodNotAllowed, "\(path) takes \(methods.joined(separator: ", "))")
        case 413: return ControlError(.tooLarge, "the body is larger than \(routes.bodyBytesMax(of: request)) bytes")
        default: return ControlError(.badRequest, status.reasonPhrase)
        }
    }
}

struct BrowserGuard: RouterMiddleware {
    /// The host that the control API listens on.
    let host: String
    let routes: RouteTable

    func handle(
        _ request: Request, context: ControlContext, next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        if BrowserGuard.isLoopback(host), let authority = request.head.authority,
            !BrowserGuard.isOwn(authority, host: host)
        {
            throw ControlError(.wrongHost, "this listener answers to its address and to localhost only")
        }
        let needsHeader = BrowserGuard.changing.contains(request.method) && Surface.of(request.uri.path) == .own
        if needsHeader {
            // A method that the path does not take changes nothing, and is told so.
            let methods = routes.methods(at: request.uri.path)
            if methods.isEmpty || methods.contains(request.method) { try BrowserGuard.requireHeader(request) }
        }
        return try await next(request, context)
    }
    static func requireHeader(_ request: Request) throws {
        guard request.headers[header] == "1" else {
            throw ControlError(.missingHeader, "a call that changes something needs the header X-Sluice-Request: 1")
        }
    }

    static let header = HTTPField.Name("X-Sluice-Request")!
    /// Every method of a route but GET: whatever else is asked for is nowhere, and the answer says so.
    static let changing: Set<HTTPRequest.Method> = [.post, .put, .patch, .delete]

    static func isLoopback(_ host: String) -> Bool {
        host == "localhost" || host == "::1" || AddressText.isVersion4(host) && host.hasPrefix("127.")
    }
    /// `authority` is the request's host and port.
    static func isOwn(_ authority: String, host: String) -> Bool {
        var name = Substring(authority)
        if name.hasPrefix("[") {
            return AddressText.isVersion6(String(name.dropFirst().prefix { $0 != "]" }))
        }
        if let colon = name.lastIndex(of: ":") { name = name[..<colon] }
        let text = name.lowercased()
        return text == "localhost" || text == host.lowercased() || AddressText.isVersion4(text)
    }
}
