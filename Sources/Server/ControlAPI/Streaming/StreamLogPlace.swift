// Where the rounds of the stream are in the log, what they remember of it, and who is told by one reading of it. Of the
// rounds' thread alone.
import Engine
import FastPath

/// A log reader and where it is.
final class LogPlace {
    var log: LogReader
    /// Of the record that was read last.
    private var position: (sequence: UInt64, at: RecordPosition)?
    /// Sequences that could not be read: since when, and when they were tried last.
    private var troubles: [UInt64: (since: UInt64, triedAt: UInt64)] = [:]

    init(_ folder: LogFolder) { log = LogReader(folder: folder, from: 1, bufferBytes: StreamLimits.logBufferBytes) }

    func note(_ record: RecordView, _ at: RecordPosition) { position = (record.sequence, at) }
    /// What could not be read may be readable in a moment: true, and the reader back where it was, while that is worth
    /// another try.
    func isWorthAnotherTry(_ damage: LogDamage, _ now: UInt64) -> Bool {
        let first = damage.firstSequence
        if troubles.count >= StreamLimits.troubleCountMax { troubles = [:] }
        let trouble = troubles[first] ?? (now, now)
        troubles[first] = (trouble.since, now)
        let patience = damage.isUnreadable ? StreamLimits.diskPatienceNanos : StreamLimits.damagePatienceNanos
        guard now &- trouble.since < patience else { return false }
        if let position, position.sequence < first {
            log.seek(position.sequence, at: position.at)
        } else {
            log.seek(first)
        }
        return true
    }
    /// It was tried a moment ago.
    func isResting(at sequence: UInt64, _ now: UInt64) -> Bool {
        guard let trouble = troubles[sequence] else { return false }
        return now &- trouble.triedAt < StreamLimits.tryNanos
    }
}

/// What was read lately, by sequence.
struct RecentEvents {
    private var events: [StreamedEvent?] = []

    mutating func note(_ record: RecordView, logIdentity: UInt64) {
        if events.isEmpty { events = Array(repeating: nil, count: StreamLimits.recentCount) }
        var event = StreamedEvent(
            sequence: record.sequence, source: record.source.array, type: record.eventType.array,
            receivedAt: record.receivedAt)
        event.stamp = ContractStamp(record, logIdentity: logIdentity)
        event.isOfControlListener = record.sourceNumber == SourceID.contract.number
        events[Int(record.sequence % UInt64(StreamLimits.recentCount))] = event
    }
    func event(_ sequence: UInt64) -> StreamedEvent? {
        guard !events.isEmpty, let event = events[Int(sequence % UInt64(StreamLimits.recentCount))],
            event.sequence == sequence
        else { return nil }
        return event
    }
}

/// Places of readers in the list of them, by the tenant that they are shown.
struct StreamCompany {
    private var own: [UInt32: [Int]] = [:]
    private var ofAll: [Int] = []

    var isEmpty: Bool { own.isEmpty && ofAll.isEmpty }
    var all: [Int] { own.values.flatMap { $0 } + ofAll }

    /// Nil = all tenants.
    mutating func add(_ place: Int, of tenant: TenantID?) {
        if let tenant { own[tenant.number, default: []].append(place) } else { ofAll.append(place) }
    }
    mutating func remove(_ place: Int, of tenant: TenantID?) {
        guard let tenant else {
            ofAll.removeAll { $0 == place }
            return
        }
        own[tenant.number]?.removeAll { $0 == place }
        if own[tenant.number]?.isEmpty == true { own[tenant.number] = nil }
    }
    func places(of tenant: UInt32) -> [Int] {
        let own = own[tenant] ?? []
        return ofAll.isEmpty ? own : own + ofAll
    }
}
