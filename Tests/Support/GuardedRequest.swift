// Requests with signatures, in memory that ends at a guard page and stays where it is until the test is done.
import FastPath

/// A request parsed by the codec; its bytes and its body each end at a page nobody may touch.
package final class GuardedRequest {
    package let message: ByteView
    package let body: ByteView
    package private(set) var head = RequestHead()
    private let fields: FieldBox
    private let messageMemory: GuardedBytes
    private let bodyMemory: GuardedBytes

    private final class FieldBox {
        var table = FieldTable()
    }

    package init(_ headers: [(String, String)], body: [UInt8], target: String = "/in/x") {
        var text = "POST \(target) HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n"
        for (name, value) in headers { text += "\(name): \(value)\r\n" }
        messageMemory = GuardedBytes(Array((text + "\r\n").utf8))
        bodyMemory = GuardedBytes(body)
        message = ByteView(
            UnsafePointer(messageMemory.start(count: messageMemory.capacity)), count: messageMemory.capacity)
        self.body = ByteView(UnsafePointer(bodyMemory.start(count: body.count)), count: body.count)
        fields = FieldBox()
        var parser = HeadParser()
        let result = parser.parse(message, into: &head, fields: &fields.table, limits: IngestLimits())
        guard case .complete = result else { preconditionFailure("the test's request is malformed: \(result)") }
    }

    package func add(to verifier: inout BatchVerifier, _ scheme: SignatureScheme, now: UInt64 = 0) -> AddResult {
        verifier.add(scheme: scheme, request: message, head: head, fields: fields.table, body: body, nowSeconds: now)
    }
    /// Copies, decoded: the request's memory may be gone when a caller looks at them.
    package func select(_ selectors: EventSelectors) -> (id: String, type: String, dedupKey: String?, keyIsBody: Bool) {
        withExtendedLifetime(self) {
            let texts = selectors.texts(bytes: message, head: head, fields: fields.table, body: body)
            func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
            return (text(texts.eventID), text(texts.eventType), texts.key.map(text), texts.keyIsBody)
        }
    }
    /// What one list of places finds, decoded; nil when it finds nothing.
    package func select(_ spellings: [String], in memory: CompiledMemory) throws -> String? {
        let selectors = try EventSelectors(eventID: [], eventType: spellings, dedupKey: [], in: memory)
        let found = select(selectors).type
        return found.isEmpty ? nil : found
    }
}
