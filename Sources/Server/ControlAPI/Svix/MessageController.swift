// Messages of the Svix-shaped API: published, listed, shown, expunged.
import Engine
import HTTPTypes

struct MessageController {
    let messages: any SvixMessages
    let applications: any SvixApplications
    let kept: KeptAnswers
    let worker: ControlWorker

    var routes: [Route] { [create] + reading + [expunge, precheck] }

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
            let key = call.idempotencyKey
            if let key, !IdempotencyKey.isRight(key) {
                throw SvixError.generic("`idempotency-key` \(IdempotencyKey.form)")
            }
            let read: @Sendable () throws -> SvixMessageDraft = {
                try SvixMessageDraft(call.body, application: application, idempotencyKey: key)
            }
            let draft = try await call.body.count > MessageController.quickBytesMax ? worker.run(read) : read()
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
    private var precheck: Route {
        let (messages, applications, worker) = (messages, applications, worker)
        return .svix(
            .post, "/app/{app}/msg/precheck/active", "v1.message.precheck",
            "Whether an endpoint that is not disabled would get such a message.",
            body: MessageController.precheckSchema, answer: MessageController.precheckAnswer, kept: kept
        ) { call in
            let application = call.parameter("app")
            _ = try await worker.run { try applications.application(application, call.caller) }
            let (type, channels) = try await worker.read(call) { body -> (String, [String]) in
                let type = body.requiredText("eventType") ?? ""
                if body.members["eventType"] != nil, !SvixRules.isLabel(type) {
                    body.report("eventType", message: SvixRules.aboutLabel())
                }
                let channels = body.labels(
                    "channels", count: 1...SvixMessageDraft.channelCountMax, bytesMax: PublishRules.labelBytesMax)
                return (type, channels.value ?? [])
            }
            let isActive = try await worker.run {
                try messages.isWanted(type, channels: channels, application: application, call.caller)
            }
            return SvixReply(200, ["active": .bool(isActive)])
        }
    }
    private static let precheckSchema = ObjectSchema(
        "MessagePrecheckIn", "A message that might be.",
        [
            .required("eventType", .text, "1 to 256 of `a-z A-Z 0-9 - _ .`."),
            .optional(
                "channels", .orNull(.list(.text, countMax: SvixMessageDraft.channelCountMax)),
                "For endpoints that ask for channels."),
        ])
    private static let precheckAnswer = ObjectSchema(
        "MessagePrecheckOut", "Whether a message would go anywhere.",
        [.required("active", .flag, "An endpoint that is not disabled would get it.")])

    private var expunge: Route {
        let (messages, worker) = (messages, worker)
        return .svix(
            .delete, "/app/{app}/msg/{msg}/content", "v1.message.expunge-content",
            "Erase a message's payload from the log: it is shown and sent to nobody any more.", status: 204
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
