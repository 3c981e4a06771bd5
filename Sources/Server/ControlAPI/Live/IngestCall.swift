// A call of the ingest port as the control API would see it: its path, what of its fields counts, who sent it; and the
// control API's refusals as its answers. Pure.
import Engine
import FastPath
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

struct IngestCall {
    static let eventsPath = ControlAPI.base + "/events"
    /// As long as an event's id.
    static let eventPlace = String(repeating: "0", count: EventID.byteCount)

    let path: String
    /// Without its question mark.
    let query: String
    let requestID: String
    let traceLines: String
    let authorization: [String]
    let idempotencyKeys: [String]
    let tenant: String?
    let contentType: String?
    /// It has the header that no page of another origin sets.
    let hasMark: Bool
    private let client: IPAddress?
    /// Of `/api/v1/app/{app}/msg`.
    let application: String?

    init(_ call: borrowing OffloadedRequest) {
        path = call.request.path
        query = call.request.query
        func texts(_ name: HeaderName) -> [String] {
            call.request.values(of: name).map { String(decoding: $0, as: UTF8.self) }
        }
        // Several lines are one list, as on the control API.
        func joined(_ name: HeaderName) -> String? {
            let lines = texts(name)
            return lines.isEmpty ? nil : lines.joined(separator: ", ")
        }
        requestID = RequestID.accepted(joined(HeaderNames.requestID)) ?? RequestID.make()
        traceLines = TraceContext.lines(
            parents: texts(HeaderNames.traceParent), states: texts(HeaderNames.traceState))
        authorization = texts(HeaderNames.authorization)
        idempotencyKeys = texts(HeaderNames.idempotencyKey)
        tenant = joined(HeaderNames.tenant)
        contentType = joined(HeaderNames.contentType)
        hasMark = texts(HeaderNames.mark) == ["1"]
        client = call.client
        application = IngestCall.application(path)
    }
    private enum HeaderNames {
        static let authorization = HeaderName("authorization")
        static let idempotencyKey = HeaderName("idempotency-key")
        static let requestID = HeaderName("x-request-id")
        static let traceParent = HeaderName("traceparent")
        static let traceState = HeaderName("tracestate")
        static let tenant = HeaderName("x-tenant-id")
        static let contentType = HeaderName("content-type")
        static let mark = HeaderName("x-sluice-request")
    }
    private static let applicationStart = ControlAPI.base + "/app/"
    private static let applicationEnd = "/msg"

    static func application(_ path: String) -> String? {
        guard path.hasPrefix(applicationStart), path.hasSuffix(applicationEnd) else { return nil }
        let name = path.dropFirst(applicationStart.utf8.count).dropLast(applicationEnd.utf8.count)
        guard !name.isEmpty, !name.utf8.contains(UInt8(ascii: "/")) else { return nil }
        let text = String(name)
        return text.utf8.contains(UInt8(ascii: "%")) ? text.removingPercentEncoding ?? text : text
    }
    var surface: Surface { path == IngestCall.eventsPath ? .own : .svix }
    var address: String { client?.text ?? "unknown" }
    /// Several lines are one list, as HTTP says, and no key.
    var svixIdempotencyKey: String? {
        let text = idempotencyKeys.joined(separator: ", ")
        return text.isEmpty ? nil : text
    }

    /// For those who read a query; nil when there is none.
    var request: Request? {
        guard !query.isEmpty else { return nil }
        let head = HTTPRequest(method: .post, scheme: nil, authority: nil, path: "/?" + query)
        return Request(head: head, body: RequestBody(buffer: ByteBuffer()))
    }

    // MARK: answers

    /// Of every answer.
    var lines: String { "Cache-Control: no-store\r\nX-Request-Id: \(requestID)\r\n" }

    func answer(_ error: ControlError) -> PublicationAnswer {
        guard surface == .own else { return answer(SvixError(error)) }
        let text = APIText.of(ProblemDocument(error, request: requestID)) + "\n"
        var answer = PublicationAnswer(status: error.code.status, body: Array(text.utf8))
        answer.contentType = ProblemDocument.contentType
        answer.lines = lines + IngestCall.lines(ofStatus: answer.status)
        return answer
    }
    func answer(_ error: SvixError) -> PublicationAnswer {
        var answer = PublicationAnswer(status: error.status, body: Array((JSONText.of(error.body) + "\n").utf8))
        answer.lines = lines + IngestCall.lines(ofStatus: error.status)
        return answer
    }
    /// Made ready with each message that has an event id; an encoder would cost more than all else of it.
    var conflict: PublicationAnswer {
        var answer = PublicationAnswer(status: SvixError.knownEventID.status, body: IngestCall.conflictBody)
        answer.lines = lines
        return answer
    }
    private static let conflictBody = Array((JSONText.of(SvixError.knownEventID.body) + "\n").utf8)

    private static func lines(ofStatus status: Int) -> String {
        switch status {
        case 401: "WWW-Authenticate: Bearer realm=\"sluice\"\r\n"
        case 429: "Retry-After: 60\r\n"
        case 503: "Retry-After: 1\r\n"
        default: ""
        }
    }
}
