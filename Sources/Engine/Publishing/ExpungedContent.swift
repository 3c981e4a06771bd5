// Whose content is shown no more although the log still has it: answers of attempts that somebody had expunged,
// messages of a tenant that are being erased one after the other, and what was published to be kept for a time that is
// over. What is erased says so by its own record and needs no line here.
//
// One file of lines, appended to and synced: `a ID`; `t TENANT SEQUENCE` for all messages of a tenant up to one, so
// that they are gone at once however many there are, and `e TENANT SEQUENCE` when these were erased from the log;
// `m SEQUENCE`, which earlier versions wrote for one message. What the log has no more is left out when the file is
// written anew: at a start, and when most of it is such. Invariant: what `add` returned for outlives a crash.
import FastPath
import Foundation
import Synchronization

package final class ExpungedContent: Sendable {
    private static let fileName = "expunged"
    /// A file of so few lines is not worth another.
    private static let lineCountMin = 1024
    private struct State {
        var messages: Set<UInt64> = []
        var attempts: Set<String> = []
        /// The newest that is gone of each tenant all of whose messages were expunged.
        var tenants: [UInt32: UInt64] = [:]
        /// The newest of these up to which they are erased.
        var erased: [UInt32: UInt64] = [:]

        var lines: [String] {
            messages.sorted().map { "m \($0)\n" } + attempts.sorted().map { "a \($0)\n" }
                + tenants.sorted { $0.key < $1.key }.map { "t \($0.key) \($0.value)\n" }
                + erased.sorted { $0.key < $1.key }.map { "e \($0.key) \($0.value)\n" }
        }
        var wantedCount: Int { messages.count + attempts.count + tenants.count + erased.count }
    }
    private struct File {
        /// Of its whole lines; what is behind them a crash left, and the next line takes its place.
        var byteCount: UInt64 = 0
        var lineCount = 0
    }
    private let path: String
    /// Held for moments: deliveries ask of each event.
    private let state: Mutex<State>
    /// Held over a whole change, which waits for the disk; one at a time.
    private let file: Mutex<File>
    /// Wall clock, nanoseconds since 1970.
    private let nowNanos: @Sendable () -> UInt64

    /// Lines of messages that the log has no more (`before` this sequence) are left out, and so not kept for ever.
    package init(
        folder: String, before first: UInt64,
        nowNanos: @escaping @Sendable () -> UInt64 = { ProcessResources.wallNanos }
    ) throws {
        self.nowNanos = nowNanos
        path = folder + "/" + ExpungedContent.fileName
        var read = State()
        var file = File()
        if FileManager.default.fileExists(atPath: path) {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let whole = bytes.prefix(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)
            file.byteCount = UInt64(whole.count)
            for line in String(decoding: whole, as: UTF8.self).split(separator: "\n") {
                file.lineCount += 1
                ExpungedContent.take(line, before: first, &read)
            }
            if file.lineCount > read.wantedCount { file = try ExpungedContent.rewrite(path, read) }
        }
        state = Mutex(read)
        self.file = Mutex(file)
    }
    private static func take(_ line: Substring, before first: UInt64, _ read: inout State) {
        let text = String(line.dropFirst(2))
        if line.hasPrefix("m "), let sequence = UInt64(text), sequence >= first {
            read.messages.insert(sequence)
        } else if line.hasPrefix("a "), let id = AttemptID(text), id.sequence >= first {
            read.attempts.insert(text)
        } else if line.hasPrefix("t "), let (tenant, last) = ExpungedContent.tenant(text), last >= first {
            read.tenants[tenant] = max(read.tenants[tenant] ?? 0, last)
        } else if line.hasPrefix("e "), let (tenant, last) = ExpungedContent.tenant(text), last >= first {
            read.erased[tenant] = max(read.erased[tenant] ?? 0, last)
        }
    }
    private static func tenant(_ text: String) -> (number: UInt32, last: UInt64)? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let number = UInt32(parts[0]), let last = UInt64(parts[1]) else { return nil }
        return (number, last)
    }

    // MARK: what is gone

    package func isExpunged(message sequence: UInt64, of tenant: TenantID) -> Bool {
        state.withLock { state in
            state.messages.contains(sequence) || state.tenants[tenant.number].map { sequence <= $0 } ?? false
        }
    }
    /// The same, or it was to be kept for a time which is over: its record says so by itself, whoever asks, so that
    /// nothing has to be done when that time ends, and nothing is lost with a restart.
    package func isGone(
        _ sequence: UInt64, of tenant: TenantID, source: SourceID, receivedAt: UInt64, fieldLines: ByteView
    ) -> Bool {
        guard source.isPublishing else { return false }
        if source.isMessage, isExpunged(message: sequence, of: tenant) { return true }
        return PublishedFields.contentEnd(in: fieldLines, receivedAt: receivedAt).map { $0 <= nowNanos() } ?? false
    }
    package func isExpunged(attempt id: String) -> Bool { state.withLock { $0.attempts.contains(id) } }

    // MARK: what is to be erased still

    /// Single messages of earlier versions, ascending.
    package var messagesLeft: [UInt64] { state.withLock { $0.messages.sorted() } }
    /// Tenants whose messages are to be erased: behind which one, and up to which.
    package var tenantsLeft: [(tenant: TenantID, behind: UInt64, through: UInt64)] {
        state.withLock { state in
            state.tenants.sorted { $0.key < $1.key }.compactMap { number, last in
                let erased = state.erased[number] ?? 0
                return erased < last ? (tenant: TenantID(number), behind: erased, through: last) : nil
            }
        }
    }
    package func erasedThrough(of tenant: TenantID) -> UInt64 { state.withLock { $0.erased[tenant.number] ?? 0 } }

    // MARK: changes

    /// All messages of a tenant up to this one. Gives the one that they were gone up to before; 0 for none.
    package func add(messagesOf tenant: TenantID, through sequence: UInt64) throws -> UInt64 {
        try file.withLock { file in
            let before = state.withLock { $0.tenants[tenant.number] ?? 0 }
            guard sequence > before else { return before }
            try append("t \(tenant.number) \(sequence)\n", &file)
            state.withLock { $0.tenants[tenant.number] = sequence }
            return before
        }
    }
    /// They are erased from the log.
    package func erased(messagesOf tenant: TenantID, through sequence: UInt64) throws {
        try file.withLock { file in
            guard sequence > erasedThrough(of: tenant) else { return }
            try append("e \(tenant.number) \(sequence)\n", &file)
            state.withLock { $0.erased[tenant.number] = sequence }
        }
    }
    /// Its record says by itself that it is gone.
    package func erased(message sequence: UInt64) { state.withLock { _ = $0.messages.remove(sequence) } }
    package func add(attempt id: String) throws {
        try file.withLock { file in
            guard !isExpunged(attempt: id) else { return }
            try append("a \(id)\n", &file)
            state.withLock { _ = $0.attempts.insert(id) }
        }
    }
    private func append(_ line: String, _ known: inout File) throws {
        if known.lineCount >= ExpungedContent.lineCountMin {
            let state = state.withLock { $0 }
            if known.lineCount > 2 * state.wantedCount { known = try ExpungedContent.rewrite(path, state) }
        }
        if !FileManager.default.fileExists(atPath: path) {
            guard PrivateFile.make(path) != nil else { throw CocoaError(.fileWriteUnknown) }
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.truncate(atOffset: known.byteCount)
        try file.seek(toOffset: known.byteCount)
        try file.write(contentsOf: Data(line.utf8))
        try file.synchronize()
        known.byteCount += UInt64(line.utf8.count)
        known.lineCount += 1
    }
    /// What still says something, in a file that takes the old one's place in one step.
    private static func rewrite(_ path: String, _ state: State) throws -> File {
        let lines = state.lines
        let bytes = Array(lines.joined().utf8)
        try PrivateFile(path: path).write(bytes)
        return File(byteCount: UInt64(bytes.count), lineCount: lines.count)
    }
}

extension ExpungedContent {
    package func isGone(of event: StoredEvent) -> Bool {
        event.isErased
            || isGone(
                event.place.sequence, of: event.tenant, source: event.sourceID, receivedAt: event.receivedAt,
                fieldLines: event.fieldLines)
    }
}
