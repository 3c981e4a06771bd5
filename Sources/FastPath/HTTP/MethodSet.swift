// The methods that a source takes, as one byte, and how `Allow` names them.

package struct MethodSet: OptionSet, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let get = MethodSet(.get)
    package static let head = MethodSet(.head)
    package static let post = MethodSet(.post)
    package static let put = MethodSet(.put)
    package static let patch = MethodSet(.patch)
    package static let options = MethodSet(.options)

    @inline(__always) private init(_ method: Method) { rawValue = 1 << method.rawValue }
    @inline(__always) package func takes(_ method: Method) -> Bool {
        // DELETE and whatever has no name here are never an event.
        rawValue & 1 << method.rawValue != 0
    }
    /// `GET, POST`, in a fixed order; empty for the empty set. Allocates; for compilation.
    package var text: String {
        let names: [(MethodSet, String)] = [
            (.get, "GET"), (.head, "HEAD"), (.options, "OPTIONS"), (.patch, "PATCH"), (.post, "POST"), (.put, "PUT"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
}
