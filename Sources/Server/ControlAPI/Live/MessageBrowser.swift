// Messages of one application in the log: by place, by the caller's own id, in pages either way. Bounded work a call.
import Engine
import FastPath
import Foundation

struct MessageBrowser {
    private let access: GatewayAccess
    private let tenant: TenantID
    /// A page looks at no more records than this; it then says where to go on.
    private static let recordsReadMax: UInt64 = 100_000
    /// Nobody goes back further for an id that may be none.
    private static let searchPageCountMax = 10

    init(_ access: GatewayAccess, tenant: TenantID) {
        self.access = access
        self.tenant = tenant
    }

    /// Of payloads; a page ends behind the one with which it has so much.
    static let pageBytesMax = 8 << 20

    /// What was found, in the order walked, and where the walk broke off; nil when it came to its end or has enough.
    struct Walk {
        private(set) var found: [SvixMessage] = []
        private var byteCount = 0
        var rest: UInt64?

        mutating func add(_ message: SvixMessage) {
            found.append(message)
            byteCount += message.payloadBytes
        }
        /// One is behind the page, and says that there is more.
        var isHeavy: Bool { byteCount >= MessageBrowser.pageBytesMax && found.count > 1 }
        func hasEnough(_ count: Int) -> Bool { found.count >= count || isHeavy }
    }

    func page(_ search: SvixMessageSearch) throws -> SvixPage<SvixMessage> {
        var (low, high) = (try oldest(), access.tail.snapshot.sequence + 1)
        if let after = search.after { low = max(low, try first(in: low..<high) { $0 > after }) }
        if let before = search.before { high = min(high, try first(in: low..<high) { $0 >= before }) }
        var paging = search.paging
        if let place = paging.iterator.flatMap({ MessageID($0) })?.event.sequence {
            if paging.isBackward { low = max(low, place &+ 1) } else { high = min(high, place) }
        } else if search.after != nil, search.before == nil {
            // From the old end on.
            paging.isBackward = true
        }
        let count = paging.limit + 1
        let walk =
            try paging.isBackward
            ? up(from: low, before: high, count: count) { matches($0, search) }
            : down(from: low, before: high, count: count) { matches($0, search) }
        if walk.isHeavy { paging.limit = min(paging.limit, walk.found.count - 1) }
        let page = SvixPage(walked: walk.found, paging) { $0.id }
        guard let rest = walk.rest else { return page }
        let place = MessageID(EventID(logIdentity: access.identity, sequence: rest)).text
        return SvixPage(
            data: page.data, iterator: paging.isBackward ? page.iterator : place,
            prevIterator: paging.isBackward ? "-" + place : page.prevIterator, isDone: false)
    }
    private func matches(_ record: RecordView, _ search: SvixMessageSearch) -> Bool {
        if let before = search.before, record.receivedAt >= before { return false }
        if let after = search.after, record.receivedAt <= after { return false }
        if !search.eventTypes.isEmpty, !search.eventTypes.contains(record.eventType.text) { return false }
        if let tag = search.tag, !PublishedFields.tagList(in: record.fieldLines).contains(tag) { return false }
        guard let channel = search.channel else { return true }
        return PublishedFields.share([channel], PublishedFields.channels(in: record.fieldLines))
    }

