// Messages of the Svix-shaped API: published, listed, shown, expunged.
import Engine
import HTTPTypes

struct MessageController {
    let messages: any SvixMessages
    let worker: ControlWorker

    var routes: [Route] { [create] + reading + [expunge] }

    /// Thousands come in a second: what is read sooner than a thread is changed is read where it is.
    private static let quickBytesMax = 64 << 10

    private var create: Route {
        let (messages, worker) = (messages, worker)
        var route = Route.svix(
            .post, "/app/{app}/msg", "v1.message.create",
            "Publish a message: answered when it is on disk, sent to the application's endpoints.",
            query: [SvixMessageSearch.withContent], body: SvixMessageDraft.schema,
            bodyBytesMax: Route.svixContentBytesMax, status: 202, answer: SvixMessage.schema
        ) { call in
            let application = call.parameter("app")
            let withContent = try call.svix.flag("with_content", default: true)
            let read: @Sendable () throws -> SvixMessageDraft = {
                try SvixMessageDraft(call.body, application: application)
            }
            var draft = try await call.body.count > MessageController.quickBytesMax ? worker.run(read) : read()
            if let key = call.idempotencyKey {
                guard IdempotencyKey.isRight(key) else {
                    throw SvixError.generic("`idempotency-key` \(IdempotencyKey.form)")
                }
                draft.idempotencyKey = key
            }
            let message = try await messages.publish(draft, application: application, call.caller)
            return SvixReply(202, text: message.text(withContent: withContent))
        }
        route.isFrequent = true
        return route
    }
    private var reading: [Route] {
        let (messages, worker) = (messages, worker)
        return [
            .svix(
                .get, "/app/{app}/msg", "v1.message.list", "List messages, newest first.",
                query: Route.svixPaging + SvixMessageSearch.query + [SvixMessageSearch.withContent],
                answer: SvixPage<SvixMessage>.schema(SvixMessage.schema)
            ) { call in
                let withContent = try call.svix.flag("with_content", default: true)
                let search = try SvixMessageSearch(call.svix) { MessageID($0) != nil }
                let application = call.parameter("app")
                let page = try await worker.run {
                    try messages.messages(search, application: application, call.caller)
                }
                return SvixReply(200, text: page.text { $0.text(withContent: withContent) })
            },
            .svix(
                .get, "/app/{app}/msg/{msg}", "v1.message.get", "Show a message, by its id or its event id.",
                query: [SvixMessageSearch.withContent], answer: SvixMessage.schema
            ) { call in
                let withContent = try call.svix.flag("with_content", default: true)
                let (application, ref) = (call.parameter("app"), call.parameter("msg"))
                let message = try await worker.run {
                    try messages.message(ref, application: application, call.caller)
                }
                return SvixReply(200, text: message.text(withContent: withContent))
            },
        ]
    }
    private var expunge: Route {
        let (messages, worker) = (messages, worker)
        return .svix(
            .delete, "/app/{app}/msg/{msg}/content", "v1.message.expunge-content",
            "Show a message's payload no more, and send it to nobody by hand.", status: 204
        ) { call in
            let (application, ref) = (call.parameter("app"), call.parameter("msg"))
            try await worker.run { try messages.expunge(ref, application: application, call.caller) }
            return SvixReply(204)
        }
    }
}

extension SvixPage {
    /// The page as JSON, of items that are JSON already.
    func text(_ item: (Item) -> String) -> String {
        let rest = JSONText.of(json { _ in .null })
        // `data` comes first: keys are sorted.
        let head = "{\"data\":["
        precondition(rest.hasPrefix(head))
        return head + data.map(item).joined(separator: ",") + rest.drop { $0 != "]" }
    }
}
