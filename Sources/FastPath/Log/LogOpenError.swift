// Why a data folder cannot be used: each with what is wrong and how to fix it. Shown to the operator as it stands.
// Safety: the system's error texts are static memory.

import CShims

package enum LogOpenError: Error, Equatable, CustomStringConvertible {
    case folderUnusable(path: String, systemError: Int32)
    /// Another process has it.
    case locked(path: String)
    /// There are segments and no identity, or the identity file is none.
    case foreign(path: String, what: String)
    case identityDamaged(path: String)
    case newerVersion(path: String, version: UInt32)
    /// A segment of another log, or one that was renamed.
    case foreignSegment(path: String, name: String)
    case fileFailed(path: String, operation: String, systemError: Int32)
    case noMemory(bytes: Int)

    package var description: String {
        switch self {
        case .folderUnusable(let path, let error):
            return "\(path): cannot be used as the data folder: \(systemText(error)); "
                + "create it, or give this user the right to write there, or set `data:` to another folder"
        case .locked(let path):
            return "\(path): another sluice process is using this data folder; stop it, "
                + "or set `data:` to another folder"
        case .foreign(let path, let what):
            return "\(path): not a data folder of sluice: \(what); set `data:` to an empty or a new folder"
        case .identityDamaged(let path):
            return "\(path)/log/identity: damaged, and without it no record can be verified; "
                + "restore this file from a backup"
        case .newerVersion(let path, let version):
            return "\(path): written in format version \(version), this sluice knows version 1; use a newer sluice"
        case .foreignSegment(let path, let name):
            return "\(path)/log/\(name): belongs to another log or was renamed; move it out of the folder"
        case .fileFailed(let path, let operation, let error):
            return "\(path): \(operation) failed: \(systemText(error)); check the disk and its free space"
        case .noMemory(let bytes):
            return
                "\(bytes) bytes of memory cannot be allocated; lower the dedup table's entries or the log's group size"
        }
    }
}

/// An errno in words.
package func systemText(_ error: Int32) -> String {
    unsafe String(cString: sluice_error_text(error < 0 ? -error : error))
}
