// The key that a gateway begins with: made at the first start, said once, kept in a file of the data folder for whoever
// owns the folder, who could read everything else in it anyway.
//
// Invariant: the file is there before its key is in force, so a start that ends in between leaves no key that nobody
// knows.
import Foundation

package enum PlatformKey {
    package static let fileName = "platform.key"

    /// The token when a key was made, which is at the first start, when no platform key is left, and when the file is
    /// there and empty, which is how an operator who lost the token asks for another. A digester that is new makes all
    /// keys of before void.
    static func ensure(
        _ registry: RegistryService, _ digester: TokenDigester, folder: String, nowMillis: Int64
    ) throws -> String? {
        let file = PrivateFile(path: folder + "/" + fileName)
        let known = registry.state.keys.all
        let void = digester.isNew ? known : []
        let isAskedFor = try file.read()?.isEmpty ?? false
        let isLeft = !digester.isNew && known.contains { $0.role == .platform && !$0.isExpired(nowMillis: nowMillis) }
        guard !isLeft || isAskedFor else { return nil }
        let token = APIToken.make()
        try file.write(Array((token + "\n").utf8))
        let draft = KeyDraft(tenant: nil, role: .platform, name: "platform", digest: digester.digest(of: token))
        _ = try registry.apply(.edits(void.map { .deleteKey($0.id) } + [.createKey(draft)]), actor: .start)
        return token
    }
    /// What is in the file of a data folder; nil when there is none, or it is not this user's to read.
    package static func token(inFolder folder: String) -> String? {
        guard let bytes = try? PrivateFile(path: folder + "/" + fileName).read() else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }
}
