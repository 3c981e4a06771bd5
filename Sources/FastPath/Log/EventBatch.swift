// One request that holds several events: the table of its elements, as a worker writes it and the journal reads it.
//
// An element is an entry of 16 bytes (where it lies in the request's body, how long its key and its type are), the key
// and the type behind it. In the log each element that is new becomes a record of its own, and behind them stands the
// request as it came, once, in a record that nobody is sent (docs/log-format.md).
//
// Invariant: a cursor reads only inside its table; a table is written by `ElementTable` alone, so an entry that does
// not add up is a defect of this process and traps.

/// What a record is to a request that holds several events.
package enum RecordPart {
    /// The request is the event.
    package static var whole: UInt8 { 0 }
    /// The request as it came; its events are in the records before it, or in older ones where they are duplicates.
    package static var request: UInt8 { 2 }
    /// One of its events.
    package static var element: UInt8 { 4 }
}

/// One event of a request.
struct BatchElement {
    var body: ByteRange
    var key: ByteView
    var eventType: ByteView
    /// False exactly when nothing can be the same event as this one.
    var hasIdentity: Bool
    /// The element's bytes are its key.
    var keyIsBody: Bool

    fileprivate static let entryBytes = 16
    fileprivate static let identityFlag: UInt16 = 1
    fileprivate static let bodyFlag: UInt16 = 2
}

/// The elements of a table, one after the other.
struct ElementCursor {
    private let table: ByteView
    private var place = 0

    @inline(__always) init(_ table: ByteView) { self.table = table }
    @inline(__always) mutating func next() -> BatchElement? {
        guard place < table.count else { return nil }
        let flags = table.load(place + 14, as: UInt16.self)
        let keyCount = Int(table.load(place + 8, as: UInt32.self))
        let typeCount = Int(table.load(place + 12, as: UInt16.self))
        let start = Int(table.load(place, as: UInt32.self))
        let count = Int(table.load(place + 4, as: UInt32.self))
        let keyStart = place + BatchElement.entryBytes
        place = keyStart + keyCount + typeCount
        return BatchElement(
            body: ByteRange(start: start, count: count), key: table.slice(keyStart, keyCount),
            eventType: table.slice(keyStart + keyCount, typeCount),
            hasIdentity: flags & BatchElement.identityFlag != 0, keyIsBody: flags & BatchElement.bodyFlag != 0)
    }
}

/// The table, written. Worker threads and tests; allocates.
package struct ElementTable: Equatable, Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var count = 0

    package init() {}
    /// `key` nil: it has no identity. Types are at most 65,535 bytes.
    package mutating func append(body: Range<Int>, key: [UInt8]?, keyIsBody: Bool = false, eventType: [UInt8]) {
        precondition(eventType.count <= Int(UInt16.max))
        let stored = keyIsBody ? [] : key ?? []
        var flags: UInt16 = key == nil ? 0 : BatchElement.identityFlag
        if keyIsBody { flags |= BatchElement.bodyFlag }
        append(UInt32(body.lowerBound))
        append(UInt32(body.count))
        append(UInt32(stored.count))
        append(UInt16(eventType.count))
        append(flags)
        bytes += stored
        bytes += eventType
        count += 1
    }
    /// Where each lies in the request's body, and its type, in their order, until `body` says no.
    package func all(_ body: (Range<Int>, [UInt8]) -> Bool) {
        bytes.withView { view in
            var cursor = ElementCursor(view)
            while let element = cursor.next() {
                let start = Int(element.body.start)
                guard body(start..<start + Int(element.body.count), element.eventType.array) else { return }
            }
        }
    }
    private mutating func append<T: FixedWidthInteger>(_ value: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> T(shift)))
        }
    }
}

extension EventInput {
    /// True exactly when it is a request that holds several events.
    @inline(__always) var isBatch: Bool { elements.count > 0 }
    /// One of them, as an event of its own. Views of this one.
    @inline(__always) func event(of element: BatchElement) -> EventInput {
        var one = self
        one.elements = .empty
        one.part = RecordPart.element
        one.body = body.slice(element.body)
        one.identify(as: element)
        return one
    }
    /// Takes type and key as a worker has read them; `body` is the element's already.
    @inline(__always) mutating func identify(as element: BatchElement) {
        dedupKey = element.keyIsBody ? body : element.key
        keyIsBody = element.keyIsBody
        eventType = element.eventType
        if !element.hasIdentity { dedupWindowSeconds = 0 }
    }
    /// The request itself, which is nobody's duplicate.
    @inline(__always) var requestOfBatch: EventInput {
        var one = self
        one.elements = .empty
        one.part = RecordPart.request
        one.dedupKey = .empty
        one.keyIsBody = false
        one.eventType = .empty
        one.dedupWindowSeconds = 0
        return one
    }
    /// What it takes in a commit group at most: one record, or those of all its events and its own. Nil when a field is
    /// longer than its count can say.
    @inline(__always) var groupByteCount: Int? {
        isBatch ? batchByteCount : RecordFormat.byteCount(of: self)
    }
    private var batchByteCount: Int? {
        guard var total = RecordFormat.byteCount(of: requestOfBatch) else { return nil }
        var cursor = ElementCursor(elements)
        while let element = cursor.next() {
            guard let count = RecordFormat.byteCount(of: event(of: element)) else { return nil }
            total += count
        }
        return total
    }
}
