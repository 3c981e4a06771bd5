// How fast a folder's disk makes bytes durable: for `doctor`. Writes into a file of its own and removes it again.
//
// Safety: the buffer lent to the write lives through the call.
import CShims

package enum SyncProbe {
    /// Nanoseconds of `count` times 4 KiB written and fdatasynced, ascending. The file is filled first, as segments
    /// are. Nil, and why, when the folder does not take it.
    package static func run(folder path: String, count: Int) -> Result<[UInt64], SyncProbeError> {
        let folder = unsafe sluice_file_open(sluice_file_working_directory(), path, FileFlag.directory)
        guard folder >= 0 else { return .failure(SyncProbeError(errno: -folder)) }
        defer { _ = sluice_file_close(folder) }
        let name = ".sluice-doctor"
        _ = unsafe sluice_file_remove(folder, name)
        let file = unsafe sluice_file_open(folder, name, FileFlag.write | FileFlag.create)
        guard file >= 0 else { return .failure(SyncProbeError(errno: -file)) }
        defer {
            _ = sluice_file_close(file)
            _ = unsafe sluice_file_remove(folder, name)
        }
        let block = [UInt8](repeating: 0x5A, count: 4096)
        var times: [UInt64] = []
        for round in 0..<2 * count {
            let start = sluice_clock_monotonic()
            let written = unsafe sluice_file_write(file, block, block.count, UInt64(round % count * block.count))
            if written < 0 { return .failure(SyncProbeError(errno: Int32(-written))) }
            let synced = sluice_file_sync_data(file)
            if synced < 0 { return .failure(SyncProbeError(errno: -synced)) }
            if round >= count { times.append(sluice_clock_monotonic() - start) }
        }
        return .success(times.sorted())
    }
    /// Bytes an unprivileged process may still write there, or nil.
    package static func freeBytes(folder path: String) -> Int? {
        let folder = unsafe sluice_file_open(sluice_file_working_directory(), path, FileFlag.directory)
        guard folder >= 0 else { return nil }
        defer { _ = sluice_file_close(folder) }
        let free = sluice_file_system_free(folder)
        return free < 0 ? nil : Int(free)
    }
}

package struct SyncProbeError: Error, Equatable, CustomStringConvertible {
    package let errno: Int32
    package var description: String { systemText(errno) }
}
