// One step of what is made of an event's JSON before it is sent, as an operator writes it. Plain values; what they mean
// is compiled by `Transformation`, which also says what is wrong with them.
import FastPath

package enum TransformStep: Equatable, Codable, Sendable {
    /// Nothing but what stands there.
    case pick(paths: [String])
    case remove(paths: [String])
    /// `to`: a name in the same object.
    case rename(path: String, to: String)
    /// `json`: any value, spelled as it is to be sent.
    case constant(path: String, json: String)
    /// `form`: a word of `TransformFormat`.
    case format(path: String, form: String)
    /// `text` with `{{$.PATH}}` for what stands there.
    case template(path: String, text: String)

    package static let names = ["pick", "remove", "rename", "constant", "format", "template"]
    /// For a difference and the audit: of what is set no text, which may be a secret of the receiver's, but the
    /// beginning of its digest, so that another one is seen.
    package var text: String {
        switch self {
        case .pick(let paths): "pick \(paths.joined(separator: " "))"
        case .remove(let paths): "remove \(paths.joined(separator: " "))"
        case .rename(let path, let to): "rename \(path) to \(to)"
        case .constant(let path, let json): "constant \(path) (\(TransformStep.digest(json)))"
        case .format(let path, let form): "format \(path) \(form)"
        case .template(let path, let text): "template \(path) (\(TransformStep.digest(text)))"
        }
    }
    private static func digest(_ text: String) -> Substring {
        TextEncoding.hex(Digest.sha256(Array(text.utf8))).prefix(8)
    }
}
