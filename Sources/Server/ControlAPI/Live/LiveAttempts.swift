// Attempts of messages, out of the delivery store. A message keeps each of its attempts with the beginning of its
// answer, one that succeeded at once too.
//
// Invariant: what belongs to another application than the one that is asked for is `not_found`. Lists look at a bounded
// number of deliveries a call, and say where to go on.
import Engine
import FastPath
import Foundation

final class LiveAttempts: SvixAttempts {
    private let gateway: Gateway
    private static let rowsLookedAtMax = 5_000

    init(gateway: Gateway) { self.gateway = gateway }

    /// What a call is about.
    private struct Subject {
        let access: GatewayAccess
        let lookup: OutboundLookup
        let tenant: TenantSpec
        var browser: MessageBrowser { MessageBrowser(access, tenant: tenant.id) }

        func endpoint(_ ref: String) throws -> EndpointSpec {
            guard let found = lookup.endpoint(of: tenant, ref) else {
                throw SvixError.notFound("this application has no such endpoint")
            }
            return found
        }
        func message(_ ref: String) throws -> (place: EventID, message: SvixMessage) {
            guard let found = try browser.message(ref) else { throw SvixError.noMessage }
            return found
        }
        func attempt(_ row: AttemptRow, of message: SvixMessage) -> SvixAttempt? {
            guard let endpoint = lookup.state.endpoints[row.endpoint] else { return nil }
            let id = AttemptID(
                endedMillis: row.endedMillis, sequence: row.sequence, endpoint: row.endpoint, number: row.number
            ).text
            return SvixAttempt(
                id: id, messageId: message.id, endpointId: SvixID.text(endpoint.publicID, number: endpoint.id.number),
                url: OutboundURL.shown(endpoint.settings, to: lookup.caller),
                responseStatus: Int(row.status),
                response: access.expunged.isExpunged(attempt: id) ? "EXPUNGED" : LiveAttempts.response(row),
                durationMillis: Int(row.timing.totalMicros / 1000),
                isSuccess: row.result == .answered && (200..<300).contains(row.status),
                isManual: AttemptCount.isManual(row.number), endedMillis: row.endedMillis)
        }
    }
    private func subject(_ application: String, _ caller: Caller) throws -> Subject {
        guard let registry = gateway.registry else { throw ControlError.notRunning }
        let lookup = OutboundLookup(state: registry.state, caller: caller)
        return Subject(
            access: try gateway.accessNow(), lookup: lookup, tenant: try lookup.application(application))
    }
    private static func response(_ row: AttemptRow) -> String {
        guard row.result == .answered else {
            var outcome = DeliveryOutcome(token: 0, result: row.result)
            outcome.systemError = row.systemError
            return outcome.text
        }
        return String(validating: row.answer, as: UTF8.self) ?? Data(row.answer).base64EncodedString()
    }

    // MARK: lists

