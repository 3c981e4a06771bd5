// Records of the log. A byte that says which, then bytes: a record as it may lie on disk, or the parts of an event, cut
// at zeros. What decodes and has no unknown flag encodes to the same bytes; what was encoded decodes to the same parts,
// verifies, and does not verify with any bit changed.
import FastPath

enum LogRecordFuzz {
    private static let seed: UInt64 = 0x5EED
    /// As docs/log-format.md has them.
    private enum Offset { static let length = 8, kind = 12, flags = 13, version = 14, keyCount = 76 }
    private static let flagKeyIsBody: UInt8 = 1

    static func run(_ input: [UInt8]) throws(FuzzFinding) {
        guard let first = input.first else { return }
        let rest = Array(input.dropFirst())
        switch first % 3 {
        case 0: try checkDecoding(rest)
        case 1: try checkDecoding(helped(rest))
        default: try checkEncoding(rest)
        }
    }

    /// With the length and the kind that such bytes would have, so that more of them are looked at.
    private static func helped(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= RecordFormat.headerBytes else { return bytes }
        var bytes = Array(bytes.prefix(bytes.count & ~7))
        for index in 0..<4 { bytes[Offset.length + index] = UInt8(bytes.count >> (8 * index) & 255) }
        bytes[Offset.kind] = RecordFormat.kindEvent
        (bytes[Offset.version], bytes[Offset.version + 1]) = (1, 0)
        return bytes
    }

    private static func checkDecoding(_ bytes: [UInt8]) throws(FuzzFinding) {
        try withExactBytes(bytes) { view throws(FuzzFinding) in
            guard let record = RecordView(view) else { return }
            let parts = [
                record.tenant, record.source, record.key, record.eventType, record.method, record.target,
                record.clientSubject, record.fieldLines, record.body, record.providerID,
            ]
            let size = parts.reduce(0) { $0 + $1.count }
            try hold(size <= 4 * record.length, "parts larger than their record")
            _ = (record.tenantNumber, record.verdict.name, record.receivedSeconds, record.fingerprint)
            let flags = view[Offset.flags]
            guard flags & ~flagKeyIsBody == 0, !record.keyIsBody || hasNoKey(view) else { return }
            var event = event(of: record)
            event.keyIsBody = record.keyIsBody
            let again = encode(event, record)
            // The checksum is this segment's own, and what is behind the body is filled with zeros.
            let start = Offset.length
            let end = record.length - RecordFormat.alignment
            try hold(
                Array(again[start..<end]) == view.slice(start, end - start).array,
                "a record that decodes encodes to other bytes")
        }
    }
    private static func hasNoKey(_ view: ByteView) -> Bool {
        view.load(Offset.keyCount, as: UInt32.self) == 0
    }
    private static func event(of record: RecordView) -> EventInput {
        var event = EventInput()
        (event.tenant, event.source, event.dedupKey) = (record.tenant, record.source, record.key)
        (event.eventType, event.method, event.target) = (record.eventType, record.method, record.target)
        (event.fieldLines, event.body) = (record.fieldLines, record.body)
        (event.sourceNumber, event.receivedAt) = (record.sourceNumber, record.receivedAt)
        (event.dedupWindowSeconds, event.verdict) = (record.dedupWindowSeconds, record.verdict)
        return event
    }
    private static func encode(_ event: EventInput, _ record: RecordView) -> [UInt8] {
        guard let length = RecordFormat.byteCount(of: event), length == record.length else { return [] }
        return encode(
            event, length, print: record.fingerprint, sequence: record.sequence, groupOffset: record.groupOffset)
    }
    private static func encode(
        _ event: EventInput, _ length: Int, print: Fingerprint, sequence: UInt64, groupOffset: UInt32
    ) -> [UInt8] {
        let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 8)
        defer { memory.deallocate() }
        // What was there before must not shine through.
        memory.initializeMemory(as: UInt8.self, repeating: 0xA5, count: length)
        RecordFormat.encode(
            event, print: print, sequence: sequence, groupOffset: groupOffset, length: length, seed: seed, to: memory)
        return Array(UnsafeRawBufferPointer(start: memory, count: length))
    }

    private static func checkEncoding(_ input: [UInt8]) throws(FuzzFinding) {
        var parts = input.split(separator: 0, maxSplits: 7, omittingEmptySubsequences: false).map(Array.init)
        while parts.count < 8 { parts.append([]) }
        for index in [0, 1, 4] { parts[index] = Array(parts[index].prefix(255)) }
        if parts[0].count != 4 { parts[0] = [] }
        try lend(parts) { views throws(FuzzFinding) in
            var event = EventInput()
            (event.tenant, event.source, event.dedupKey, event.eventType) = (views[0], views[1], views[2], views[3])
            (event.method, event.target, event.fieldLines, event.body) = (views[4], views[5], views[6], views[7])
            event.keyIsBody = views[2].count == 0
            (event.receivedAt, event.sourceNumber) = (UInt64(input.count) << 32, UInt32(input.count))
            guard let length = RecordFormat.byteCount(of: event) else { return }
            let print = Fingerprint(slot: Hash128(low: 1, high: .max), tag: Hash128(low: 3, high: 4))
            let bytes = encode(event, length, print: print, sequence: 77, groupOffset: 5)
            try withExactBytes(bytes) { view throws(FuzzFinding) in
                guard let record = RecordView(view) else { throw FuzzFinding("what was encoded does not decode") }
                try hold(record.verifies(seed: seed) && !record.verifies(seed: seed + 1), "a checksum of any segment")
                let read = [record.tenant, record.source, views[2], record.eventType, record.method, record.target]
                for (one, other) in zip(read + [record.fieldLines, record.body], views) {
                    try hold(one.array == other.array, "\(other.text) is read as \(one.text)")
                }
                let key = event.keyIsBody ? views[7] : views[2]
                try hold(record.key.array == key.array && record.sequence == 77, "key or sequence")
            }
            var damaged = bytes
            let bit = cut(of: input) * 8 % (bytes.count * 8)
            damaged[bit / 8] ^= 1 << (input.count & 7)
            let stillVerifies = damaged.withView { RecordView($0)?.verifies(seed: seed) ?? false }
            try hold(!stillVerifies, "bit \(bit) changed and the record verifies")
        }
    }
    private static func lend(
        _ parts: [[UInt8]], _ views: [ByteView] = [], _ body: ([ByteView]) throws(FuzzFinding) -> Void
    ) throws(FuzzFinding) {
        guard views.count < parts.count else { return try body(views) }
        try withExactBytes(parts[views.count]) { view throws(FuzzFinding) in try lend(parts, views + [view], body) }
    }
}