    /// By its id, or by the newest that has this event id.
    func message(_ ref: String) throws -> (place: EventID, message: SvixMessage)? {
        if let id = MessageID(ref) {
            guard id.event == EventID(logIdentity: access.identity, sequence: id.event.sequence) else { return nil }
            return try message(at: id.event.sequence).map { (id.event, $0) }
        }
        var high = access.tail.snapshot.sequence + 1
        let low = try oldest()
        let key = Array(ref.utf8)
        for _ in 0..<MessageBrowser.searchPageCountMax {
            let walk = try down(from: low, before: high, count: 1) { record in
                record.key.equals(key) && PublishedFields.eventID(in: record.fieldLines) == ref
            }
            if let found = walk.found.first, let id = MessageID(found.id) { return (id.event, found) }
            guard let rest = walk.rest else { return nil }
            high = rest
        }
        return nil
    }
    func message(at sequence: UInt64) throws -> SvixMessage? { try read(sequence) { message(of: $0) } }
    /// By which call it was published, when that may come again.
    func repetition(at sequence: UInt64) throws -> String? {
        try read(sequence) { PublishedFields.idempotencyKey(in: $0.fieldLines) } ?? nil
    }
    /// Nil when there is none, or it is another's.
    private func read<Value>(_ sequence: UInt64, _ body: (RecordView) -> Value) throws -> Value? {
        try access.withRecord(at: sequence) { isOwn($0) ? body($0) : nil } ?? nil
    }
    private func isOwn(_ record: RecordView) -> Bool {
        record.tenantNumber == tenant.number && SourceID(record.sourceNumber).isMessage
    }
    private func message(of record: RecordView) -> SvixMessage {
        message(
            record.sequence, SourceID(record.sourceNumber), type: record.eventType, fieldLines: record.fieldLines,
            body: record.body, receivedAt: record.receivedAt, isErased: record.isErased)
    }
    /// One of the tenant's own.
    func message(of event: StoredEvent) -> SvixMessage {
        message(
            event.place.sequence, event.sourceID, type: event.eventType, fieldLines: event.fieldLines,
            body: event.body, receivedAt: event.receivedAt, isErased: event.isErased)
    }
    private func message(
        _ sequence: UInt64, _ source: SourceID, type: ByteView, fieldLines: ByteView, body: ByteView,
        receivedAt: UInt64, isErased: Bool
    ) -> SvixMessage {
        let body = body.array
        let isGone =
            isErased
            || access.expunged.isGone(
                sequence, of: tenant, source: source, receivedAt: receivedAt, fieldLines: fieldLines)
        var message = SvixMessage(
            id: MessageID(EventID(logIdentity: access.identity, sequence: sequence)).text,
            eventId: PublishedFields.eventID(in: fieldLines), eventType: type.text,
            channels: PublishedFields.channelList(in: fieldLines), timestamp: receivedAt,
            payload: !isGone && JSONMembers.isObject(body) ? .json(body) : .expired)
        message.tags = PublishedFields.tagList(in: fieldLines)
        message.deliverAtMillis = PublishedFields.deliverAtMillis(in: fieldLines)
        return message
    }

    // MARK: walks

    /// Between which places of the log what arrived in a time is: a little more, as times grow but for moments.
    func places(of times: Range<UInt64>) throws -> Range<UInt64> {
        let (low, high) = (try oldest(), access.tail.snapshot.sequence + 1)
        let slack = MessageBrowser.disorderNanosMax
        let from = times.lowerBound > slack ? times.lowerBound - slack : 0
        let end = times.upperBound < .max - slack ? times.upperBound + slack : .max
        let first = try first(in: low..<high) { $0 >= from }
        return first..<max(first, try self.first(in: first..<high) { $0 > end })
    }
    private static let disorderNanosMax: UInt64 = 60_000_000_000

