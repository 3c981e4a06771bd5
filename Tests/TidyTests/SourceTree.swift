// Finds the files of the repository. Reads only; skips what a build or a test run leaves behind.
import Foundation

/// The tree that this test was compiled from.
enum SourceTree {
    /// Three folders above this file.
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Folders that hold no source of ours.
    private static func isSkipped(_ name: String) -> Bool {
        [".build", ".venv"].contains { name.hasPrefix($0) }
            || [".git", ".swiftpm", "__pycache__", "sluice-data"].contains(name)
    }

    /// Every file under `folder` with one of these endings, relative to the root, in a fixed order.
    static func files(under folder: String = "", endings: [String]) throws -> [SourceText] {
        var found: [SourceText] = []
        var folders = [folder]
        while let current = folders.popLast() {
            let url = current.isEmpty ? root : root.appendingPathComponent(current)
            guard let names = try? FileManager.default.contentsOfDirectory(atPath: url.path) else { continue }
            for name in names.sorted() where !isSkipped(name) {
                let path = current.isEmpty ? name : current + "/" + name
                var isFolder: ObjCBool = false
                let full = root.appendingPathComponent(path).path
                guard FileManager.default.fileExists(atPath: full, isDirectory: &isFolder) else { continue }
                if isFolder.boolValue {
                    folders.append(path)
                } else if endings.contains(where: { name.hasSuffix($0) }) {
                    let data = try Data(contentsOf: root.appendingPathComponent(path))
                    found.append(SourceText(path: path, text: String(decoding: data, as: UTF8.self)))
                }
            }
        }
        return found.sorted { $0.path < $1.path }
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }
}
