// Where the files are that tests read: those of this repository, and the vectors that may lie beside it.
import Foundation

package enum Repository {
    /// Three folders above this file.
    package static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    package static func file(_ path: String) -> URL { root.appending(path: path) }
    /// The same as text, for commands.
    package static func path(_ path: String) -> String { file(path).path }
    package static func fixture(_ name: String) -> URL { file("Tests/Fixtures/\(name)") }

    /// `shared/vectors`, in the nearest folder above that has it; nil where none does.
    package static let sharedVectors: URL? = {
        var folder = root
        while folder.path != "/" {
            let candidate = folder.appending(path: "shared/vectors")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
            folder = folder.deletingLastPathComponent()
        }
        return nil
    }()
}
