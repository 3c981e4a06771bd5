// What a source's sender hears after an event: what the source says, else what the provider wants, else our own words.

import FastPath

enum AnswerCompiler {
    static func answer(
        of source: SourceConfiguration, _ provider: Provider
    ) throws(SourceProblemError) -> IngestAnswer {
        guard let own = source.answer else {
            guard let body = provider.successBody else { return IngestAnswer(status: provider.successStatus) }
            return IngestAnswer(status: provider.successStatus, contentType: jsonType, body: "\(body)")
        }
        let status = own.status ?? provider.successStatus
        guard (200...299).contains(status), Reply.isKnown(status: status) else {
            throw SourceProblemError(.badAnswer(key: "status", why: "\(status) is none of 200, 201, 202, 204"))
        }
        guard let body = own.body ?? provider.successBody.map({ "\($0)" }) else {
            guard own.type == nil else {
                throw SourceProblemError(.badAnswer(key: "type", why: "needs a `body` that is of it"))
            }
            return IngestAnswer(status: status)
        }
        guard status != 204 || body.isEmpty else {
            throw SourceProblemError(.badAnswer(key: "body", why: "a 204 has none"))
        }
        guard body.utf8.count <= IngestAnswer.bodyBytesMax else {
            throw SourceProblemError(
                .badAnswer(key: "body", why: "has \(body.utf8.count) bytes; at most \(IngestAnswer.bodyBytesMax)"))
        }
        let type = own.type ?? jsonType
        guard isContentType(type) else {
            throw SourceProblemError(
                .badAnswer(
                    key: "type",
                    why: "is no content type such as text/plain, of at most \(Reply.textBytesMax) bytes"))
        }
        return IngestAnswer(status: status, contentType: type, body: body)
    }
    private static let jsonType = "application/json"

    static func isContentType(_ text: String) -> Bool {
        text.utf8.count <= Reply.textBytesMax && text.contains("/")
            && text.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7F }
    }
}
