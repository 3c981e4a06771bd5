// The calls of the log's files, led to a simulated disk: what `sluice_file_*` does on this thread while the world is
// entered.
//
// Safety: the files outlive the world's stay; buffers live through a call.

import CShims
import FastPath

private func files(_ context: UnsafeMutableRawPointer?) -> SimulatedFiles {
    Unmanaged<SimulatedFiles>.fromOpaque(context!).takeUnretainedValue()
}

package final class FileCalls {
    private let held: SimulatedFiles
    private let table: UnsafeMutablePointer<sluice_file_world>

    package init(_ files: SimulatedFiles) {
        held = files
        table = .allocate(capacity: 1)
        var calls = sluice_file_world()
        calls.context = Unmanaged.passUnretained(files).toOpaque()
        FileCalls.names(&calls)
        FileCalls.contents(&calls)
        table.initialize(to: calls)
    }
    deinit { table.deallocate() }
    package func enter() { sluice_file_world_enter(table) }
    package func leave() { sluice_file_world_enter(nil) }

    private static func names(_ calls: inout sluice_file_world) {
        calls.open = { files($0).open($1, String(cString: $2!), $3) }
        calls.close = { files($0).close($1) }
        calls.rename = { files($0).rename($1, String(cString: $2!), String(cString: $3!)) }
        calls.remove = { files($0).remove($1, String(cString: $2!)) }
        calls.make_directory = { files($0).makeDirectory($1, String(cString: $2!)) }
        calls.list = { context, directory, place, target in
            guard let name = files(context).name(directory, Int(place)) else { return 0 }
            for (index, byte) in name.utf8CString.enumerated() { target![index] = byte }
            return 1
        }
        calls.identity = { context, file, device, inode in
            guard let number = files(context).identity(file) else { return -9 }
            device!.pointee = 1
            inode!.pointee = number
            return 0
        }
    }
    private static func contents(_ calls: inout sluice_file_world) {
        calls.read = { Int64(files($0).read($1, $2!, $3, Int($4))) }
        calls.write = { Int64(files($0).write($1, $2!, $3, Int($4))) }
        calls.sync = { files($0).sync($1) }
        calls.allocate = { files($0).allocate($1, Int($2)) }
        calls.size = { Int64(files($0).size($1)) }
        calls.free_bytes = { Int64(files($0).freeBytes()) }
        calls.random = { context, bytes, count in
            for index in 0..<count {
                bytes!.storeBytes(
                    of: UInt8(truncatingIfNeeded: files(context).chance.next()), toByteOffset: index, as: UInt8.self)
            }
            return 0
        }
    }
}
