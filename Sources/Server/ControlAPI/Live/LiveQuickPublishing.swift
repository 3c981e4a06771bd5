// Publications of the running gateway that need no task of their own.
import Engine
import FastPath

final class LiveQuickPublishing: QuickPublishing {
    private let gateway: Gateway
    private let publishing: LivePublishing
    private let messages: LiveMessages

    init(gateway: Gateway, publishing: LivePublishing, messages: LiveMessages) {
        self.gateway = gateway
        self.publishing = publishing
        self.messages = messages
    }

    func quick(_ order: PublishOrder, _ caller: Caller) throws -> QuickPublication {
        try publishing.quick(order, caller)
    }
    func quick(_ draft: SvixMessageDraft, application: String, _ caller: Caller) throws -> QuickPublication {
        try messages.quick(draft, application: application, caller)
    }
    func offer(_ event: InjectedEvent, _ done: @escaping @Sendable (InjectionFate) -> Void) -> Bool {
        guard let publisher = gateway.access?.publisher else { return false }
        return publisher.offer(event, done)
    }
}
