// A document that is the same as long as the process runs: made when it is first asked for, sent with its tag, and not
// sent again to whoever shows that tag (RFC 9110, section 13.1.2).
//
// Invariant: it is made once, however many ask for it at the same time.
import Engine
import FastPath
import HTTPTypes
import Hummingbird
import NIOCore
import Synchronization

package final class KeptDocument: Sendable {
    private struct Text: Sendable {
        let bytes: ByteBuffer
        let tag: String
    }
    private let make: @Sendable () -> String
    private let text = Mutex<Task<Text, Never>?>(nil)

    package init(_ make: @escaping @Sendable () -> String) { self.make = make }

    private var begun: Task<Text, Never> {
        text.withLock { text in
            if let text { return text }
            let begun = Task { [make] in
                let made = Array(make().utf8)
                let digest = Array(Digest.sha256(made).prefix(16))
                return Text(bytes: ByteBuffer(bytes: made), tag: "\"\(TextEncoding.hex(digest))\"")
            }
            text = begun
            return begun
        }
    }
    /// `known`: what a request says in `If-None-Match`. No bytes when that names it.
    package func answer(_ known: String?) async -> (tag: String, bytes: ByteBuffer?) {
        let text = await begun.value
        return (text.tag, known.map { KeptDocument.names($0, text.tag) } == true ? nil : text.bytes)
    }
    func response(_ known: String?) async -> Response {
        let (tag, bytes) = await answer(known)
        var fields = HTTPFields()
        fields[.eTag] = tag
        fields[.cacheControl] = "private, no-cache"
        fields[.xContentTypeOptions] = "nosniff"
        guard let bytes else { return Response(status: .notModified, headers: fields) }
        fields[.contentType] = "application/json"
        return Response(status: .ok, headers: fields, body: ResponseBody(byteBuffer: bytes))
    }
    private static func names(_ list: String, _ tag: String) -> Bool {
        list.split(separator: ",").contains { one in
            let one = one.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
            return one == "*" || one == tag || one == "W/" + tag
        }
    }
}
