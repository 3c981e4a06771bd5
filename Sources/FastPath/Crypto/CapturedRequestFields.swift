// What a captured request says, as values of their own: for verifiers that are code and may allocate. Worker threads
// and tests only.

extension CapturedRequest {
    package var method: String { text(head.methodRange) }
    /// Path and query, exactly as received.
    package var target: String { text(head.target) }
    /// Without the query; empty in an absolute form without one, which means "/".
    package var path: String { text(head.path) }
    /// Without its question mark; empty when there is none.
    package var query: String { text(head.query) }
    package var host: String { text(head.host) }

    /// The values of each line called `name`, in order, without the white space around them.
    package func values(of name: String) -> [[UInt8]] { values(of: HeaderName(name)) }
    package func values(of wanted: HeaderName) -> [[UInt8]] {
        bytes.withView { view in
            var values: [[UInt8]] = []
            var place = fields.firstIndex(of: wanted, in: view)
            while place >= 0 {
                let range = fields[place].value
                values.append(Array(bytes[Int(range.start)..<range.end]))
                place = fields.firstIndex(of: wanted, in: view, from: place + 1)
            }
            return values
        }
    }

    private func text(_ range: ByteRange) -> String {
        String(decoding: bytes[Int(range.start)..<range.end], as: UTF8.self)
    }
}
