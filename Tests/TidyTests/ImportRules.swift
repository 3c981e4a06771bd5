// Which module may import which, and where in a module a library may be used. A module that is not listed is a finding,
// so that a new one is placed on purpose.

enum ImportRules {
    /// By folder under Sources; CShims is C and imports nothing. Tests may import every floor.
    static let allowed: [String: Set<String>] = [
        "FastPath": ["CShims", "Synchronization"],
        "Engine": ["Dispatch", "FastPath", "Foundation", "GRDB", "GRDBSQLite", "Logging", "Synchronization"],
        "LoadGenerator": ["Engine", "FastPath", "Foundation", "Histogram"],
        "BenchmarkGate": ["Foundation"],
        "Server": [
            "ArgumentParser", "BenchmarkGate", "Engine", "FastPath", "Foundation", "HTTPTypes", "Hummingbird",
            "HummingbirdCore",
            "LoadGenerator", "Logging", "NIOCore", "NIOHTTP1", "NIOPosix", "Synchronization", "UnixSignals", "Yams",
        ],
    ]

    /// Libraries that belong to one kind of file: YAML to what an operator writes, SQL to the stores.
    static func isInPlace(_ module: String, _ path: String) -> Bool {
        switch module {
        case "Yams":
            path.hasPrefix("Sources/Server/Manifest/") || path.hasPrefix("Sources/Server/Configuration/")
                || path == "Sources/Server/Load/LoadMixFile.swift"
        case "Dispatch": path.hasPrefix("Sources/Engine/Store/")
        case "GRDB", "GRDBSQLite":
            path.hasPrefix("Sources/Engine/Store/") || path.hasPrefix("Sources/Engine/Rejected/")
                || path.hasPrefix("Sources/Engine/Registry/") && path.contains("Store")
        default: true
        }
    }

    static func imports(_ file: SourceText) -> [Finding] {
        let folders = file.path.split(separator: "/")
        guard folders.count > 2, folders[0] == "Sources" else { return [] }
        let module = String(folders[1])
        guard let allowed = allowed[module] else {
            return [Finding(path: file.path, line: 1, what: "the module \(module) has no place in ImportRules")]
        }
        let found = Rules.matches(
            file, /(?:^|\s)import\s+(?:(?:struct|class|enum|protocol|typealias|func|var|let)\s+)?(\w+)/)
        return found.compactMap { line, name in
            if !allowed.contains(name) {
                return Finding(path: file.path, line: line, what: "imports \(name), not below its floor")
            }
            if !isInPlace(name, file.path) {
                return Finding(path: file.path, line: line, what: "imports \(name), which belongs elsewhere")
            }
            return nil
        }
    }
}
