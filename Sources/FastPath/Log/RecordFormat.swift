// The bytes of a record, written and read. docs/log-format.md is the specification; this file is its only
// implementation.
//
// Invariants: a record is a multiple of 8 bytes and starts at one; its checksum covers everything behind it and is
// seeded with log, segment and first sequence, so bytes of another segment never verify; kind 0 is no record. If these
// fail, a stale or torn block can read as an event.
// Safety: the writer is given memory with room for `RecordFormat.byteCount(of:)`; a `RecordView` is checked once, on
// creation, and reads only inside its bytes.

import CShims

package enum RecordFormat {
    // Computed, because a stored global may be initialised lazily, under a lock.
    package static var headerBytes: Int { 96 }
    package static var alignment: Int { 8 }
    /// Commit groups start at multiples of it, so that a torn write never touches a block with an acknowledged record.
    package static var blockBytes: Int { 4096 }
    package static var kindEvent: UInt8 { 1 }
    package static var version: UInt16 { 1 }
    static var flagKeyIsBody: UInt8 { 1 }
    /// The field lines begin with one of the gateway's own, which says whose certificate the client has shown. No
    /// client can forge it: one that sends such a field has it behind, and no flag.
    static var flagHasSubject: UInt8 { 8 }
    /// The body's bytes are zeros: somebody had it erased.
    static var flagErased: UInt8 { 16 }
    /// Of an erased record: so are those of key, target and field lines.
    static var flagBare: UInt8 { 32 }
    /// It came in the contract's envelope.
    static var flagEnveloped: UInt8 { 64 }
    static var subjectName: StaticString { "Sluice-Client-Subject: " }
    private static var lineEnd: StaticString { "\r\n" }
    @inline(__always) private static func subjectLineCount(_ event: EventInput) -> Int {
        event.clientSubject.count == 0
            ? 0 : subjectName.utf8CodeUnitCount + event.clientSubject.count + lineEnd.utf8CodeUnitCount
    }
    /// The tenant of records without tenant bytes: everything that a single-tenant installation keeps.
    package static var defaultTenantNumber: UInt32 { 1 }

    /// What a record says of its tenant. The default tenant's records have no such bytes: their fingerprints stay those
    /// of a log from before there were tenants.
    package static func tenantBytes(of number: UInt32) -> [UInt8] {
        guard number != defaultTenantNumber else { return [] }
        return (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    enum Offset {
        static var checksum: Int { 0 }
        static var length: Int { 8 }
        static var kind: Int { 12 }
        static var flags: Int { 13 }
        static var version: Int { 14 }
        static var sequence: Int { 16 }
        static var receivedAt: Int { 24 }
        static var groupOffset: Int { 32 }
        static var bodyCount: Int { 36 }
        static var fingerprint: Int { 40 }
        static var tag: Int { 56 }
        static var fieldLinesCount: Int { 72 }
        static var keyCount: Int { 76 }
        static var windowSeconds: Int { 80 }
        static var targetCount: Int { 84 }
        static var typeCount: Int { 86 }
        static var methodCount: Int { 88 }
        static var sourceCount: Int { 89 }
        static var tenantCount: Int { 90 }
        static var verdict: Int { 91 }
        static var sourceNumber: Int { 92 }
    }

    @inline(__always) package static func roundUp(_ count: Int, to unit: Int) -> Int {
        (count + unit - 1) & ~(unit - 1)
    }

    /// Bytes the record of `event` takes, padding included; nil when a field is longer than its count can say.
    @inline(__always) package static func byteCount(of event: EventInput) -> Int? {
        guard event.tenant.count <= 255, event.source.count <= 255, event.method.count <= 255,
            event.eventType.count <= 65_535, event.target.count <= 65_535,
            event.clientSubject.count <= ClientCertificateRule.subjectBytesMax, event.fieldLines.count <= 1 << 30,
            event.dedupKey.count <= 1 << 30, event.body.count <= 1 << 30
        else { return nil }
        let names = event.tenant.count + event.source.count + event.method.count + event.eventType.count
        let key = event.keyIsBody ? 0 : event.dedupKey.count
        let lines = subjectLineCount(event) + event.fieldLines.count
        return roundUp(headerBytes + names + key + event.target.count + lines + event.body.count, to: alignment)
    }

    /// Writes everything but the checksum. Safety: `memory` is 8-aligned and has room for `length` = `byteCount(of:)`
    /// bytes.
    @inline(__always) static func write(
        _ event: EventInput, print: Fingerprint, sequence: UInt64, groupOffset: UInt32, length: Int,
        to memory: UnsafeMutableRawPointer
    ) {
        // The last word first: it holds the padding, and what is real overwrites it.
        unsafe memory.storeBytes(of: 0, toByteOffset: length - 8, as: UInt64.self)
        unsafe memory.storeBytes(of: 0, toByteOffset: 88, as: UInt64.self)
        unsafe put(UInt32(length), memory, Offset.length)
        unsafe put(kindEvent, memory, Offset.kind)
        let subjectLineCount = subjectLineCount(event)
        var flags = (event.keyIsBody ? flagKeyIsBody : 0) | (subjectLineCount > 0 ? flagHasSubject : 0) | event.part
        if event.isEnveloped { flags |= flagEnveloped }
        unsafe put(flags, memory, Offset.flags)
        unsafe put(version, memory, Offset.version)
        unsafe put(sequence, memory, Offset.sequence)
        unsafe put(event.receivedAt, memory, Offset.receivedAt)
        unsafe put(groupOffset, memory, Offset.groupOffset)
        unsafe put(UInt32(event.body.count), memory, Offset.bodyCount)
        unsafe put(print.slot.low, memory, Offset.fingerprint)
        unsafe put(print.slot.high, memory, Offset.fingerprint + 8)
        unsafe put(print.tag.low, memory, Offset.tag)
        unsafe put(print.tag.high, memory, Offset.tag + 8)
        unsafe put(UInt32(subjectLineCount + event.fieldLines.count), memory, Offset.fieldLinesCount)
        unsafe put(event.keyIsBody ? 0 : UInt32(event.dedupKey.count), memory, Offset.keyCount)
        unsafe put(event.dedupWindowSeconds, memory, Offset.windowSeconds)
        unsafe put(UInt16(event.target.count), memory, Offset.targetCount)
        unsafe put(UInt16(event.eventType.count), memory, Offset.typeCount)
        unsafe put(UInt8(event.method.count), memory, Offset.methodCount)
        unsafe put(UInt8(event.source.count), memory, Offset.sourceCount)
        unsafe put(UInt8(event.tenant.count), memory, Offset.tenantCount)
        unsafe put(event.verdict.code, memory, Offset.verdict)
        unsafe put(event.sourceNumber, memory, Offset.sourceNumber)
        var place = unsafe memory + headerBytes
        unsafe append(event.tenant, &place)
        unsafe append(event.source, &place)
        if !event.keyIsBody { unsafe append(event.dedupKey, &place) }
        unsafe append(event.eventType, &place)
        unsafe append(event.method, &place)
        unsafe append(event.target, &place)
        if subjectLineCount > 0 {
            unsafe append(ByteView(subjectName), &place)
            unsafe append(event.clientSubject, &place)
            unsafe append(ByteView(lineEnd), &place)
        }
        unsafe append(event.fieldLines, &place)
        unsafe append(event.body, &place)
    }
    @inline(__always) private static func put<T: FixedWidthInteger & BitwiseCopyable>(
        _ value: T, _ memory: UnsafeMutableRawPointer, _ offset: Int
    ) {
        unsafe memory.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    @inline(__always) private static func append(_ view: ByteView, _ place: inout UnsafeMutableRawPointer) {
        unsafe place.copyMemory(from: view.base, byteCount: view.count)
        unsafe place += view.count
    }

    /// The record as a whole, checksum included, in the segment that `seed` stands for. Safety: as for `write`.
    @inline(__always) package static func encode(
        _ event: EventInput, print: Fingerprint, sequence: UInt64, groupOffset: UInt32, length: Int, seed: UInt64,
        to memory: UnsafeMutableRawPointer
    ) {
        unsafe write(event, print: print, sequence: sequence, groupOffset: groupOffset, length: length, to: memory)
        unsafe setChecksum(memory, length: length, seed: seed)
    }

    /// The checksum of the record at `memory` in the segment that `seed` stands for. Safety: `length` bytes are
    /// readable.
    @inline(__always) static func checksum(_ memory: UnsafeRawPointer, length: Int, seed: UInt64) -> UInt64 {
        unsafe sluice_xxh3_64(memory + Offset.length, length - Offset.length, seed)
    }
    @inline(__always) static func setChecksum(_ memory: UnsafeMutableRawPointer, length: Int, seed: UInt64) {
        unsafe put(checksum(memory, length: length, seed: seed), memory, Offset.checksum)
    }
}

/// One record, its lengths checked against its bytes. Valid as long as the memory it lies in.
package struct RecordView {
    package let bytes: ByteView

    /// Nil when the header is none of ours or its lengths do not add up to the record. Says nothing about the checksum.
    @inline(__always) package init?(_ window: ByteView) {
        guard window.count >= RecordFormat.headerBytes else { return nil }
        let length = Int(UInt32(littleEndian: window.load(RecordFormat.Offset.length, as: UInt32.self)))
        guard length >= RecordFormat.headerBytes, length <= window.count, length % RecordFormat.alignment == 0,
            window[RecordFormat.Offset.kind] == RecordFormat.kindEvent
        else { return nil }
        bytes = window.slice(0, length)
        guard headerVersion == RecordFormat.version else { return nil }
        let content = bodyStart + bodyCount
        guard content <= length, length - content < RecordFormat.alignment else { return nil }
    }

    package var length: Int { bytes.count }
    package var checksum: UInt64 { number(RecordFormat.Offset.checksum) }
    package var headerVersion: UInt16 { number(RecordFormat.Offset.version) }
    package var keyIsBody: Bool { bytes[RecordFormat.Offset.flags] & RecordFormat.flagKeyIsBody != 0 }
    /// True exactly for a request that holds several events, which are records of their own: it is sent to nobody.
    package var isRequestOfBatch: Bool { bytes[RecordFormat.Offset.flags] & RecordPart.request != 0 }
    package var isElement: Bool { bytes[RecordFormat.Offset.flags] & RecordPart.element != 0 }
    /// True exactly when its body is gone from the log for good: what is left tells that it was there, and of whom.
    package var isErased: Bool { bytes[RecordFormat.Offset.flags] & RecordFormat.flagErased != 0 }
    /// Its request carried the contract's envelope, and all of that was right.
    package var isEnveloped: Bool { bytes[RecordFormat.Offset.flags] & RecordFormat.flagEnveloped != 0 }
    /// What came from outside with the body is gone too.
    private var isBare: Bool { bytes[RecordFormat.Offset.flags] & RecordFormat.flagBare != 0 }
    package var sequence: UInt64 { number(RecordFormat.Offset.sequence) }
    package var receivedAt: UInt64 { number(RecordFormat.Offset.receivedAt) }
    package var groupOffset: UInt32 { number(RecordFormat.Offset.groupOffset) }
    package var dedupWindowSeconds: UInt32 { number(RecordFormat.Offset.windowSeconds) }
    package var fingerprint: Fingerprint {
        Fingerprint(
            slot: Hash128(
                low: number(RecordFormat.Offset.fingerprint), high: number(RecordFormat.Offset.fingerprint + 8)),
            tag: Hash128(low: number(RecordFormat.Offset.tag), high: number(RecordFormat.Offset.tag + 8)))
    }
    package var verdict: RecordVerification { RecordVerification(code: bytes[RecordFormat.Offset.verdict]) }
    /// 0 in records from before sources had numbers: look the source up by its name in the default tenant.
    package var sourceNumber: UInt32 { number(RecordFormat.Offset.sourceNumber) }
    /// 0 when the tenant bytes are of a form that this version does not know.
    package var tenantNumber: UInt32 {
        switch tenantCount {
        case 0: RecordFormat.defaultTenantNumber
        case 4: number(RecordFormat.headerBytes)
        default: 0
        }
    }
    package var receivedSeconds: UInt32 { UInt32(clamping: receivedAt / 1_000_000_000) }

    package var tenant: ByteView { bytes.slice(RecordFormat.headerBytes, tenantCount) }
    package var source: ByteView { bytes.slice(sourceStart, sourceCount) }
    package var key: ByteView { keyIsBody ? body : isBare ? .empty : bytes.slice(keyStart, keyCount) }
    /// What the provider calls the event; empty when it has no such name.
    package var providerID: ByteView { keyIsBody ? .empty : OfferIdentity.ownKey(in: key) }
    package var eventType: ByteView { bytes.slice(typeStart, typeCount) }
    package var method: ByteView { bytes.slice(methodStart, methodCount) }
    package var target: ByteView { isBare ? .empty : bytes.slice(targetStart, targetCount) }
    /// As received.
    package var fieldLines: ByteView {
        guard !isBare else { return .empty }
        let own = subjectLineCount
        return bytes.slice(fieldLinesStart + own, fieldLinesCount - own)
    }
    /// Of the certificate that the client had to show; empty when it had not.
    package var clientSubject: ByteView {
        let own = subjectLineCount
        let name = RecordFormat.subjectName.utf8CodeUnitCount
        return own < name + 2 ? .empty : bytes.slice(fieldLinesStart + name, own - name - 2)
    }
    /// Of the gateway's own line in front of the others.
    private var subjectLineCount: Int {
        guard bytes[RecordFormat.Offset.flags] & RecordFormat.flagHasSubject != 0 else { return 0 }
        let lines = bytes.slice(fieldLinesStart, fieldLinesCount)
        var count = 0
        while count < lines.count, lines[count] != 0x0A { count += 1 }
        return min(count + 1, lines.count)
    }
    /// Empty when it is erased: nobody is given zeros for a payload.
    package var body: ByteView { isErased ? .empty : bytes.slice(bodyStart, bodyCount) }

    /// True exactly when the checksum is that of this record in the segment that `seed` stands for.
    @inline(__always) package func verifies(seed: UInt64) -> Bool {
        unsafe RecordFormat.checksum(UnsafeRawPointer(bytes.base), length: length, seed: seed) == checksum
    }

    // Counts are at most 32 bits, so their sums cannot overflow an Int.
    private var tenantCount: Int { Int(bytes[RecordFormat.Offset.tenantCount]) }
    private var sourceCount: Int { Int(bytes[RecordFormat.Offset.sourceCount]) }
    private var methodCount: Int { Int(bytes[RecordFormat.Offset.methodCount]) }
    private var keyCount: Int { Int(number(RecordFormat.Offset.keyCount) as UInt32) }
    private var typeCount: Int { Int(number(RecordFormat.Offset.typeCount) as UInt16) }
    private var targetCount: Int { Int(number(RecordFormat.Offset.targetCount) as UInt16) }
    private var fieldLinesCount: Int { Int(number(RecordFormat.Offset.fieldLinesCount) as UInt32) }
    private var bodyCount: Int { Int(number(RecordFormat.Offset.bodyCount) as UInt32) }
    private var sourceStart: Int { RecordFormat.headerBytes + tenantCount }
    var keyStart: Int { sourceStart + sourceCount }
    var typeStart: Int { keyStart + keyCount }
    private var methodStart: Int { typeStart + typeCount }
    var targetStart: Int { methodStart + methodCount }
    private var fieldLinesStart: Int { targetStart + targetCount }
    var bodyStart: Int { fieldLinesStart + fieldLinesCount }
    @inline(__always) private func number<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int) -> T {
        T(littleEndian: bytes.load(offset, as: T.self))
    }
}
