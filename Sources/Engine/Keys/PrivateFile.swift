// Small files of a data folder for their owner's eyes only, such as keys.
//
// Invariant: at the path is what it was before or all that is new, whenever the machine stops, and nothing that another
// user may read.
// Safety: the C strings of `open` and `rename` live through the call.
import FastPath
import Foundation

package struct PrivateFile {
    let path: String

    /// A new file that is empty and its owner's alone from the first moment, open for reading and writing; nil, with
    /// `errno`, when something is there already or none can be made. Foundation would make one of another name that
    /// anybody may read, and a process that is killed would leave that.
    package static func make(_ path: String) -> FileHandle? {
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        return descriptor < 0 ? nil : FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }
    /// What was renamed to `path` is there after a stop of the machine.
    package static func syncFolder(of path: String) throws {
        let folder = try FileHandle(forReadingFrom: URL(fileURLWithPath: path).deletingLastPathComponent())
        try folder.synchronize()
        try folder.close()
    }
    private var name: String { (path as NSString).lastPathComponent }

    /// Nil when there is none.
    func read() throws(KeyFileError) -> [UInt8]? {
        do { return [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) } catch {
            // A folder that this user may not look into is not one without the file.
            if (error as? CocoaError)?.code == .fileReadNoSuchFile { return nil }
            throw .unreadable(file: name, reason: reason(error))
        }
    }
    /// Durable when it returns.
    func write(_ bytes: [UInt8]) throws(KeyFileError) {
        let draft = path + ".new"
        do {
            try? FileManager.default.removeItem(atPath: draft)
            guard let handle = PrivateFile.make(draft) else {
                throw KeyFileError.unwritable(file: name, reason: systemText(errno))
            }
            try handle.write(contentsOf: Data(bytes))
            try handle.synchronize()
            try handle.close()
            guard unsafe rename(draft, path) == 0 else {
                throw KeyFileError.unwritable(file: name, reason: systemText(errno))
            }
            try PrivateFile.syncFolder(of: path)
        } catch let error as KeyFileError {
            throw error
        } catch { throw .unwritable(file: name, reason: reason(error)) }
    }
    /// Without a path.
    private func reason(_ error: any Error) -> String {
        let code = ((error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError)?.code
        return code.map { systemText(Int32($0)) } ?? "error \((error as NSError).code)"
    }
}
