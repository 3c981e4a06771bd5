// Room on the disk that is kept for the store: a file that nobody reads, let go of when the disk is full, so that a
// start and the results of deliveries find room where nothing else does, and made again when there is some.
//
// Invariant: it is made only while it takes a small part of what is free, and nothing ever waits for it; a failure to
// make it is no one's failure.

import FastPath
import Foundation
import Logging
import Synchronization

package final class DiskReserve: Sendable {
    package static let fileName = "reserve"
    package static let byteCount = 16 << 20
    /// It is made while at least so many times its size are free.
    private static let freeFactor = 8

    private let folder: String
    private let path: String
    private let logger: Logger
    private let isThere: Mutex<Bool>

    package init(folder: String, logger: Logger) {
        self.folder = folder
        path = folder + "/" + DiskReserve.fileName
        self.logger = logger
        isThere = Mutex(FileManager.default.fileExists(atPath: path))
    }
    /// Before the store is opened: on a disk that is all but full it goes, for a start writes too.
    package func prepare() {
        if let free = SyncProbe.freeBytes(folder: folder), free < DiskReserve.byteCount / 4 {
            letGo()
        } else {
            restore()
        }
    }
    /// The disk is full. True when there is more room now.
    @discardableResult package func letGo() -> Bool {
        isThere.withLock { isThere in
            guard isThere else { return false }
            do { try FileManager.default.removeItem(atPath: path) } catch { return false }
            isThere = false
            logger.warning(
                "the disk is full; the room kept for the store is used", metadata: ["file": "\(DiskReserve.fileName)"])
            return true
        }
    }
    /// Makes it when it is missing and there is room again. Costs nothing while it is there.
    package func restore() {
        isThere.withLock { isThere in
            guard !isThere, let free = SyncProbe.freeBytes(folder: folder),
                free >= DiskReserve.byteCount * DiskReserve.freeFactor
            else { return }
            isThere = make()
            // Half a reserve is none, and takes room.
            if !isThere { try? FileManager.default.removeItem(atPath: path) }
        }
    }
    private func make() -> Bool {
        guard
            FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600]),
            let file = FileHandle(forWritingAtPath: path)
        else { return false }
        defer { try? file.close() }
        return posix_fallocate(file.fileDescriptor, 0, off_t(DiskReserve.byteCount)) == 0
    }
}
