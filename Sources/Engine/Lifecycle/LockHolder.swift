// Which process holds the lock of a data folder, for the message to its operator. A hint: the kernel's table of locks
// names no process of another PID namespace, and the process may be gone the next moment.

import Foundation

package struct LockHolder: Equatable, Sendable, CustomStringConvertible {
    package let pid: Int
    /// Nil when it cannot be read.
    package let command: String?
    package var description: String { command.map { "process \(pid) (\($0))" } ?? "process \(pid)" }

    /// Nil when the kernel does not say.
    package static func of(file: String) -> LockHolder? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: file),
            let inode = attributes[.systemFileNumber] as? Int,
            let table = try? String(contentsOfFile: "/proc/locks", encoding: .utf8),
            let pid = pid(inode: inode, in: table)
        else { return nil }
        let command = try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8)
        return LockHolder(pid: pid, command: command?.trimmingCharacters(in: .whitespacesAndNewlines))
    }
    /// The holder of a `flock` on the inode, in a table of the form of /proc/locks; not one who waits for it (`->`).
    package static func pid(inode: Int, in table: String) -> Int? {
        for line in table.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count >= 8, words[1] == "FLOCK", words[5].split(separator: ":").last == Substring("\(inode)"),
                let pid = Int(words[4]), pid > 0
            else { continue }
            return pid
        }
        return nil
    }
}
