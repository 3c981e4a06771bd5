// What stands before every route of the control API: errors become JSON, and a browser that was talked into it by
// another page can neither change nor read anything.
//
// Invariants: a state-changing method without `X-Sluice-Request` is refused (a page of another origin cannot set that
// header without a preflight, which is never answered); on a loopback listener a `Host` that is neither an address,
// `localhost` nor the configured host is refused (DNS rebinding).
import HTTPTypes
import Hummingbird
import Logging

typealias ControlContext = BasicRequestContext

struct ErrorGuard: RouterMiddleware {
    let logger: Logger

    func handle(
        _ request: Request, context: ControlContext,
        next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        do {
            return try await next(request, context)
        } catch let error as ControlError {
            return ControlAnswer.failure(error)
        } catch let error as ConfigurationError {
            let answer = ControlError(
                status: 422, code: "bad_configuration",
                message: "the configuration is wrong; the running one is unchanged")
            return ControlAnswer.failure(answer, problems: error.lines)
        } catch let error as Hummingbird.HTTPError {
            return ControlAnswer.failure(ErrorGuard.error(of: error.status, request))
        } catch {
            logger.error("control API failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            let answer = ControlError(
                status: 500, code: "internal", message: "a fault of Sluice's own; the log has more")
            return ControlAnswer.failure(answer)
        }
    }

    private static func error(of status: HTTPResponse.Status, _ request: Request) -> ControlError {
        switch status.code {
        case 404:
            ControlError(
                status: 404, code: "not_found", message: "there is nothing at \(request.method) \(request.uri.path)")
        case 413:
            ControlError(
                status: 413, code: "too_large", message: "the body is larger than \(ControlAPI.bodyBytesMax) bytes")
        default:
            ControlError(status: status.code, code: "bad_request", message: status.reasonPhrase)
        }
    }
}

struct BrowserGuard: RouterMiddleware {
    /// The host the control API listens on.
    let host: String

    func handle(
        _ request: Request, context: ControlContext,
        next: (Request, ControlContext) async throws -> Response
    ) async throws -> Response {
        if BrowserGuard.isLoopback(host), let authority = request.head.authority,
            !BrowserGuard.isOwn(authority, host: host)
        {
            throw ControlError(
                status: 421, code: "wrong_host", message: "this listener answers to its address and to localhost only")
        }
        let isReading = request.method == .get || request.method == .head
        guard isReading || request.headers[BrowserGuard.header] == "1" else {
            throw ControlError(
                status: 403, code: "missing_header",
                message: "a call that changes something needs the header X-Sluice-Request: 1")
        }
        return try await next(request, context)
    }

    private static let header = HTTPField.Name("X-Sluice-Request")!

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