    /// How many messages there are; `each` hears of every one.
    func count(in range: Range<UInt64>, _ each: (Int) throws -> Void) throws -> Int {
        var count = 0
        guard !range.isEmpty else { return 0 }
        var failure: (any Error)?
        try self.each(range) { record in
            guard isOwn(record) else { return true }
            count += 1
            do { try each(count) } catch { failure = error }
            return failure == nil
        }
        if let failure { throw failure }
        return count
    }
    func oldest() throws -> UInt64 {
        let end = access.tail.snapshot.sequence + 1
        guard let segments = try? access.folder.segments() else { throw ControlError.logUnavailable }
        return min(segments.first ?? end, end)
    }
    /// The first sequence whose time of arrival holds; times grow with sequences, but for moments. O(log of the range).
    /// `isStrict`: what cannot be read now is not passed over.
    func first(
        in range: Range<UInt64>, isStrict: Bool = false, where holds: (UInt64) -> Bool
    ) throws -> UInt64 {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            var reader = access.makeReader(from: middle)
            switch reader.next(through: access.tail.snapshot) {
            case .record(let record, _):
                if holds(record.receivedAt) { high = middle } else { low = max(middle, record.sequence) + 1 }
            case .damaged(let damage) where isStrict && damage.isUnreadable: throw ControlError.logUnavailable
            case .missing, .damaged: low = middle + 1
            case .caughtUp: high = middle
            case .failed: throw ControlError.logUnavailable
            }
        }
        return low
    }
    /// The newest first, in windows that grow. Of a window the places alone are gathered: it may hold many more
    /// messages than are asked for.
    private func down(
        from low: UInt64, before end: UInt64, count: Int, _ takes: (RecordView) -> Bool
    ) throws -> Walk {
        var walk = Walk()
        var high = end
        let floor = end > low + MessageBrowser.recordsReadMax ? end - MessageBrowser.recordsReadMax : low
        var window = UInt64(max(count, 64))
        while high > floor, !walk.hasEnough(count) {
            let first = high - floor > window ? high - window : floor
            var part: [UInt64] = []
            try each(first..<high) { record in
                if isOwn(record), takes(record) { part.append(record.sequence) }
                return true
            }
            for sequence in part.reversed() where !walk.hasEnough(count) {
                if let message = try message(at: sequence) { walk.add(message) }
            }
            high = first
            window *= 4
        }
        if !walk.hasEnough(count), high > low { walk.rest = high }
        return walk
    }
    private func up(
        from low: UInt64, before end: UInt64, count: Int, _ takes: (RecordView) -> Bool
    ) throws -> Walk {
        var walk = Walk()
        guard low < end else { return walk }
        let stop = min(end, low + MessageBrowser.recordsReadMax)
        try each(low..<stop) { record in
            if isOwn(record), takes(record) { walk.add(message(of: record)) }
            return !walk.hasEnough(count)
        }
        if !walk.hasEnough(count), stop < end { walk.rest = stop - 1 }
        return walk
    }
    private func each(_ range: Range<UInt64>, _ visit: (RecordView) -> Bool) throws {
        var tail = access.tail.snapshot
        tail.sequence = min(tail.sequence, range.upperBound - 1)
        var reader = access.makeReader(from: range.lowerBound)
        while true {
            switch reader.next(through: tail) {
            case .record(let record, _):
                guard record.sequence >= range.lowerBound else { continue }
                guard visit(record) else { return }
            case .damaged, .missing: continue
            case .caughtUp: return
            case .failed: throw ControlError.logUnavailable
            }
        }
    }

    // MARK: polling

    /// Behind which the messages are that are younger; all of them for 0.
    func place(after time: UInt64) throws -> UInt64 {
        let (low, end) = (try oldest(), access.tail.snapshot.sequence + 1)
        guard time > 0 else { return low - 1 }
        return try first(in: low..<max(low, end), isStrict: true) { $0 > time } - 1
    }
    /// Oldest first, and behind which place it goes on: never behind what may be read later.
    func poll(
        behind start: UInt64, limit: Int, _ takes: (RecordView) -> Bool
    ) throws -> (found: [SvixMessage], place: UInt64, isDone: Bool) {
        let end = access.tail.snapshot.sequence + 1
        let place = min(start, end - 1)
        let low = max(try oldest(), place + 1)
        guard low < end else { return ([], place, true) }
        var (walk, sequences) = (Walk(), [UInt64]())
        let reached = try readable(low..<min(end, low + MessageBrowser.recordsReadMax)) { record in
            guard isOwn(record), takes(record) else { return true }
            walk.add(message(of: record))
            sequences.append(record.sequence)
            return !walk.hasEnough(limit + 1)
        }
        if walk.found.count > limit || walk.isHeavy {
            let count = min(limit, walk.found.count - 1)
            return (Array(walk.found.prefix(count)), sequences[count - 1], false)
        }
        guard let reached else {
            // The page ends before what cannot be read now.
            guard let last = sequences.last else { throw ControlError.logUnavailable }
            return (walk.found, last, false)
        }
        return (walk.found, reached, reached == end - 1)
    }
    /// Visits records until one says that it is enough, or so many bytes were read: the last sequence that is dealt
    /// with. Nil when what comes next cannot be read now.
    private func readable(_ range: Range<UInt64>, _ visit: (RecordView) -> Bool) throws -> UInt64? {
        var tail = access.tail.snapshot
        tail.sequence = min(tail.sequence, range.upperBound - 1)
        var reader = access.makeReader(from: range.lowerBound)
        var (byteCount, tried) = (0, Set<UInt64>())
        while true {
            switch reader.next(through: tail) {
            case .record(let record, _):
                guard record.sequence >= range.lowerBound else { continue }
                byteCount += record.length
                let sequence = record.sequence
                guard visit(record), byteCount < MessageBrowser.pollBytesReadMax else { return sequence }
            case .damaged(let damage):
                guard !damage.isUnreadable else { return nil }
                // A page of before the write may still be in the cache: once more in a moment, and then it is damage.
                guard tried.count < MessageBrowser.triesMax, tried.insert(damage.firstSequence).inserted else {
                    continue
                }
                Thread.sleep(forTimeInterval: MessageBrowser.trySeconds)
                reader.seek(max(damage.firstSequence, range.lowerBound))
            case .missing: continue
            case .caughtUp: return range.upperBound - 1
            case .failed: return nil
            }
        }
    }
    /// A poll reads no more of the log than this; it then says where to go on.
    private static let pollBytesReadMax = 64 << 20
    private static let triesMax = 4
    private static let trySeconds = 0.05
}
