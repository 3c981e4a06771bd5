// Whether what the running gateway appends to can still be found: the folder under its path, and in it the segment that
// is written to. A deleted file takes writes and syncs as before, and nothing of it is there after a restart.
//
// Invariant: a loss is only what is seen to be gone or replaced; an error of looking (no descriptor left, a disk that
// does not answer) is none.
// Safety: names and numbers handed to C live through the call.

import CShims

package enum LogLoss: Equatable, Sendable, CustomStringConvertible {
    /// Everything that was ever written.
    case folder
    /// The segment with this first sequence, and with it all events from there on.
    case segment(UInt64)

    /// Events from this sequence on can be found by nobody.
    package var firstSequence: UInt64 {
        switch self {
        case .folder: 0
        case .segment(let first): first
        }
    }
    package var description: String {
        switch self {
        case .folder: "the data folder was deleted or replaced while running"
        case .segment(let first):
            "log segment \(SegmentName.segment(first)) was deleted or replaced while running; its events are lost"
        }
    }
}

package struct LogWatch: Sendable {
    private let folder: LogFolder
    /// The segment and its file when it was first looked at.
    private var watched: (first: UInt64, identity: FileIdentity)?

    package init(_ folder: LogFolder) { self.folder = folder }

    /// Nil while everything is in place. `segment` is the first sequence of the segment that is written to, 0 = none
    /// yet. Three system calls for each of the two.
    package mutating func loss(segment: UInt64) -> LogLoss? {
        guard folder.isInPlace else { return .folder }
        guard segment > 0 else { return nil }
        switch FileIdentity.look(folder.directory, SegmentName.segment(segment), 0) {
        // Behind a newer one it is not written to any more, and retention may have removed it.
        case .missing: return isNewest(segment) ? .segment(segment) : nil
        case .unknown: return nil
        case .found(let identity):
            if watched?.first != segment { watched = (segment, identity) }
            return watched?.identity == identity ? nil : .segment(segment)
        }
    }
    private func isNewest(_ segment: UInt64) -> Bool {
        guard let newest = try? folder.segments().last else { return true }
        return newest < segment
    }
}

/// Which file this is, whatever its name.
struct FileIdentity: Equatable, Sendable {
    enum Look: Equatable { case found(FileIdentity), missing, unknown }
    private var device: UInt64 = 0
    private var inode: UInt64 = 0

    /// Nil when the system does not say.
    init?(_ file: Int32) {
        guard unsafe sluice_file_identity(file, &device, &inode) == 0 else { return nil }
    }
    static func look(_ directory: Int32, _ name: String, _ flags: Int32) -> Look {
        let file = unsafe sluice_file_open(directory, name, flags)
        guard file >= 0 else { return file == -LogFolder.noEntry || file == -notADirectory ? .missing : .unknown }
        defer { _ = sluice_file_close(file) }
        return FileIdentity(file).map { .found($0) } ?? .unknown
    }
    private static let notADirectory: Int32 = 20
}
