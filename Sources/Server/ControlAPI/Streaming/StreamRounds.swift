// What is told to whom: the log is read once for all readers that have caught up, and together for those that have not.
// Passive: a round gets the time, never waits and is called by one thread. `StreamHub` drives it.
//
// The order of a round, and why: facts are taken before the log is read, so that the event of an outcome is told
// before it; the log before the facts are told, and those of events that were not read yet are kept for a later round;
// those that catch up behind, up to where the log was read to; what is to be sent last, once a reader.
//
// Invariants: a reader is told the events of the log in their order, each once, from its place on; what is behind its
// place it has, or it is not for it. A round writes so much for a reader and no more; what is over waits in the log, or
// as a fact. A reader whose buffer is full is not waited for: one that takes what it is told catches up from the log,
// one that takes nothing is dropped.
import Engine
import FastPath
import NIOCore

package final class StreamRounds {
    private let world: StreamWorld
    private let shared: LogPlace
    private let behind: LogPlace
    private lazy var older = world.makeReaders()
    private var recent = RecentEvents()
    private var frames: StreamFrames
    private var seats: [StreamSeat] = []
    /// Places in `seats`: of those that have caught up, and of those that had and could not take what they were told.
    private var live = StreamCompany()
    private var demoted = StreamCompany()
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
    /// Facts that were taken: from `heldFrom` on they wait for their turn.
    private var held: [StreamFact] = []
    private var heldFrom = 0
    /// Of events that are not told yet; before those of `held`. Looked through when the log was read further.
    private var early: [StreamFact] = []
    private var earlySeenAt: UInt64?
    /// Facts that found no room, by tenant.
    private var lost: [UInt32: UInt64] = [:]
    /// The most that this round has written for one of those that have caught up.
    private var biggest = 0

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
        biggest = 0
        sweep(now)
        takeFacts()
        for seat in arrivals { admit(seat) }
        guard world.isServing() else {
            for seat in seats { leave(seat, .draining, now) }
            seats = []
            isIndexed = false
            return StreamLimits.roundNanosMin
        }
        feed()
        let isBehind = follow(now)
        let hasFacts = tellFacts()
        let isCatchingUp = catchUp(now)
        upkeep(now)
        flush(now)
        if isBehind || hasFacts || isCatchingUp { return 1_000_000 }
        let wanted = StreamLimits.roundNanosOfReader * UInt64(seats.count)
        return min(max(wanted, StreamLimits.roundNanosMin), StreamLimits.roundNanosMax)
    }

    // MARK: who is there

    private func admit(_ arrival: StreamSeat) {
        var seat = arrival
        // Whoever is told no events has nothing to catch up with.
        seat.place = seat.filter.wantsEvents ? min(seat.after, world.tail.snapshot.sequence) : readTo
        seat.isLive = seat.place >= readTo
        seat.out.writeBytes(StreamFrames.opening(seat.place, seat.form))
        seats.append(seat)
        isIndexed = false
    }
    private func feed() {
        let isWanted = seats.contains { $0.filter.wantsOutcomes }
        if isWanted != isFed { world.feed.setWanted(isWanted) }
        isFed = isWanted
        if !isWanted { forgetFacts() }
    }
    private func index() {
        guard !isIndexed else { return }
        isIndexed = true
        live = StreamCompany()
        demoted = StreamCompany()
        for (place, seat) in seats.enumerated() {
            if seat.isLive { live.add(place, of: seat.shownTenant) }
            if seat.isDemoted { demoted.add(place, of: seat.shownTenant) }
        }
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
        if case .own = seat.form { words.writeBytes(StreamFrames.place(seat.place)) }
        words.writeBytes(StreamFrames.end(reason))
        seat.reader.end(words)
        leaving.append((seat, now))
    }

    // MARK: events

    private var readerBytesMax: Int { StreamLimits.readerBytesMax(among: seats.count) }

    /// True when there is more.
    private func follow(_ now: UInt64) -> Bool {
        index()
        let tail = world.tail.snapshot
        let wantsDeliveries = seats.contains { $0.isLive && $0.filter.wantsDeliveries }
        defer { settle() }
        guard wantsDeliveries || seats.contains(where: { $0.isLive && $0.filter.wantsEvents }) else {
            if readTo != tail.sequence {
                readTo = tail.sequence
                shared.log.seek(readTo + 1)
            }
            return false
        }
        guard !shared.isResting(at: readTo + 1, now) else { return false }
        let bytesMax = readerBytesMax / 4
        for _ in 0..<StreamLimits.recordsPerRound {
            guard biggest < bytesMax else { return true }
            switch shared.log.next(through: tail) {
            case .record(let record, let position):
                guard record.sequence > readTo else { continue }
                shared.note(record, position)
                readTo = record.sequence
                let readers = live.places(of: record.tenantNumber)
                guard !readers.isEmpty else { continue }
                if wantsDeliveries { recent.note(record, logIdentity: frames.logIdentity) }
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
    /// To one of those that have caught up.
    private func put(_ frame: [UInt8], to place: Int) {
        seats[place].out.writeBytes(frame)
        biggest = max(biggest, seats[place].out.readableBytes)
    }
    private func tell(_ record: RecordView, to readers: [Int]) {
        var spelled = SpelledFrames()
        for place in readers where seats[place].place < record.sequence {
            guard seats[place].filter.takes(record) else { continue }
            put(spelled.event(record, seats[place].form, &frames), to: place)
        }
    }
    private func gap(_ first: UInt64, _ last: UInt64) {
        guard last > readTo else { return }
        let first = max(first, readTo + 1)
        readTo = last
        // One that begins behind it has missed nothing.
        for place in seats.indices where seats[place].isLive && seats[place].place < last {
            guard seats[place].filter.wantsEvents else { continue }
            put(StreamFrames.gap(max(first, seats[place].place + 1), through: last), to: place)
        }
    }

    // MARK: facts

    /// While some are held the feed keeps the others, and counts those for which it has no room.
    private func takeFacts() {
        guard heldFrom == held.count else { return }
        (held, lost) = world.feed.take()
        heldFrom = 0
    }
    private func forgetFacts() {
        (held, early, lost) = ([], [], [:])
        heldFrom = 0
    }
    /// True when there is more that may be told at once.
    private func tellFacts() -> Bool {
        index()
        tellLost()
        guard !live.isEmpty || !demoted.isEmpty else {
            forgetFacts()
            return false
        }
        let bytesMax = readerBytesMax / 2
        var reads = StreamLimits.oldEventsPerRound
        if !early.isEmpty, earlySeenAt != readTo {
            earlySeenAt = readTo
            let waiting = early
            early = []
            for (place, fact) in waiting.enumerated() {
                guard biggest < bytesMax, tell(fact, &reads) else {
                    early += waiting[place...]
                    earlySeenAt = nil
                    return true
                }
            }
        }
        while heldFrom < held.count, early.count < StreamFeed.factCountMax {
            guard biggest < bytesMax, tell(held[heldFrom], &reads) else { return true }
            heldFrom += 1
        }
        return false
    }
    /// To each what was lost of its tenant's.
    private func tellLost() {
        guard !lost.isEmpty else { return }
        let all = lost.values.reduce(0, +)
        lostOutcomes += all
        for place in seats.indices where seats[place].filter.wantsOutcomes {
            let count = seats[place].shownTenant.map { lost[$0.number] ?? 0 } ?? all
            if seats[place].isDemoted { seats[place].missedCount += count }
            guard count > 0, seats[place].isLive else { continue }
            put(StreamFrames.gap(outcomes: count), to: place)
        }
        lost = [:]
    }
    /// False when its turn is in another round: of old events so many are read in one.
    private func tell(_ fact: StreamFact, _ reads: inout Int) -> Bool {
        let readers = live.places(of: fact.tenant.number)
        let missing = demoted.places(of: fact.tenant.number)
        guard !readers.isEmpty || !missing.isEmpty else { return true }
        switch fact {
        case .delivery(_, let row):
            guard row.place.sequence <= readTo else {
                early.append(fact)
                return true
            }
            guard tell(row, to: readers, &reads) else { return false }
        case .endpoint(_, let notice): tell(notice, to: readers)
        }
        for place in missing where seats[place].filter.mayTake(fact) { seats[place].missedCount += 1 }
        return true
    }
    private func tell(_ row: DeliveryRow, to readers: [Int], _ reads: inout Int) -> Bool {
        let asking = readers.filter { seats[$0].filter.mayTake(row) }
        guard !asking.isEmpty else { return true }
        var event = recent.event(row.place.sequence)
        if event == nil {
            if reads > 0 {
                reads -= 1
                event = olderEvent(at: row.place)
            } else if asking.contains(where: { seats[$0].filter.needsEvent }) {
                return false
            }
        }
        var spelled = SpelledFrames()
        var told: DeliveryRow?
        let isEntry = event?.stamp != nil && world.isContractEntry(row.endpoint)
        for place in asking where seats[place].filter.takes(row, event, isEntry: isEntry) {
            let whole = told ?? self.whole(row)
            told = whole
            let endpoint = world.endpoint(row.endpoint)
            put(spelled.delivery(whole, event, at: endpoint, seats[place].form, &frames), to: place)
        }
        return true
    }
    /// With what its last attempt came to, where it ended without another one: the row of that is in the store since.
    private func whole(_ row: DeliveryRow) -> DeliveryRow {
        guard row.keepsLastFailure, let last = world.stored(DeliveryKey(row)) else { return row }
        return row.withLastFailure(of: last)
    }
    private func olderEvent(at place: EventLocation) -> StreamedEvent? {
        guard case .event(let event) = older.read(at: place), event.place.sequence == place.sequence else { return nil }
        var found = StreamedEvent(
            sequence: place.sequence, source: event.source.array, type: event.eventType.array,
            receivedAt: event.receivedAt)
        found.stamp = ContractStamp(event, logIdentity: frames.logIdentity)
        found.isOfControlListener = event.sourceID == .contract
        return found
    }
    private func tell(_ notice: EndpointNotice, to readers: [Int]) {
        var frame: [UInt8] = []
        for place in readers where seats[place].filter.takes(notice) {
            if frame.isEmpty {
                frame = StreamFrames.endpoint(EndpointChange(notice, at: world.endpoint(notice.endpoint)))
            }
            put(frame, to: place)
        }
    }

    // MARK: those that catch up

    /// What one of them gets in its turn.
    private var catchUpBytes: Int { min(StreamLimits.catchUpBytes, readerBytesMax / 4) }

    /// One reading of the log for all that are at its beginning or further on: from the lowest place, and every other
    /// time from the place of another one, so that nobody waits for all that is behind it. True when there is more.
    private func catchUp(_ now: UInt64) -> Bool {
        let end = world.clock() &+ StreamLimits.catchUpNanos
        for place in seats.indices where !seats[place].filter.wantsEvents && hasRoom(place) { join(place) }
        while true {
            let ready = seats.indices.filter { hasRoom($0) && !behind.isResting(at: seats[$0].place + 1, now) }
            guard let lowest = ready.min(by: { seats[$0].place < seats[$1].place }) else { return false }
            guard world.clock() < end else { return true }
            turn += 1
            let first = turn % 2 == 0 ? ready[turn / 2 % ready.count] : lowest
            let start = seats[first].place
            guard read(for: ready.filter { seats[$0].place >= start }, from: first, now, until: end) else {
                return false
            }
        }
    }
    /// It catches up, and may be given more. One that has enough to take has its turn when it has taken it.
    private func hasRoom(_ place: Int) -> Bool {
        !seats[place].isLive && seats[place].out.readableBytes < catchUpBytes
            && seats[place].reader.waiting.byteCount < readerBytesMax / 2
    }
    /// False when it came no further.
    private func read(for group: [Int], from first: Int, _ now: UInt64, until end: UInt64) -> Bool {
        let start = seats[first].place
        var (reached, reachedAt) = (start, seats[first].position)
        if behind.log.sequence != start + 1 {
            if let position = reachedAt { behind.log.seek(start, at: position) } else { behind.log.seek(start + 1) }
        }
        var company = StreamCompany()
        for place in group { company.add(place, of: seats[place].shownTenant) }
        var tail = world.tail.snapshot
        tail.sequence = readTo
        var count = 0
        reading: while !company.isEmpty {
            count += 1
            if count % 64 == 0, world.clock() >= end { break }
            switch behind.log.next(through: tail) {
            case .record(let record, let position):
                guard record.sequence > reached else { continue }
                behind.note(record, position)
                (reached, reachedAt) = (record.sequence, position)
                tell(record, position, to: &company)
            case .damaged(let damage):
                if behind.isWorthAnotherTry(damage, now) { break reading }
                let last = damage.firstSequence &+ damage.sequenceCount &- 1
                gap(max(damage.firstSequence, reached + 1), last, of: company.all)
                if last > reached { (reached, reachedAt) = (last, nil) }
            case .missing(let first, let last):
                gap(max(first, reached + 1), last, of: company.all)
                if last > reached { (reached, reachedAt) = (last, nil) }
            case .caughtUp:
                for place in company.all { join(place) }
                return true
            case .failed: break reading
            }
        }
        for place in company.all where seats[place].place < reached {
            seats[place].place = reached
            seats[place].position = reachedAt
        }
        return reached > start
    }
    /// Whoever has enough then leaves.
    private func tell(_ record: RecordView, _ position: RecordPosition, to company: inout StreamCompany) {
        var spelled = SpelledFrames()
        for place in company.places(of: record.tenantNumber) where seats[place].place < record.sequence {
            guard seats[place].filter.takes(record) else { continue }
            let frame = spelled.event(record, seats[place].form, &frames)
            seats[place].out.writeBytes(frame)
            guard seats[place].out.readableBytes >= catchUpBytes else { continue }
            seats[place].place = record.sequence
            seats[place].position = position
            company.remove(place, of: seats[place].shownTenant)
        }
    }
    private func gap(_ first: UInt64, _ last: UInt64, of places: [Int]) {
        for place in places where seats[place].place < last {
            seats[place].out.writeBytes(StreamFrames.gap(max(first, seats[place].place + 1), through: last))
            seats[place].place = last
            seats[place].position = nil
        }
    }
    /// It has caught up.
    private func join(_ place: Int) {
        seats[place].place = max(seats[place].place, readTo)
        seats[place].isLive = true
        seats[place].isDemoted = false
        isIndexed = false
        guard seats[place].missedCount > 0 else { return }
        seats[place].out.writeBytes(StreamFrames.gap(outcomes: seats[place].missedCount))
        seats[place].missedCount = 0
    }

    // MARK: what is sent

    private func upkeep(_ now: UInt64) {
        for place in seats.indices { beat(place, now) }
        guard now &- checkedAt >= StreamLimits.checkNanos else { return }
        checkedAt = now
        drop(now) { seat in
            if seat.reader.waiting.nanos >= StreamLimits.stallNanos { return .slow }
            return seat.isAllowed() ? nil : .keyEnded
        }
    }
    /// Of ours those alone that are told nothing else; the contract's all, a little before the time is over.
    private func beat(_ place: Int, _ now: UInt64) {
        switch seats[place].form {
        case .own:
            guard seats[place].out.readableBytes == 0, now &- seats[place].toldAt >= StreamLimits.heartbeatNanos else {
                return
            }
            seats[place].out.writeBytes(StreamFrames.place(seats[place].place))
        case .contract(_, let heartbeatNanos):
            if seats[place].beatAt == 0 { seats[place].beatAt = now }
            guard now &- seats[place].beatAt >= heartbeatNanos - heartbeatNanos / 8 else { return }
            seats[place].beatAt = now
            seats[place].out.writeBytes(StreamFrames.heartbeat)
        }
    }
    private func flush(_ now: UInt64) {
        let byteCountMax = readerBytesMax
        var full: Set<ObjectIdentifier> = []
        for place in seats.indices where seats[place].out.readableBytes > 0 {
            if seats[place].reader.offer(seats[place].out, byteCountMax: byteCountMax) {
                seats[place].toldAt = now
                seats[place].out = ByteBuffer()
            } else if seats[place].isLive {
                if seats[place].reader.waiting.nanos < StreamLimits.graceNanos {
                    demote(place)
                } else {
                    full.insert(ObjectIdentifier(seats[place].reader))
                }
            }
        }
        guard !full.isEmpty else { return }
        drop(now) { full.contains(ObjectIdentifier($0.reader)) ? .slow : nil }
    }
    /// It takes what it is told, and not as fast: what it was refused waits in `out`, what comes then in the log.
    private func demote(_ place: Int) {
        seats[place].isLive = false
        seats[place].isDemoted = true
        seats[place].position = nil
        isIndexed = false
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
