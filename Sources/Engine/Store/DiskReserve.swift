// Room on the disk that is kept for the store: a file that nobody reads. On a full disk it gets shorter, step by step,
// so that a start and the results of deliveries find room where nothing else does, and grows again when there is some.
//
// Invariants: what the running process takes of it never reaches the part that is kept for starts, however often the
// disk is filled again, and a start takes back what it did not need before it is over; so a disk that stays full has
// room for any number of starts. Nothing ever waits for it; a failure to make it is no one's failure.

import FastPath
import Foundation
import Logging
import Synchronization

package final class DiskReserve: Sendable {
    package static let fileName = "reserve"
    package static let byteCount = 16 << 20
    /// What the running process leaves.
    package static let startByteCount = 4 << 20
    /// What goes at once. A start writes some hundred KiB: SQLite's shared memory, pages of its write-ahead logs.
    package static let stepByteCount = 1 << 20
    /// It grows by whole ones of these.
    private static let unitByteCount = 64 << 10
    /// Beyond the part for starts it grows while at least so many times what is missing are free.
    private static let freeFactor = 8

    private struct State {
        /// Of the file; 0 when there is none.
        var byteCount: Int
        /// True from `prepare` to `endStart`, while what is free is the start's.
        var isStarting = false
    }
    private let folder: String
    private let path: String
    private let logger: Logger
    private let state: Mutex<State>

    package init(folder: String, logger: Logger) {
        self.folder = folder
        path = folder + "/" + DiskReserve.fileName
        self.logger = logger
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        let size = (attributes?[.size] as? NSNumber)?.intValue ?? 0
        state = Mutex(State(byteCount: min(size, DiskReserve.byteCount)))
    }

    // MARK: A start

    /// Before the store is opened: on a disk that is all but full a step of it goes, for a start writes too. False when
    /// there is no room and none could be made.
    package func prepare() -> Bool {
        if !isShort { restore() }
        state.withLock { $0.isStarting = true }
        // What was free may be the reserve's now.
        return !isShort || giveToStart()
    }
    /// One step more for a start that found the disk full. False when nothing is left.
    package func giveToStart() -> Bool { shorten(to: 0) }
    /// The process has started: what it did not need is kept for the next start.
    package func endStart() {
        state.withLock { $0.isStarting = false }
        restore()
    }
    private var isShort: Bool { SyncProbe.freeBytes(folder: folder).map { $0 < DiskReserve.stepByteCount } ?? false }

    // MARK: The running process

    /// The disk is full. True when there is more room now.
    package func letGo() -> Bool { shorten(to: DiskReserve.startByteCount) }
    /// Makes it as long as there is room for. Costs nothing while it is whole.
    package func restore() {
        state.withLock { state in
            guard state.byteCount < DiskReserve.byteCount, !state.isStarting,
                let free = SyncProbe.freeBytes(folder: folder)
            else { return }
            let missing = DiskReserve.byteCount - state.byteCount
            let isRoomy = free >= missing * DiskReserve.freeFactor
            let wanted = isRoomy ? missing : min(DiskReserve.startByteCount - state.byteCount, free)
            if wanted >= DiskReserve.unitByteCount { lengthen(&state, by: wanted) }
        }
    }

    // MARK: The file

    private func shorten(to least: Int) -> Bool {
        state.withLock { state in
            guard state.byteCount > least else { return false }
            let wasWhole = state.byteCount == DiskReserve.byteCount
            // The sync, because some file systems give blocks back only with the next commit of their journal.
            let next = max(least, state.byteCount - DiskReserve.stepByteCount)
            guard let file = open(), ftruncate(file.fileDescriptor, off_t(next)) == 0 else {
                // Removed by somebody, who has that room.
                state.byteCount = 0
                return false
            }
            _ = fsync(file.fileDescriptor)
            try? file.close()
            state.byteCount = next
            if wasWhole {
                logger.warning(
                    "the disk is full; the room kept for the store is used",
                    metadata: ["file": "\(DiskReserve.fileName)"])
            }
            return true
        }
    }
    /// By less when there turns out to be less room.
    private func lengthen(_ state: inout State, by wanted: Int) {
        if open() == nil {
            let isMade = FileManager.default.createFile(
                atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
            if !isMade { return }
            state.byteCount = 0
        }
        guard let file = open() else { return }
        defer { try? file.close() }
        var count = wanted / DiskReserve.unitByteCount * DiskReserve.unitByteCount
        while count >= DiskReserve.unitByteCount {
            if posix_fallocate(file.fileDescriptor, off_t(state.byteCount), off_t(count)) == 0 {
                state.byteCount += count
                return
            }
            // What it got before the disk was full goes back.
            _ = ftruncate(file.fileDescriptor, off_t(state.byteCount))
            count = count / 2 / DiskReserve.unitByteCount * DiskReserve.unitByteCount
        }
    }
    private func open() -> FileHandle? { FileHandle(forUpdatingAtPath: path) }
}
