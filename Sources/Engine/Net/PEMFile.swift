// A file with certificates, keys or lists in PEM, read whole. Worker threads only.
//
// Invariant: messages name the file by its last part and never show what is in it.

import FastPath
import Foundation

package enum PEMFile {
    /// Larger than any store of authorities.
    private static let bytesMax = 4 << 20

    package static func name(_ path: String) -> String { URL(fileURLWithPath: path).lastPathComponent }

    package static func read(_ path: String) throws(PEMFileError) -> [UInt8] {
        let data: Data
        do { data = try Data(contentsOf: URL(fileURLWithPath: path)) } catch {
            let reason =
                switch (error as? CocoaError)?.code {
                case .fileReadNoSuchFile?: "there is no such file"
                case .fileReadNoPermission?: "this user may not read it"
                default: "it cannot be read"
                }
            throw PEMFileError(message: "`\(name(path))`: \(reason)")
        }
        guard data.count <= bytesMax else {
            throw PEMFileError(message: "`\(name(path))` is larger than \(bytesMax >> 20) MiB")
        }
        return Array(data)
    }
    /// Differs when what any of the files holds differs; one that cannot be read counts as none.
    package static func digest(_ paths: [String?]) -> String {
        var all: [UInt8] = []
        for path in paths {
            let bytes = path.flatMap { try? read($0) }
            all += Array("\(bytes?.count ?? -1):".utf8) + (bytes ?? [])
        }
        return TextEncoding.hex(Digest.sha256(all))
    }
}

package struct PEMFileError: Error, Equatable, Sendable { package let message: String }
