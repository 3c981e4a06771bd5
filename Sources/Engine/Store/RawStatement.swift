// The few statements that run once a delivery, bound and stepped without a value in between: through GRDB's arguments
// an insertion costs three times as much, most of it in arrays.
//
// Safety: the handle belongs to the GRDB statement beside it, which lives as long; both are used on the connection's
// queue alone, inside one `write`.

import GRDB
import GRDBSQLite

@safe struct RawStatement {
    private let statement: Statement
    private let handle: OpaquePointer

    init(_ sql: String, _ db: Database) throws {
        statement = try db.cachedStatement(sql: sql)
        unsafe handle = statement.sqliteStatement
    }

    /// Parameters count from 1.
    func bind(_ index: Int32, _ value: Int64) { _ = unsafe sqlite3_bind_int64(handle, index, value) }
    func bindNull(_ index: Int32) { _ = unsafe sqlite3_bind_null(handle, index) }

    func run() throws { _ = try step() }
    /// True exactly when the query has a row.
    func finds() throws -> Bool { try step() }

    private func step() throws -> Bool {
        let code = unsafe sqlite3_step(handle)
        // A reset repeats the error of the step, and clears its message.
        let message = code == SQLITE_ROW || code == SQLITE_DONE ? nil : text()
        _ = unsafe sqlite3_reset(handle)
        if let message { throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message) }
        return code == SQLITE_ROW
    }
    private func text() -> String {
        guard let text = unsafe sqlite3_errmsg(sqlite3_db_handle(handle)) else { return "unknown" }
        return unsafe String(cString: text)
    }
}
