// The events of one request, copied out of the log, that are prepared before they are put together. Pure; on worker
// threads.
//
// Invariant: what is made of one event is as if it went alone; one that cannot be made is left out and named.

import FastPath

package struct PreparationBatch: Sendable {
    package struct Item: Sendable {
        package let id: String
        package let type: [UInt8]
        package let source: [UInt8]
        package let receivedAt: UInt64
        package let fieldLines: [UInt8]
        package let body: [UInt8]

        init(_ event: StoredEvent, id: String) {
            self.id = id
            type = event.eventType.array
            source = event.source.array
            receivedAt = event.receivedAt
            fieldLines = event.fieldLines.array
            body = event.body.array
        }
        package var byteCount: Int { fieldLines.count + body.count }
        func written(fieldLines: [UInt8], body: [UInt8]) -> [UInt8] {
            BatchBody.item(
                id: id, type: type, source: source, receivedAt: receivedAt, fieldLines: fieldLines, body: body)
        }
    }
    package let format: BatchFormat
    package let items: [Item]
    package var byteCount: Int { items.reduce(0) { $0 + $1.byteCount } }

    func prepared(by preparation: Preparation) -> (event: PreparedEvent, failures: [Int: PreparationFailure]) {
        var body = BatchBody(format)
        var failures: [Int: PreparationFailure] = [:]
        var redactions: [UInt64] = []
        for (index, item) in items.enumerated() {
            do throws(PreparationFailure) {
                let made = try preparation.prepare(fieldLines: item.fieldLines, body: item.body)
                body.append(item.written(fieldLines: made.fieldLines, body: made.body))
                if redactions.isEmpty { redactions = made.redactions } else {
                    for (kind, count) in made.redactions.enumerated() { redactions[kind] += count }
                }
            } catch { failures[index] = error }
        }
        var event = PreparedEvent(fieldLines: [], body: body.closed)
        event.redactions = redactions
        return (event, failures)
    }
}
