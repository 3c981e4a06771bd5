// Whose content is shown no more: messages and answers of attempts that somebody had expunged, and what was published
// to be kept for a time that is over. The log keeps what it has until its segments go; from here on nobody is shown it
// and nobody sends it by hand.
//
// One file of lines, appended to and synced: `m SEQUENCE`, `a ID`, or `t TENANT SEQUENCE` for all messages of a tenant
// up to one, so that many cost as much as one. Invariant: what `add` returned for outlives a crash.
import FastPath
import Foundation
import Synchronization

package final class ExpungedContent: Sendable {
    private static let fileName = "expunged"
    private struct State {
        var messages: Set<UInt64> = []
        var attempts: Set<String> = []
        /// The newest that is gone of each tenant all of whose messages were expunged.
        var tenants: [UInt32: UInt64] = [:]
        /// Of the file's whole lines; what is behind them a crash left, and the next line takes its place.
        var byteCount: UInt64 = 0
    }
    private let path: String
    private let state: Mutex<State>
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
        if FileManager.default.fileExists(atPath: path) {
            let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
            let whole = bytes.prefix(bytes.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0)
            read.byteCount = UInt64(whole.count)
            for line in String(decoding: whole, as: UTF8.self).split(separator: "\n") {
                let text = String(line.dropFirst(2))
                if line.hasPrefix("m "), let sequence = UInt64(text), sequence >= first {
                    read.messages.insert(sequence)
                } else if line.hasPrefix("a "), let id = AttemptID(text), id.sequence >= first {
                    read.attempts.insert(text)
                } else if line.hasPrefix("t "), let (tenant, last) = ExpungedContent.tenant(text), last >= first {
                    read.tenants[tenant] = max(read.tenants[tenant] ?? 0, last)
                }
            }
        }
        state = Mutex(read)
    }
    private static func tenant(_ text: String) -> (number: UInt32, last: UInt64)? {
        let parts = text.split(separator: " ")
        guard parts.count == 2, let number = UInt32(parts[0]), let last = UInt64(parts[1]) else { return nil }
        return (number, last)
    }
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
    package func add(message sequence: UInt64) throws {
        try state.withLock { state in
            guard !state.messages.contains(sequence) else { return }
            try append("m \(sequence)\n", &state)
            state.messages.insert(sequence)
        }
    }
    /// All messages of a tenant up to this one. Gives the one that they were gone up to before; 0 for none.
    package func add(messagesOf tenant: TenantID, through sequence: UInt64) throws -> UInt64 {
        try state.withLock { state in
            let before = state.tenants[tenant.number] ?? 0
            guard sequence > before else { return before }
            try append("t \(tenant.number) \(sequence)\n", &state)
            state.tenants[tenant.number] = sequence
            return before
        }
    }
    package func add(attempt id: String) throws {
        try state.withLock { state in
            guard !state.attempts.contains(id) else { return }
            try append("a \(id)\n", &state)
            state.attempts.insert(id)
        }
    }
    private func append(_ line: String, _ state: inout State) throws {
        if !FileManager.default.fileExists(atPath: path) {
            guard PrivateFile.make(path) != nil else { throw CocoaError(.fileWriteUnknown) }
        }
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        defer { try? file.close() }
        try file.truncate(atOffset: state.byteCount)
        try file.seek(toOffset: state.byteCount)
        try file.write(contentsOf: Data(line.utf8))
        try file.synchronize()
        state.byteCount += UInt64(line.utf8.count)
    }
}

extension ExpungedContent {
    package func isGone(of event: StoredEvent) -> Bool {
        isGone(
            event.place.sequence, of: event.tenant, source: event.sourceID, receivedAt: event.receivedAt,
            fieldLines: event.fieldLines)
    }
}
