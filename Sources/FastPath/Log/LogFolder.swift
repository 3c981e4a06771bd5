// The data folder on disk: its lock, the log's identity and secrets, and the names in `log/`. Synchronous file calls;
// used at start and by the worker that keeps segments, never by a loop.
//
// Invariants: one process writes (flock on LOCK, held until `unlock` or the end of this object); the identity is
// written once, with tmp + fsync + rename + fsync of the folder, before the first segment exists. A folder with
// segments and no identity is refused: a new identity would make every record in it unreadable.
// Safety: buffers handed to C live through the call.

import CShims
import Synchronization

package struct LogIdentity: Equatable, Sendable {
    static let magic: UInt64 = 0x4449_474F_4C5F_4C53 // "SL_LOGID"
    static let version: UInt64 = 1
    static let byteCount = 64
    static let checksumSeed: UInt64 = 0x4C6F_6749_6465_6E74

    /// Leads every event id and every checksum of this log.
    package var identity: UInt64
    package var seed: UInt64
    package var tagKey0: UInt64
    package var tagKey1: UInt64

    package init(identity: UInt64, seed: UInt64, tagKey0: UInt64, tagKey1: UInt64) {
        self.identity = identity
        self.seed = seed
        self.tagKey0 = tagKey0
        self.tagKey1 = tagKey1
    }
    package var keys: FingerprintKeys { FingerprintKeys(seed: seed, tagKey0: tagKey0, tagKey1: tagKey1) }

    static func random() -> LogIdentity? {
        var words = [UInt64](repeating: 0, count: 4)
        guard unsafe words.withUnsafeMutableBytes({ unsafe sluice_random_bytes($0.baseAddress, $0.count) }) == 0 else {
            return nil
        }
        return LogIdentity(identity: words[0], seed: words[1], tagKey0: words[2], tagKey1: words[3])
    }
    var bytes: [UInt8] {
        let words = [LogIdentity.magic, LogIdentity.version, identity, seed, tagKey0, tagKey1, 0]
        var bytes: [UInt8] = []
        for word in words { LogIdentity.append(word, to: &bytes) }
        unsafe LogIdentity.append(sluice_xxh3_64(bytes, bytes.count, LogIdentity.checksumSeed), to: &bytes)
        return bytes
    }
    private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    enum Reading: Equatable { case identity(LogIdentity), foreign, damaged, newer(UInt32) }
    static func read(_ bytes: [UInt8]) -> Reading {
        guard bytes.count >= 16 else { return .damaged }
        let words = bytes.withView { view in
            (0..<view.count / 8).map { UInt64(littleEndian: view.load(8 * $0, as: UInt64.self)) }
        }
        guard words[0] == magic else { return .foreign }
        guard bytes.count == byteCount, unsafe sluice_xxh3_64(bytes, 56, checksumSeed) == words[7] else {
            return words[1] > version && bytes.count != byteCount ? .newer(UInt32(clamping: words[1])) : .damaged
        }
        guard words[1] == version else { return .newer(UInt32(clamping: words[1])) }
        return .identity(LogIdentity(identity: words[2], seed: words[3], tagKey0: words[4], tagKey1: words[5]))
    }
}

/// Flags of `sluice_file_open`.
enum FileFlag {
    static var write: Int32 { Int32(SLUICE_FILE_WRITE) }
    static var create: Int32 { Int32(SLUICE_FILE_CREATE) }
    static var ensure: Int32 { Int32(SLUICE_FILE_ENSURE) }
    static var direct: Int32 { Int32(SLUICE_FILE_DIRECT) }
    static var directory: Int32 { Int32(SLUICE_FILE_DIRECTORY) }
}

