// What is told to whom: the log is read once for all readers that have caught up, and in turns for those that have not.
// Passive: a round gets the time, never waits and is called by one thread. `StreamHub` drives it.
//
// The order of a round, and why: facts are taken before the log is read, so that the event of an outcome is told
// before it; the log before the facts are told; those that catch up behind, up to where the log was read to; what is to
// be sent last, once a reader.
//
// Invariants: a reader is told the events of the log in their order, each once, from its place on; what is behind its
// place it has, or it is not for it. A reader whose buffer is full is dropped and not waited for.
import Engine
import FastPath
import NIOCore

/// A log reader and where it is.
private final class LogPlace {
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

package final class StreamRounds {
    private let world: StreamWorld
    private let shared: LogPlace
    private let behind: LogPlace
    private lazy var older = world.makeReaders()
    private var recent = RecentEvents()
    private var frames: StreamFrames
    private var seats: [StreamSeat] = []
    /// Places in `seats` of those that have caught up, by tenant, and those who see all.
    private var live: [UInt32: [Int]] = [:]
    private var liveOfAll: [Int] = []
    private var isIndexed = false
    private var isFed = false
    /// Told the end, and when.
    private var leaving: [(seat: StreamSeat, at: UInt64)] = []
    private var turn = 0
    private var checkedAt: UInt64 = 0
    /// Sequence up to which the shared reading is.
    private var readTo: UInt64
    private var ended: [StreamEnd: UInt64] = [:]
    private var lostOutcomes: UInt64 = 0

    package init(_ world: StreamWorld) {
        self.world = world
        shared = LogPlace(world.folder)
        behind = LogPlace(world.folder)
        frames = StreamFrames(logIdentity: world.folder.identity.identity)
        readTo = world.tail.snapshot.sequence
        shared.log.seek(readTo + 1)
    }
    package var seatCount: Int { seats.count }
    package var isIdle: Bool { seats.isEmpty && leaving.isEmpty }
    /// Streams that were ended since the last call.
    package func takeEnded() -> [StreamEnd: UInt64] {
        defer { ended = [:] }
        return ended
    }
    package func takeLostOutcomes() -> UInt64 {
        defer { lostOutcomes = 0 }
        return lostOutcomes
    }

    /// One round; gives how long the next may wait.
    package func step(admitting arrivals: [StreamSeat], now: UInt64) -> UInt64 {
        defer { feed() }
        sweep(now)
        let (facts, lost) = world.feed.take()
        for seat in arrivals { admit(seat) }
        guard world.isServing() else {
            for seat in seats { leave(seat, .draining, now) }
            seats = []
            isIndexed = false
            return StreamLimits.roundNanosMin
        }
        feed()
        let isBehind = follow(now)
        tell(facts, lost)
        let isCatchingUp = catchUp(now)
        upkeep(now)
        flush(now)
        if isBehind || isCatchingUp { return 1_000_000 }
        let wanted = StreamLimits.roundNanosOfReader * UInt64(seats.count)
        return min(max(wanted, StreamLimits.roundNanosMin), StreamLimits.roundNanosMax)
    }

    // MARK: who is there

    private func admit(_ arrival: StreamSeat) {
        var seat = arrival
        // Whoever is told no events has nothing to catch up with.
        seat.place = seat.filter.wantsEvents ? min(seat.after, world.tail.snapshot.sequence) : readTo
        seat.isLive = seat.place >= readTo
        seat.out.writeBytes(StreamFrames.opening(seat.place))
        seats.append(seat)
        isIndexed = false
    }
    private func feed() {
        let isWanted = seats.contains { $0.filter.kinds != [.event] }
        if isWanted != isFed { world.feed.setWanted(isWanted) }
        isFed = isWanted
    }
    private func index() {
        guard !isIndexed else { return }
        isIndexed = true
        live = [:]
        liveOfAll = []
        for (place, seat) in seats.enumerated() where seat.isLive {
            if let tenant = seat.tenant { live[tenant.number, default: []].append(place) } else {
                liveOfAll.append(place)
            }
        }
    }
    private func places(of tenant: UInt32) -> [Int] {
        let own = live[tenant] ?? []
        return liveOfAll.isEmpty ? own : own + liveOfAll
    }
    private func sweep(_ now: UInt64) {
        let count = seats.count
        seats.removeAll { $0.reader.isClosed }
        if seats.count != count { isIndexed = false }
        leaving.removeAll { seat, at in
            if seat.reader.isClosed { return true }
            guard now >= at &+ StreamLimits.farewellNanos else { return false }
            seat.hangUp()
            return true
        }
    }
    /// The caller takes it out of `seats`.
    private func leave(_ seat: StreamSeat, _ reason: StreamEnd, _ now: UInt64) {
        ended[reason, default: 0] += 1
        guard reason != .slow else {
            seat.reader.end()
            seat.hangUp()
            return
        }
        var words = seat.out
        words.writeBytes(StreamFrames.place(seat.place))
        words.writeBytes(StreamFrames.end(reason))
        seat.reader.end(words)
        leaving.append((seat, now))
    }

    // MARK: what is told

    /// True when there is more.
    private func follow(_ now: UInt64) -> Bool {
        index()
        let tail = world.tail.snapshot
        guard !live.isEmpty || !liveOfAll.isEmpty else {
            if readTo != tail.sequence {
                readTo = tail.sequence
                shared.log.seek(readTo + 1)
            }
            return false
        }
        defer { settle() }
        guard !shared.isResting(at: readTo + 1, now) else { return false }
        let wantsDeliveries = seats.contains { $0.isLive && $0.filter.wantsDeliveries }
        for _ in 0..<StreamLimits.recordsPerRound {
            switch shared.log.next(through: tail) {
            case .record(let record, let position):
                guard record.sequence > readTo else { continue }
                shared.note(record, position)
                readTo = record.sequence
                let readers = places(of: record.tenantNumber)
                guard !readers.isEmpty else { continue }
                if wantsDeliveries { recent.note(record) }
                tell(record, to: readers)
            case .damaged(let damage):
                if shared.isWorthAnotherTry(damage, now) { return false }
                gap(damage.firstSequence, damage.firstSequence &+ damage.sequenceCount &- 1)
            case .missing(let first, let last): gap(first, last)
            case .caughtUp:
                readTo = max(readTo, tail.sequence)
                return false
            case .failed: return false
            }
        }
        return true
    }
    /// Everybody who has caught up is where the shared reading is.
    private func settle() {
        for place in seats.indices where seats[place].isLive { seats[place].place = max(seats[place].place, readTo) }
    }
    private func tell(_ record: RecordView, to readers: [Int]) {
        var frame: [UInt8] = []
        for place in readers where seats[place].place < record.sequence {
            guard seats[place].filter.takes(source: record.source, type: record.eventType) else { continue }
            if frame.isEmpty { frame = frames.event(record) }
            seats[place].out.writeBytes(frame)
        }
    }
    private func gap(_ first: UInt64, _ last: UInt64) {
        guard last > readTo else { return }
        let frame = StreamFrames.gap(max(first, readTo + 1), through: last)
        readTo = last
        for place in seats.indices where seats[place].isLive && seats[place].filter.wantsEvents {
            seats[place].out.writeBytes(frame)
        }
    }
    private func tell(_ facts: [StreamFact], _ lost: UInt64) {
        if lost > 0 {
            lostOutcomes += lost
            let frame = StreamFrames.gap(outcomes: lost)
            for place in seats.indices where seats[place].filter.wantsDeliveries {
                seats[place].out.writeBytes(frame)
            }
        }
        guard !facts.isEmpty else { return }
        index()
        for fact in facts {
            let readers = places(of: fact.tenant.number)
            guard !readers.isEmpty else { continue }
            switch fact {
            case .delivery(_, let row): tell(row, to: readers)
            case .endpoint(_, let notice): tell(notice, to: readers)
            }
        }
    }
    private func tell(_ row: DeliveryRow, to readers: [Int]) {
        guard readers.contains(where: { seats[$0].filter.wantsDeliveries }) else { return }
        let event = recent.event(row.place.sequence) ?? olderEvent(at: row.place)
        var frame: [UInt8] = []
        for place in readers where seats[place].filter.takes(row, event) {
            if frame.isEmpty { frame = frames.delivery(row, event, at: world.endpoint(row.endpoint)) }
            seats[place].out.writeBytes(frame)
        }
    }
    private func olderEvent(at place: EventLocation) -> StreamedEvent? {
        guard case .event(let event) = older.read(at: place), event.place.sequence == place.sequence else { return nil }
        return StreamedEvent(
            sequence: place.sequence, source: event.source.array, type: event.eventType.array,
            receivedAt: event.receivedAt)
    }
    private func tell(_ notice: EndpointNotice, to readers: [Int]) {
        var frame: [UInt8] = []
        for place in readers where seats[place].filter.takes(notice) {
            if frame.isEmpty {
                frame = StreamFrames.endpoint(EndpointChange(notice, at: world.endpoint(notice.endpoint)))
            }
            seats[place].out.writeBytes(frame)
        }
    }

    // MARK: those that catch up

    /// True when there is more.
    private func catchUp(_ now: UInt64) -> Bool {
        let end = now &+ StreamLimits.catchUpNanos
        let bytesMax = StreamLimits.readerBytesMax(among: seats.count) / 2
        var isWorking = false
        for offset in seats.indices {
            let place = (turn + offset) % seats.count
            guard !seats[place].isLive else { continue }
            guard world.clock() < end else {
                turn = place
                return true
            }
            // It has enough to take: its turn comes again when it has taken it.
            guard seats[place].reader.waiting.byteCount < bytesMax else { continue }
            isWorking = true
            read(for: place, now, until: end)
        }
        return isWorking && seats.contains { !$0.isLive }
    }
    private func read(for place: Int, _ now: UInt64, until end: UInt64) {
        guard !behind.isResting(at: seats[place].place + 1, now) else { return }
        if behind.log.sequence != seats[place].place + 1 {
            if let position = seats[place].position {
                behind.log.seek(seats[place].place, at: position)
            } else {
                behind.log.seek(seats[place].place + 1)
            }
        }
        var tail = world.tail.snapshot
        tail.sequence = readTo
        var count = 0
        while seats[place].out.readableBytes < StreamLimits.catchUpBytes {
            count += 1
            if count % 64 == 0, world.clock() >= end { return }
            switch behind.log.next(through: tail) {
            case .record(let record, let position):
                guard record.sequence > seats[place].place else { continue }
                behind.note(record, position)
                seats[place].place = record.sequence
                seats[place].position = position
                guard seats[place].isOf(record.tenantNumber),
                    seats[place].filter.takes(source: record.source, type: record.eventType)
                else { continue }
                seats[place].out.writeBytes(frames.event(record))
            case .damaged(let damage):
                if behind.isWorthAnotherTry(damage, now) { return }
                gap(damage.firstSequence, damage.firstSequence &+ damage.sequenceCount &- 1, of: place)
            case .missing(let first, let last): gap(first, last, of: place)
            case .caughtUp:
                seats[place].place = readTo
                seats[place].isLive = true
                isIndexed = false
                return
            case .failed: return
            }
        }
    }
    private func gap(_ first: UInt64, _ last: UInt64, of place: Int) {
        guard last > seats[place].place else { return }
        seats[place].out.writeBytes(StreamFrames.gap(max(first, seats[place].place + 1), through: last))
        seats[place].place = last
        seats[place].position = nil
    }

    // MARK: what is sent

    private func upkeep(_ now: UInt64) {
        for place in seats.indices where seats[place].out.readableBytes == 0 {
            guard now &- seats[place].toldAt >= StreamLimits.heartbeatNanos else { continue }
            seats[place].out.writeBytes(StreamFrames.place(seats[place].place))
        }
        guard now &- checkedAt >= StreamLimits.checkNanos else { return }
        checkedAt = now
        drop(now) { seat in
            if seat.reader.waiting.nanos >= StreamLimits.stallNanos { return .slow }
            return seat.isAllowed() ? nil : .keyEnded
        }
    }
    private func flush(_ now: UInt64) {
        let byteCountMax = StreamLimits.readerBytesMax(among: seats.count)
        var full: Set<ObjectIdentifier> = []
        for place in seats.indices where seats[place].out.readableBytes > 0 {
            if seats[place].reader.offer(seats[place].out, byteCountMax: byteCountMax) {
                seats[place].toldAt = now
            } else {
                full.insert(ObjectIdentifier(seats[place].reader))
            }
            seats[place].out = ByteBuffer()
        }
        guard !full.isEmpty else { return }
        drop(now) { full.contains(ObjectIdentifier($0.reader)) ? .slow : nil }
    }
    private func drop(_ now: UInt64, _ reason: (StreamSeat) -> StreamEnd?) {
        let count = seats.count
        seats.removeAll { seat in
            guard let reason = reason(seat) else { return false }
            leave(seat, reason, now)
            return true
        }
        if seats.count != count { isIndexed = false }
    }
}

/// What was read lately, by sequence.
private struct RecentEvents {
    private var events: [StreamedEvent?] = []

    mutating func note(_ record: RecordView) {
        if events.isEmpty { events = Array(repeating: nil, count: StreamLimits.recentCount) }
        events[Int(record.sequence % UInt64(StreamLimits.recentCount))] = StreamedEvent(
            sequence: record.sequence, source: record.source.array, type: record.eventType.array,
            receivedAt: record.receivedAt)
    }
    func event(_ sequence: UInt64) -> StreamedEvent? {
        guard !events.isEmpty, let event = events[Int(sequence % UInt64(StreamLimits.recentCount))],
            event.sequence == sequence
        else { return nil }
        return event
    }
}
