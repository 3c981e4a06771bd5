// The data folder, taken for this process alone. First of what touches the disk, last to let go.
//
// A process that was killed holds its lock until the kernel has torn it down, some tenths of a second with much memory;
// so a held folder is waited for before it is refused.

import FastPath
import Logging

package final class DataFolderComponent: Component {
    package let name = "data folder"
    private let path: String
    private let wait: BoundedWait
    private let logger: Logger
    private let opened = StartResult<LogFolder>()

    package init(path: String, wait: BoundedWait = BoundedWait(seconds: 5), logger: Logger) {
        self.path = path
        self.wait = wait
        self.logger = logger
    }
    package var folder: LogFolder { opened.value }

    /// Makes the folder when there is none.
    package func start() throws {
        do {
            opened.set(
                try wait.run(isPassing: { LogOpenError.isLocked($0) }, onWait: tellOfWait) {
                    try LogFolder(path: path, access: .exclusive)
                })
        } catch LogOpenError.locked(let path) {
            throw GatewayError.folderHeld(path: path, holder: holder, seconds: wait.seconds)
        } catch let error as LogOpenError {
            throw GatewayError.log(error)
        }
    }
    package func stop() { folder.unlock() }

    private var holder: LockHolder? { LockHolder.of(file: path + "/LOCK") }
    private func tellOfWait() {
        logger.notice(
            "the data folder is in use; waiting for its process to end",
            metadata: [
                "folder": "\(path)", "holder": "\(holder?.description ?? "another process")",
                "seconds": "\(Int(wait.seconds))",
            ])
    }
}

extension LogOpenError {
    fileprivate static func isLocked(_ error: any Error) -> Bool {
        if case .locked? = error as? LogOpenError { true } else { false }
    }
}
