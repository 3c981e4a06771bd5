// Why the delivery store cannot be used, in words for an operator: each says what is wrong and what would mend it. A
// file that is damaged is never described as a matter of rights or free space, and no text holds a path of the machine.

import GRDB

package enum StoreError: Error, Equatable, CustomStringConvertible {
    /// The log has events but the file is not there, or holds nothing.
    case storeMissing(events: UInt64)
    case storeDamaged(reason: String)
    case newerFormat(file: String)
    /// Rights, or a path that is no file.
    case cannotOpen(file: String, reason: String)
    case diskFull(file: String)
    case diskFailed(file: String, reason: String)
    case heldByAnother(file: String)
    /// A file beside the store, which nothing that is still to be done is in.
    case historyDamaged(file: String, reason: String)
    case unreadableRow(endpoint: EndpointID, sequence: UInt64)
    case unreadableState(endpoint: EndpointID)
    case other(file: String, reason: String)

    package var description: String {
        switch self {
        case .storeMissing, .storeDamaged: "\(cause). \(StoreError.remedy)"
        case .newerFormat(let file):
            """
            \(file) was written by a newer version of Sluice; run that version, or restore the data folder that this \
            one wrote
            """
        case .cannotOpen(let file, let reason):
            """
            \(file) cannot be opened (\(reason)); the user that runs Sluice must be able to read and write the data \
            folder and the files in it
            """
        case .diskFull(let file): "\(file) cannot be written: the disk is full; free some space on it"
        case .diskFailed(let file, let reason):
            "\(file): the disk reports an error (\(reason)); check the disk and the system's log"
        case .historyDamaged(let file, let reason):
            """
            \(file) is damaged (\(reason)); move it out of the data folder and start again: no event and nothing that \
            is still to be delivered is in it
            """
        case .heldByAnother(let file): "\(file) is locked by another process; stop that one first"
        case .unreadableRow(let endpoint, let sequence):
            "the delivery of event \(sequence) to endpoint \(endpoint) has a value that this version does not know"
        case .unreadableState(let endpoint):
            "the state of endpoint \(endpoint) has a value that this version does not know"
        case .other(let file, let reason): "\(file): \(reason)"
        }
    }
    /// What is wrong, without what to do about it.
    package var cause: String {
        switch self {
        case .storeMissing(let events):
            "\(StoreDatabase.fileName) is missing from the data folder, but the log holds \(events) events"
        case .storeDamaged(let reason): "\(StoreDatabase.fileName) is damaged (\(reason))"
        default: description
        }
    }
    private static let remedy = """
        Restore it from a backup, or run `sluice store rebuild --config FILE`: it makes a new store, and every event \
        that is still in the log is delivered again. What only that file held is lost: endpoints and sources made \
        through the API, dead letters, and how far each endpoint was.
        """
}

extension StoreError {
    /// What SQLite said of `file`, as one of the cases; anything else unchanged.
    package static func of(_ error: any Error, file: String) -> any Error {
        guard let error = error as? DatabaseError else { return error }
        let reason = error.message ?? "\(error.resultCode)"
        switch error.resultCode {
        case .SQLITE_CORRUPT, .SQLITE_NOTADB:
            return file == StoreDatabase.fileName
                ? StoreError.storeDamaged(reason: reason) : StoreError.historyDamaged(file: file, reason: reason)
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            return StoreError.cannotOpen(file: file, reason: reason)
        case .SQLITE_FULL: return StoreError.diskFull(file: file)
        // What it says when the disk has no room for its shared memory, and nothing else.
        case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_SHMSIZE:
            return StoreError.diskFull(file: file)
        case .SQLITE_IOERR: return StoreError.diskFailed(file: file, reason: reason)
        case .SQLITE_BUSY, .SQLITE_LOCKED: return StoreError.heldByAnother(file: file)
        default: return StoreError.other(file: file, reason: reason)
        }
    }
    static func translating<R>(_ file: String, _ body: () throws -> R) throws -> R {
        do { return try body() } catch { throw StoreError.of(error, file: file) }
    }
    static func isOfFullDisk(_ error: any Error) -> Bool {
        if case .diskFull? = of(error, file: "") as? StoreError { true } else { false }
    }
    /// True exactly when the file's content is not what SQLite wrote.
    static func isDamage(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return false }
        return error.resultCode == .SQLITE_CORRUPT || error.resultCode == .SQLITE_NOTADB
    }
}
