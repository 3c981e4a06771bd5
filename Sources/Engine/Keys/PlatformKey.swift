// The key that a gateway begins with: made at the first start, said once, kept in a file of the data folder for whoever
// owns the folder, who could read everything else in it anyway.
//
// Invariant: a start that ends anywhere in between leaves a folder whose next start makes a key that its owner knows:
// no key counts as left before its file is there, and a file that asks for one asks until the key is in force.
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
        let line = Array((token + "\n").utf8)
        let draft = KeyDraft(tenant: nil, role: .platform, name: "platform", digest: digester.digest(of: token))
        let change = RegistryChange.edits(void.map { .deleteKey($0.id) } + [.createKey(draft)])
        if isAskedFor {
            _ = try registry.apply(change, actor: .start)
            try digester.save(in: folder)
            try file.write(line)
        } else {
            try file.write(line)
            _ = try registry.apply(change, actor: .start)
            try digester.save(in: folder)
        }
        return token
    }
    /// What is in the file of a data folder; nil when there is none, or nothing in it.
    package static func token(inFolder folder: String) throws(KeyFileError) -> String? {
        guard let bytes = try PrivateFile(path: folder + "/" + fileName).read() else { return nil }
        let text = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        return text.isEmpty ? nil : text
    }
}