package final class LogFolder: Sendable {
    package enum Access: Sendable {
        /// Takes the lock; makes the folder and its identity when there is none.
        case exclusive
        /// Takes and changes nothing; works beside a running gateway.
        case readOnly
    }

    package let path: String
    package let identity: LogIdentity
    /// Descriptor of `log/`, for the names in a `CommitRoll`.
    package let directory: Int32
    /// What is being erased from it.
    package let erasures: LogErasures
    private let root: Int32
    private let lock: Int32
    private let isLocked = Atomic<Bool>(false)

    package init(path: String, access: Access) throws(LogOpenError) {
        self.path = path
        var opened: [Int32] = []
        do {
            root = try LogFolder.openRoot(path, access, &opened)
            lock = access == .exclusive ? try LogFolder.takeLock(root, path, &opened) : -1
            directory = try LogFolder.openLog(root, path, access, &opened)
            identity = try LogFolder.findIdentity(directory, path, access)
            erasures = try LogErasures(
                directory: directory, path: path, identity: identity.identity, isForeign: access == .readOnly)
        } catch {
            for file in opened { _ = sluice_file_close(file) }
            throw error
        }
        isLocked.store(lock >= 0, ordering: .relaxed)
    }
    deinit {
        unlock()
        _ = sluice_file_close(directory)
        if lock >= 0 { _ = sluice_file_close(lock) }
        _ = sluice_file_close(root)
    }
    /// Another process may take the folder from now on; nothing may be written to it here any more. Reading goes on.
    package func unlock() {
        guard isLocked.exchange(false, ordering: .acquiringAndReleasing) else { return }
        // Not by closing alone: a child between fork and exec holds the same open file.
        _ = sluice_file_unlock(lock)
    }

    private static func openRoot(
        _ path: String, _ access: Access, _ opened: inout [Int32]
    ) throws(LogOpenError) -> Int32 {
        let working = sluice_file_working_directory()
        var root = unsafe sluice_file_open(working, path, FileFlag.directory)
        if root == -noEntry, access == .exclusive {
            let made = unsafe sluice_file_make_directory(working, path)
            if made < 0 { throw .folderUnusable(path: path, systemError: -made) }
            root = unsafe sluice_file_open(working, path, FileFlag.directory)
        }
        if root < 0 { throw .folderUnusable(path: path, systemError: -root) }
        opened.append(root)
        // Also when it was there: a start that ended before its own sync may have made it.
        if access == .exclusive { syncParent(of: root) }
        return root
    }
    // The name of a new folder is durable only when its parent is; a parent that cannot be opened says so at the next
    // write.
    private static func syncParent(of directory: Int32) {
        let parent = unsafe sluice_file_open(directory, "..", FileFlag.directory)
        guard parent >= 0 else { return }
        _ = sluice_file_sync(parent)
        _ = sluice_file_close(parent)
    }
    private static func takeLock(_ root: Int32, _ path: String, _ opened: inout [Int32]) throws(LogOpenError) -> Int32 {
        let lock = unsafe sluice_file_open(root, "LOCK", FileFlag.write | FileFlag.ensure)
        if lock < 0 { throw .folderUnusable(path: path, systemError: -lock) }
        opened.append(lock)
        let taken = sluice_file_lock(lock)
        if taken == -tryAgain { throw .locked(path: path) }
        if taken < 0 { throw .fileFailed(path: path + "/LOCK", operation: "lock", systemError: -taken) }
        return lock
    }
    private static func openLog(
        _ root: Int32, _ path: String, _ access: Access, _ opened: inout [Int32]
    ) throws(LogOpenError) -> Int32 {
        var directory = unsafe sluice_file_open(root, "log", FileFlag.directory)
        if directory == -noEntry {
            if access == .readOnly { throw .foreign(path: path, what: "it has no folder `log`") }
            let made = unsafe sluice_file_make_directory(root, "log")
            if made < 0 { throw .folderUnusable(path: path, systemError: -made) }
            directory = unsafe sluice_file_open(root, "log", FileFlag.directory)
        }
        if directory < 0 { throw .folderUnusable(path: path + "/log", systemError: -directory) }
        opened.append(directory)
        // As for the folder around it: without its name everything in it would be gone after a power cut.
        if access == .exclusive {
            let synced = sluice_file_sync(root)
            if synced < 0 { throw .fileFailed(path: path, operation: "fsync", systemError: -synced) }
        }
        return directory
    }

    private static func findIdentity(
        _ directory: Int32, _ path: String, _ access: Access
    ) throws(LogOpenError) -> LogIdentity {
        let file = unsafe sluice_file_open(directory, "identity", 0)
        if file == -noEntry {
            let names = try list(directory, path)
            if let segment = names.first(where: { SegmentName.firstSequence($0) != nil }) {
                throw .foreign(path: path, what: "log/\(segment) is there and log/identity is not")
            }
            if access == .readOnly { throw .foreign(path: path, what: "it has no log/identity") }
            return try makeIdentity(directory, path)
        }
        if file < 0 { throw .fileFailed(path: path + "/log/identity", operation: "open", systemError: -file) }
        defer { _ = sluice_file_close(file) }
        var bytes = [UInt8](repeating: 0, count: LogIdentity.byteCount + 1)
        let count = unsafe sluice_file_read(file, &bytes, bytes.count, 0)
        if count < 0 { throw .fileFailed(path: path + "/log/identity", operation: "read", systemError: Int32(-count)) }
        switch LogIdentity.read(Array(bytes.prefix(Int(count)))) {
        case .identity(let identity): return identity
        case .foreign: throw .foreign(path: path, what: "log/identity is not sluice's")
        case .damaged: throw .identityDamaged(path: path)
        case .newer(let version): throw .newerVersion(path: path, version: version)
        }
    }
    private static func makeIdentity(_ directory: Int32, _ path: String) throws(LogOpenError) -> LogIdentity {
        guard let identity = LogIdentity.random() else {
            throw .fileFailed(path: path, operation: "reading the kernel's random numbers", systemError: 5)
        }
        let name = path + "/log/identity"
        _ = unsafe sluice_file_remove(directory, "identity.tmp")
        let file = unsafe sluice_file_open(directory, "identity.tmp", FileFlag.write | FileFlag.create)
        if file < 0 { throw .fileFailed(path: name, operation: "create", systemError: -file) }
        defer { _ = sluice_file_close(file) }
        let bytes = identity.bytes
        let written = unsafe sluice_file_write(file, bytes, bytes.count, 0)
        if written != bytes.count {
            throw .fileFailed(path: name, operation: "write", systemError: written < 0 ? Int32(-written) : 28)
        }
        for (operation, call) in [
            ("fsync", { sluice_file_sync(file) }),
            ("rename", { unsafe sluice_file_rename(directory, "identity.tmp", "identity") }),
            ("fsync of the folder", { sluice_file_sync(directory) }),
        ] {
            let result = call()
            if result < 0 { throw .fileFailed(path: name, operation: operation, systemError: -result) }
        }
        return identity
    }

    // MARK: Names

    package func names() throws(LogOpenError) -> [String] { try LogFolder.list(directory, path) }
    /// First sequences of the segments, ascending.
    package func segments() throws(LogOpenError) -> [UInt64] {
        try names().compactMap(SegmentName.firstSequence).sorted()
    }
    /// Segments that were made ahead and never used; how many. Only while no journal has the folder.
    package func removeSpares() throws(LogOpenError) -> Int {
        var count = 0
        for name in try names() where SegmentName.isSpare(name) {
            let removed = unsafe sluice_file_remove(directory, name)
            if removed < 0 {
                throw .fileFailed(path: path + "/log/" + name, operation: "unlink", systemError: -removed)
            }
            count += 1
        }
        return count
    }
    private static func list(_ directory: Int32, _ path: String) throws(LogOpenError) -> [String] {
        var listing: OpaquePointer?
        let opened = unsafe sluice_listing_open(directory, &listing)
        guard opened == 0, let listing = unsafe listing else {
            throw .fileFailed(path: path, operation: "listing", systemError: -opened)
        }
        defer { unsafe sluice_listing_close(listing) }
        var names: [String] = []
        var buffer = [CChar](repeating: 0, count: 256)
        while true {
            let result = unsafe sluice_listing_next(listing, &buffer)
            if result < 0 { throw .fileFailed(path: path, operation: "listing", systemError: -result) }
            if result == 0 { return names }
            let length = buffer.firstIndex(of: 0) ?? 0
            let name = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if name != "." && name != ".." { names.append(name) }
        }
    }

    /// Rename and directory sync of a `CommitRoll`, for a driver without a ring. 0 or -errno.
    package func place(_ roll: CommitRoll) -> Int {
        let renamed = unsafe sluice_file_rename(directory, roll.spareName, roll.segmentName)
        return renamed < 0 ? Int(renamed) : Int(sluice_file_sync(directory))
    }
    /// False when the folder was deleted or another one stands under its name: what is appended would be found by
    /// nobody.
    package var isInPlace: Bool {
        guard let own = FileIdentity(directory) else { return true }
        switch FileIdentity.look(sluice_file_working_directory(), path + "/log", FileFlag.directory) {
        case .missing: return false
        case .unknown: return true
        case .found(let there): return there == own
        }
    }

    static let noEntry: Int32 = 2
    static let tryAgain: Int32 = 11
}
