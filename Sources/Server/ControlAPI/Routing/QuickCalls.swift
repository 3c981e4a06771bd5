// Publications that need nothing but the disk: told apart from all other calls by their head, checked by the rules that
// hold for every call, and made up on the event loop. Whatever is unusual about one (a wrong field, a token that has to
// be verified, an application that is not there) makes it an ordinary call again, which says what is wrong.
//
// Invariant: nothing is taken here that the ordinary way would refuse.
import Engine
import FastPath
import HTTPTypes

/// An event, and what is answered when its fate is known.
package struct QuickPublication: Sendable {
    package let event: InjectedEvent
    /// Nil: the ordinary way has the answer; nothing is lost or made twice by asking it again.
    package let reply: @Sendable (InjectionFate) -> QuickReply?

    package init(event: InjectedEvent, reply: @escaping @Sendable (InjectionFate) -> QuickReply?) {
        self.event = event
        self.reply = reply
    }
}

package struct QuickReply: Equatable, Sendable {
    package let status: Int
    package let contentType: String
    package let text: String

    package init(_ text: String, status: Int = 202, contentType: String = "application/json") {
        self.status = status
        self.contentType = contentType
        self.text = text + "\n"
    }
}

/// The part of the gateway that takes publications without a task of their own.
package protocol QuickPublishing: AnyObject, Sendable {
    /// Both throw what the ordinary way would say.
    func quick(_ order: PublishOrder, _ caller: Caller) throws -> QuickPublication
    func quick(_ draft: SvixMessageDraft, application: String, _ caller: Caller) throws -> QuickPublication
    /// Calls `done` once, on any thread. False: nothing was taken, and nothing is called.
    func offer(_ event: InjectedEvent, _ done: @escaping @Sendable (InjectionFate) -> Void) -> Bool
}

package struct QuickCalls: Sendable {
    package static let bodyBytesMax = 64 << 10
    enum Target: Equatable, Sendable {
        case event
        case message(application: String)
    }
    private let guardian: BrowserGuard
    private let keys: any SignInService
    let publishing: any QuickPublishing

    /// `host`: that the control API listens on.
    package init(host: String, keys: any SignInService, publishing: any QuickPublishing) {
        guardian = BrowserGuard(host: host)
        self.keys = keys
        self.publishing = publishing
    }

    /// Nil for every other call, and for one whose connection or body needs something of its own.
    static func target(_ head: HTTPRequest) -> Target? {
        guard head.method == .post, let path = head.path, let target = target(path: path) else { return nil }
        let fields = head.headerFields
        guard fields[.expect] == nil else { return nil }
        if let connection = fields[.connection], connection.lowercased() != "keep-alive" { return nil }
        return target
    }
    private static let events = ControlAPI.base + "/events"
    private static let applications = ControlAPI.base + "/app/"
    private static func target(path: String) -> Target? {
        if path == events { return .event }
        guard path.hasPrefix(applications), path.hasSuffix("/msg") else { return nil }
        let application = path.dropFirst(applications.count).dropLast("/msg".count)
        // What is escaped is the router's to read.
        guard NameRules.isUID(String(application)) else { return nil }
        return .message(application: String(application))
    }

    /// Nil where the ordinary way has to answer.
    func publication(_ target: Target, _ head: HTTPRequest, _ body: [UInt8], requestID: String) -> QuickPublication? {
        let surface: Surface = target == .event ? .own : .svix
        guard (try? guardian.check(head, surface)) != nil, let principal = principal(target, head, surface) else {
            return nil
        }
        let caller = Caller(principal: principal, requestID: requestID)
        switch target {
        case .event:
            guard var order = try? PublishOrder(json: body) else { return nil }
            do { order.idempotencyKey = try PublishController.idempotencyKey(head.headerFields) } catch { return nil }
            return try? publishing.quick(order, caller)
        case .message(let application):
            guard var draft = try? SvixMessageDraft(body, application: application) else { return nil }
            do { draft.idempotencyKey = try MessageController.idempotencyKey(head.headerFields) } catch { return nil }
            return try? publishing.quick(draft, application: application, caller)
        }
    }
    private func principal(_ target: Target, _ head: HTTPRequest, _ surface: Surface) -> Principal? {
        let operation = target == .event ? "publishEvent" : "v1.message.create"
        guard let token = try? SignIn.token(head.headerFields),
            case .caller(var principal)? = try? keys.known(token: token)
        else { return nil }
        if let ref = head.headerFields[SignIn.tenantHeader] {
            guard let confined = try? keys.confined(principal, to: ref) else { return nil }
            principal = confined
        }
        guard (try? principal.require(AccessTable.access(to: operation), on: surface)) != nil else { return nil }
        return principal
    }
}
