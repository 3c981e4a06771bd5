// A challenge and its answer as an operator writes them: how a sender tries an address before it delivers, in words
// that `HandshakeCompiler` reads. Defaults live here and nowhere else; `docs/configuration.md` documents each.

/// When a challenge is answered.
package enum HandshakeMoment: String, CaseIterable, Codable, Sendable {
    case get, head, options
    /// A POST, before its signature is looked at.
    case post
    /// A POST, after its signature was found right.
    case signed
}

package struct HandshakeConfiguration: Equatable, Codable, Sendable {
    package var on = HandshakeMoment.get
    /// `PLACE` (there, and not empty) or `PLACE=VALUE`; all of them must hold.
    package var when: [String] = []
    /// The place of the value that goes back.
    package var echo: String?
    package var status = 200
    /// Nil = application/json for a body that is JSON by its first character, else text/plain.
    package var type: String?
    /// `NAME: VALUE`; `{echo}` in it is the value that goes back.
    package var headers: [String] = []
    /// `{echo}` in it is the value that goes back.
    package var body = ""
    package init() {}
}
