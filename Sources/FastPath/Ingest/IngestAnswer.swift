// What a source's sender hears after an event that is kept. Trivial, so that a connection carries it from the request
// to the disk's receipt, over a reload that may come between.
//
// Invariant: texts are interned and live as long as the process, each once, however many sources and reloads use it.
// Safety: interned memory is written once, before anyone has a view of it, and never freed.

import Synchronization

@safe package struct IngestAnswer: Sendable {
    /// With a reply's head it has room in a connection's buffer.
    package static let bodyBytesMax = Handshake.answerBytesMax

    /// 200 to 299.
    package var status: UInt16 = 202
    /// False: our own answer, which names the event.
    private(set) var isOwn = false
    private(set) var body = ByteView.empty
    /// Not empty exactly when there is a body.
    private(set) var contentType = ByteView.empty

    package init(status: Int = 202) { self.status = UInt16(clamping: status) }
    /// A body of the source's own, which may be empty. Traps when it is longer than `bodyBytesMax`, or the content type
    /// than `Reply.textBytesMax`.
    package init(status: Int, contentType: String, body: String) {
        self.init(status: status)
        precondition(body.utf8.count <= IngestAnswer.bodyBytesMax && contentType.utf8.count <= Reply.textBytesMax)
        isOwn = true
        self.body = IngestAnswer.interned(body)
        self.contentType = body.isEmpty ? .empty : IngestAnswer.interned(contentType)
    }

    private static let known = Mutex<[String: ByteView]>([:])
    private static func interned(_ text: String) -> ByteView {
        known.withLock { known in
            if let view = known[text] { return view }
            let bytes = Array(text.utf8)
            let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(bytes.count, 1))
            for (index, byte) in bytes.enumerated() { unsafe (memory + index).initialize(to: byte) }
            let view = unsafe ByteView(UnsafePointer(memory), count: bytes.count)
            known[text] = view
            return view
        }
    }
}