    func attempts(
        message ref: String, endpoint: String?, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt> {
        let subject = try subject(application, caller)
        let (place, message) = try subject.message(ref)
        let target = try endpoint.map { try subject.endpoint($0).id }
        var found: [SvixAttempt] = []
        if search.takes(message) {
            found = try subject.access.delivery.store.attempts(sequence: place.sequence)
                .filter { target == nil || $0.endpoint == target }
                .compactMap { subject.attempt($0, of: message) }.filter(search.takes)
        }
        return SvixPage(sorted: found.sorted { $0.id > $1.id }, search.messages) { $0.id }
    }
    func attempts(
        endpoint ref: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttempt> {
        let subject = try subject(application, caller)
        let endpoint = try subject.endpoint(ref).id
        let place = search.messages.paging.iterator.flatMap { AttemptID($0) }
        let walk: Walk<SvixAttempt> = try walk(
            subject, endpoint, search, from: place?.sequence, isInclusive: true
        ) { row, message in
            let all = try subject.access.delivery.store.attempts(sequence: row.place.sequence)
            let own = all.filter { $0.endpoint == endpoint }.compactMap { subject.attempt($0, of: message) }
                .filter(search.takes).sorted { $0.id > $1.id }
            guard let place, row.place.sequence == place.sequence else { return own }
            let mark = place.text
            return own.filter { search.messages.paging.isBackward ? $0.id > mark : $0.id < mark }
        }
        return walk.page(search.messages) { $0.id }
    }
    func attemptedMessages(
        endpoint ref: String, _ search: SvixAttemptSearch, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixAttemptedMessage> {
        let subject = try subject(application, caller)
        let endpoint = try subject.endpoint(ref).id
        let place = search.messages.paging.iterator.flatMap { MessageID($0) }?.event.sequence
        let walk: Walk<SvixAttemptedMessage> = try walk(
            subject, endpoint, search, from: place, isInclusive: false
        ) { row, message in
            let nanos = message.timestamp
            if let before = search.messages.before, nanos >= before { return [] }
            if let after = search.messages.after, nanos <= after { return [] }
            let status = SvixStatus(row.state)
            if let wanted = search.status, wanted != status { return [] }
            return [
                SvixAttemptedMessage(
                    message: message, status: status, nextMillis: row.state == .pending ? row.dueMillis : nil)
            ]
        }
        return walk.page(search.messages) { $0.message.id }
    }
    func destinations(
        message ref: String, _ paging: SvixPaging, application: String, _ caller: Caller
    ) throws -> SvixPage<SvixDestination> {
        let subject = try subject(application, caller)
        let place = try subject.message(ref).place
        let rows = try subject.access.delivery.store.rows(sequence: place.sequence).sorted { $0.endpoint < $1.endpoint }
        let all = rows.compactMap { row in
            subject.lookup.state.endpoints[row.endpoint].map { spec in
                SvixDestination(
                    endpoint: SvixEndpoint(spec, shownTo: caller), status: row.state.isFinished ? .success : .fail,
                    nextMillis: row.state == .pending ? row.dueMillis : nil)
            }
        }
        let mark = paging.iterator.flatMap { SvixID.resource($0, .endpoint)?.number }
        let walked = (paging.isBackward ? all.reversed() : all).filter { one in
            guard let mark, let number = SvixID.resource(one.endpoint.id, .endpoint)?.number else { return true }
            return paging.isBackward ? number < mark : number > mark
        }
        return SvixPage(walked: Array(walked.prefix(paging.limit + 1)), paging) { $0.endpoint.id }
    }

    /// What deliveries of an endpoint came to, in the direction walked.
    private struct Walk<Item: Sendable> {
        var found: [Item] = []
        var isBroken = false

        /// `found` may hold more than a page of what one delivery had.
        func page(_ search: SvixMessageSearch, id: (Item) -> String) -> SvixPage<Item> {
            var paging = search.paging
            paging.isBackward = search.walksUp
            let page = SvixPage(walked: Array(found.prefix(paging.limit + 1)), paging, id: id)
            guard isBroken, found.count <= paging.limit else { return page }
            return SvixPage(data: page.data, iterator: page.iterator, prevIterator: page.prevIterator, isDone: false)
        }
    }
    /// An iterator may be any text of an id's form.
    private static func next(_ sequence: UInt64) -> UInt64 { sequence == .max ? .max : sequence + 1 }
    private func walk<Item>(
        _ subject: Subject, _ endpoint: EndpointID, _ search: SvixAttemptSearch, from place: UInt64?,
        isInclusive: Bool, _ items: (DeliveryRow, SvixMessage) throws -> [Item]
    ) throws -> Walk<Item> {
        let (store, wanted) = (subject.access.delivery.store, search.messages.paging.limit + 1)
        let walksUp = search.messages.walksUp
        var walk = Walk<Item>()
        var (looked, byteCount) = (0, 0)
        func take(_ rows: [DeliveryRow]) throws {
            for row in rows where walk.found.count < wanted {
                guard byteCount < MessageBrowser.pageBytesMax else {
                    walk.isBroken = true
                    return
                }
                looked += 1
                guard let message = try subject.browser.message(at: row.place.sequence), search.takes(message) else {
                    continue
                }
                let own = try items(row, message)
                walk.found += walksUp ? own.reversed() : own
                if !own.isEmpty { byteCount += message.payloadBytes }
            }
        }
        if walksUp {
            var from = place.map { isInclusive ? $0 : LiveAttempts.next($0) } ?? 0
            while walk.found.count < wanted, looked < LiveAttempts.rowsLookedAtMax, !walk.isBroken {
                let rows = try store.rows(
                    endpoint: endpoint, states: Set(DeliveryState.allCases), from: from, limit: 100)
                try take(rows)
                guard rows.count == 100, let last = rows.last, !walk.isBroken else { return walk }
                from = last.place.sequence + 1
            }
        } else {
            var query = DeliveryQuery()
            query.endpoint = endpoint
            if let place {
                let end = isInclusive ? LiveAttempts.next(place) : place
                query.before = DeliveryCursor(sequence: end, endpoint: EndpointID(0))
            }
            while walk.found.count < wanted, looked < LiveAttempts.rowsLookedAtMax, !walk.isBroken {
                let (rows, next) = try store.rows(query)
                try take(rows)
                guard let next, !walk.isBroken else { return walk }
                query.before = next
            }
        }
        walk.isBroken = true
        return walk
    }

    // MARK: one

    func attempt(_ id: String, message: String, application: String, _ caller: Caller) throws -> SvixAttempt {
        let subject = try subject(application, caller)
        let (place, message) = try subject.message(message)
        guard let wanted = AttemptID(id), wanted.sequence == place.sequence else { throw SvixError.noAttempt }
        let rows = try subject.access.delivery.store.attempts(sequence: place.sequence)
        guard let found = rows.compactMap({ subject.attempt($0, of: message) }).first(where: { $0.id == id }) else {
            throw SvixError.noAttempt
        }
        return found
    }
    func expunge(attempt id: String, message: String, application: String, _ caller: Caller) throws {
        _ = try attempt(id, message: message, application: application, caller)
        try gateway.accessNow().expunged.add(attempt: id)
    }

    // MARK: by hand

    func resend(message ref: String, endpoint: String, application: String, _ caller: Caller) throws {
        let subject = try subject(application, caller)
        let (place, message) = try subject.message(ref)
        let target = try subject.endpoint(endpoint)
        guard message.payload != .expired else { throw SvixError.noPayload }
        guard !target.settings.disabled else { return }
        try send(place, to: target.id, subject)
    }
    private func send(_ place: EventID, to endpoint: EndpointID, _ subject: Subject) throws {
        switch try subject.access.delivery.replay(event: place, endpoints: [endpoint], isManual: true)[0] {
        // It is out already, or about to be.
        case .accepted, .alreadyPending, .notReached: return
        // As when its settings say so.
        case .endpointDisabled: return
        case .unknownEvent, .requestOfSeveral: throw SvixError.noPayload
        case .unknownEndpoint: throw SvixError.notFound("this application has no such endpoint")
        case .busy: throw ControlError(.busy, "delivery cannot take more at the moment; try again")
        }
    }
    func stats(endpoint ref: String, _ times: Range<UInt64>, application: String, _ caller: Caller) throws -> SvixStats
    {
        let subject = try subject(application, caller)
        let endpoint = try subject.endpoint(ref).id
        let millis = Int64(clamping: times.lowerBound / 1_000_000)..<Int64(clamping: times.upperBound / 1_000_000)
        let counts = try subject.access.delivery.store.attemptCounts(endpoint: endpoint, ended: millis)
        var stats = SvixStats()
        stats.success = counts.succeeded
        stats.fail = counts.failed
        return stats
    }
}

extension SvixError {
    static let noAttempt = SvixError.notFound("this message has no such attempt")
    static let noPayload = SvixError(400, "missing_payload", "the payload is gone, and cannot be sent")
}

extension SvixStatus {
    init(_ state: DeliveryState) {
        switch state {
        case .delivered, .superseded: self = .success
        case .pending: self = .sending
        case .dead: self = .fail
        }
    }
}

extension SvixMessageSearch {
    /// Towards what is younger: back from an iterator, or on from `after`.
    var walksUp: Bool { paging.isBackward || (paging.iterator == nil && after != nil && before == nil) }
}

extension SvixPage {
    /// Of a list that is here as a whole, the newest first; ids sort as the list does.
    init(sorted all: [Item], _ search: SvixMessageSearch, id: (Item) -> String) {
        var paging = search.paging
        paging.isBackward = search.walksUp
        let mark = paging.iterator
        let walked = (paging.isBackward ? all.reversed() : all).filter { one in
            guard let mark else { return true }
            return paging.isBackward ? id(one) > mark : id(one) < mark
        }
        self.init(walked: Array(walked.prefix(paging.limit + 1)), paging, id: id)
    }
}
