// The log of a webhook's attempts, out of the delivery store and the event log: a row for each attempt that was made,
// and one for the next of each event that is tried again.
//
// Rows stand in the order of their making, the newest first. The first row of an event is made with the event, each
// further one when the attempt before it failed, so that rows of older events may stand before those of younger ones:
// by no more than a schedule takes, unless delivery itself stood still. A page therefore looks at the youngest events
// until it is full, and then at those with failed attempts as far back as one of theirs may reach into it. Bounded work
// a call.
import Engine
import FastPath
import NIOHTTP1

struct OpsCenterBrowser {
    private let access: GatewayAccess
    private let webhook: EndpointSpec
    /// From an event to the making of its last row, at most.
    private let horizonMillis: Int64
    private let log: LogReaders
    private static let pageCount = 200
    private static let deliveriesLookedAtMax = 20_000
    static let pendingLookedAtMax = 5_000
    /// What clocks of events and of the store may be apart.
    private static let slackMillis: Int64 = 2_000

    init(_ access: GatewayAccess, _ webhook: EndpointSpec, _ schedule: FamilySchedule) {
        self.access = access
        self.webhook = webhook
        let waits = Double(schedule.delaysMillis.reduce(0, +)) * (1 + FamilySchedule.spread)
        let attempts = (schedule.delaysMillis.count + 1) * schedule.attemptMillisMax
        horizonMillis = Int64(waits) + Int64(attempts) + OpsCenterBrowser.slackMillis
        log = access.delivery.makeReader()
    }

    /// A row's place in the order.
    private struct Place: Comparable {
        let createdMillis: Int64
        let sequence: UInt64
        let ordinal: UInt16

        static func < (left: Place, right: Place) -> Bool {
            (left.createdMillis, left.sequence, left.ordinal) < (right.createdMillis, right.sequence, right.ordinal)
        }
    }
    private struct Entry {
        let place: Place
        let row: OpsCenterDelivery
    }
    /// What the log has of an event.
    private struct Event {
        let receivedMillis: Int64
        let type: String
        /// Nil when it was erased.
        let body: [UInt8]?
    }

    // MARK: a page

    func rows(_ search: OpsCenterDeliverySearch) throws -> [OpsCenterDelivery] {
        var query = DeliveryQuery()
        query.endpoint = webhook.id
        query.limit = OpsCenterBrowser.pageCount
        switch search.status {
        case .failed?: query.failedOnly = true
        case .pending?: query.states = [.pending]
        case .success?, nil: break
        }
        let mark = try search.before.map { try place(of: $0) }
        if let mark { query.before = try beginning(of: mark) }
        var found: [Entry] = []
        /// When the last row that fits was made; nil while there is room.
        var floorMillis: Int64?
        var looked = 0
        func take(_ row: DeliveryRow, _ event: Event?) throws {
            if let type = search.eventType, event?.type != type { return }
            let own = try entries(of: row, event).filter { entry in
                mark.map { entry.place < $0 } ?? true && search.takes(entry.row)
            }
            guard !own.isEmpty else { return }
            found = (found + own).sorted { $0.place > $1.place }
            let count = OpsCenterBrowser.pageCount(of: found, limit: search.limit)
            let isFull = count < found.count || count == search.limit
            found.removeSubrange(count...)
            if isFull { floorMillis = found.last?.place.createdMillis }
        }
        let end = try walk(query, &looked) { row in
            try take(row, event(at: row.place))
            return floorMillis == nil
        }
        guard let end else { return found.map(\.row) }
        query.failedOnly = true
        query.before = end
        _ = try walk(query, &looked) { row in
            let event = event(at: row.place)
            if let event, let floorMillis, event.receivedMillis + horizonMillis < floorMillis { return false }
            try take(row, event)
            return true
        }
        return found.map(\.row)
    }
    /// How many of these rows a page has: it ends with the one whose payload fills it.
    private static func pageCount(of rows: [Entry], limit: Int) -> Int {
        var byteCount = 0
        for (index, entry) in rows.prefix(limit).enumerated() {
            byteCount += entry.row.payload?.count ?? 0
            if byteCount >= MessageBrowser.pageBytesMax { return index + 1 }
        }
        return min(rows.count, limit)
    }
    /// Deliveries, the youngest event first, until `visit` has enough. Where it stopped then; nil at the end.
    private func walk(
        _ query: DeliveryQuery, _ looked: inout Int, _ visit: (DeliveryRow) throws -> Bool
    ) throws -> DeliveryCursor? {
        var query = query
        while looked < OpsCenterBrowser.deliveriesLookedAtMax {
            let (rows, next) = try access.delivery.store.rows(query)
            for row in rows {
                looked += 1
                guard try visit(row) else {
                    return DeliveryCursor(sequence: row.place.sequence, endpoint: row.endpoint)
                }
            }
            guard let next else { return nil }
            query.before = next
        }
        return nil
    }
    private func place(of id: String) throws -> Place {
        if let row = OpsCenterID.row(id), row.endpoint == webhook.id,
            let delivery = try access.delivery.store.rows(sequence: row.sequence).first(where: {
                $0.endpoint == webhook.id
            }),
            let found = try entries(of: delivery, event(at: delivery.place)).first(where: { $0.row.id == id })
        {
            return found.place
        }
        throw ControlError(.invalid, "`before` is not the `delivery_id` of a row of this webhook")
    }
    /// Behind every event that has a row before the mark.
    private func beginning(of mark: Place) throws -> DeliveryCursor {
        let browser = MessageBrowser(access, tenant: webhook.tenant)
        let end = access.tail.snapshot.sequence + 1
        let nanos = UInt64(max(0, mark.createdMillis + OpsCenterBrowser.slackMillis)) * 1_000_000
        let high = try browser.first(in: min(try browser.oldest(), end)..<end) { $0 > nanos }
        return DeliveryCursor(sequence: max(high, mark.sequence + 1), endpoint: EndpointID(0))
    }

