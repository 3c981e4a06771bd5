// A folder of its own for one test, removed when the test lets go of it. In memory where the system has such a file
// system: these tests sync often, and what they test is not the disk.
//
// Safety: buffers handed to C live through the call.

import Glibc

package final class TemporaryFolder {
    package let path: String

    package init() { path = TemporaryFolder.make() }
    deinit { TemporaryFolder.remove(path) }

    /// Its caller removes it.
    package static func make() -> String {
        let base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"
        var template = Array((base + "/sluice-test-XXXXXX").utf8CString)
        precondition(mkdtemp(&template) != nil)
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    package static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }
    package static func remove(_ path: String) {
        for name in names(path) {
            let child = path + "/" + name
            if unlink(child) != 0 { remove(child) }
        }
        rmdir(path)
    }
}
