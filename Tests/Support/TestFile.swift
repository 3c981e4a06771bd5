// Whole files for tests that damage them byte by byte; a file that cannot be written stops the test.
//
// Safety: buffers handed to C live through the call.

import Glibc

package enum TestFile {
    package static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: ftell(file))
        fseek(file, 0, SEEK_SET)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }
    package static func write(_ path: String, _ bytes: [UInt8]) {
        guard let file = fopen(path, "wb") else { preconditionFailure("cannot write \(path)") }
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
    }
    package static func remove(_ path: String) { unlink(path) }
    package static func makeDirectory(_ path: String) { mkdir(path, 0o700) }
    package static func text(_ path: String) -> String { String(decoding: read(path), as: UTF8.self) }
}