    // MARK: rows

    private func event(at place: EventLocation) -> Event? {
        guard case .event(let event) = log.read(at: place), event.place.sequence == place.sequence,
            event.tenant == webhook.tenant
        else { return nil }
        return Event(
            receivedMillis: Int64(clamping: event.receivedAt / 1_000_000), type: event.eventType.text,
            body: event.isErased ? nil : event.body.array)
    }
    /// In the order of their making.
    private func entries(of delivery: DeliveryRow, _ event: Event?) throws -> [Entry] {
        let sequence = delivery.place.sequence
        let made = try attempts(of: delivery)
        var entries: [Entry] = []
        func add(createdMillis: Int64, _ fill: (inout OpsCenterDelivery) -> Void) {
            let ordinal = UInt16(clamping: entries.count)
            let id = OpsCenterID.Row(endpoint: webhook.id, sequence: sequence, ordinal: ordinal)
            var row = OpsCenterDelivery(
                id: OpsCenterID.text(id),
                event: OpsCenterID.text(EventID(logIdentity: access.identity, sequence: sequence)))
            row.eventType = event?.type
            row.payload = event?.body
            row.createdMillis = createdMillis
            fill(&row)
            entries.append(
                Entry(place: Place(createdMillis: createdMillis, sequence: sequence, ordinal: ordinal), row: row))
        }
        var before: Int64?
        for attempt in made {
            let begun = attempt.endedMillis - Int64(attempt.timing.totalMicros / 1000)
            add(createdMillis: before ?? min(event?.receivedMillis ?? begun, begun)) { $0.take(attempt) }
            before = attempt.endedMillis
        }
        guard delivery.state == .pending else { return entries }
        add(createdMillis: before ?? delivery.updatedMillis) { row in
            row.attempt = AttemptCount.number(of: delivery.attempts) + 1
            row.nextMillis = delivery.dueMillis
        }
        return entries
    }
    /// A crash of the machine may have taken the last one's row, and left the delivery's.
    private func attempts(of delivery: DeliveryRow) throws -> [AttemptRow] {
        let made = try access.delivery.store.attempts(sequence: delivery.place.sequence)
            .filter { $0.endpoint == webhook.id }.sorted { $0.endedMillis < $1.endedMillis }
        guard made.isEmpty, delivery.state == .delivered else { return made }
        return [
            AttemptRow(
                endpoint: webhook.id, sequence: delivery.place.sequence, number: delivery.attempts,
                endedMillis: delivery.updatedMillis, timing: delivery.timing, status: delivery.status,
                result: delivery.result)
        ]
    }

    /// What is to come, by type.
    /// `left`: at how many deliveries the call may still look; over all webhooks that it is about.
    func pendingCounts(_ left: inout Int) throws -> [(type: String, count: Int)] {
        guard left > 0 else { return [] }
        let rows = try access.delivery.store.rows(endpoint: webhook.id, states: [.pending], from: 0, limit: left)
        left -= rows.count
        var counts: [String: Int] = [:]
        for row in rows { if let event = event(at: row.place) { counts[event.type, default: 0] += 1 } }
        return counts.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension OpsCenterDeliverySearch {
    func takes(_ row: OpsCenterDelivery) -> Bool {
        status.map { $0 == row.status } ?? true && eventType.map { $0 == row.eventType } ?? true
    }
}

extension OpsCenterDelivery {
    fileprivate mutating func take(_ made: AttemptRow) {
        attempt = AttemptCount.number(of: made.number)
        let isSuccess = made.result == .answered && (200..<300).contains(made.status)
        status = isSuccess ? .success : .failed
        statusCode = made.result == .answered ? Int(made.status) : nil
        durationMillis = Int(made.timing.totalMicros / 1000)
        endedMillis = made.endedMillis
        guard !isSuccess else { return }
        if made.result == .answered {
            let phrase = HTTPResponseStatus(statusCode: Int(made.status)).reasonPhrase
            error = phrase.isEmpty ? "HTTP status \(made.status)" : phrase
        } else {
            var outcome = DeliveryOutcome(token: 0, result: made.result)
            outcome.systemError = made.systemError
            error = outcome.text
        }
    }
}
