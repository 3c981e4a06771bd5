// What an erasure makes of a record: the same length, place, sequence and fingerprint; the body zeros, and all else
// that came from outside unless it is to stay. It is kept as what is no zero, so that it is as small as a head.
//
// Invariant: its bytes depend on the record as it was and on nothing that is on disk when they are written; writing
// them twice is writing them once.
// Safety: bytes are copied into memory whose bounds the caller gives; every copy is cut to them.

package struct ErasedRecord: Equatable, Sendable {
    /// The segment by its first sequence, and what its checksums start from: by that another file of the same name is
    /// known to be another.
    package let segment: UInt64
    let seed: UInt64
    package let offset: Int
    package let sequence: UInt64
    package let length: Int
    /// The bytes that are no zeros: from the record's beginning on, and type and method behind a key that goes.
    let head: [UInt8]
    let names: [UInt8]
    let namesStart: Int

    /// `keepsLabels`: key, target and field lines are the gateway's and the caller's names for it, and stay.
    init(_ record: RecordView, segment: UInt64, seed: UInt64, offset: Int, keepsLabels: Bool) {
        var bytes = record.bytes.slice(0, record.bodyStart).array
        bytes[RecordFormat.Offset.flags] |= RecordFormat.flagErased
        if !keepsLabels {
            bytes[RecordFormat.Offset.flags] |= RecordFormat.flagBare
            bytes[RecordFormat.Offset.flags] &= ~RecordFormat.flagHasSubject
        }
        self.segment = segment
        self.seed = seed
        self.offset = offset
        sequence = record.sequence
        length = record.length
        if keepsLabels {
            (names, namesStart) = ([], bytes.count)
        } else {
            names = Array(bytes[record.typeStart..<record.targetStart])
            namesStart = record.typeStart
            bytes.removeSubrange(record.keyStart...)
        }
        head = ErasedRecord.checked(bytes, names, at: namesStart, length: length, seed: seed)
    }
    private static func checked(
        _ head: [UInt8], _ names: [UInt8], at namesStart: Int, length: Int, seed: UInt64
    ) -> [UInt8] {
        var whole = head + [UInt8](repeating: 0, count: length - head.count)
        whole.replaceSubrange(namesStart..<namesStart + names.count, with: names)
        unsafe whole.withUnsafeMutableBytes { memory in
            if let base = memory.baseAddress { unsafe RecordFormat.setChecksum(base, length: length, seed: seed) }
        }
        return Array(whole.prefix(head.count))
    }

    /// Puts what of it lies in `count` bytes of the segment from `start` on into `memory`. Safety: `memory` has room
    /// for them.
    func cover(_ memory: UnsafeMutablePointer<UInt8>, start: Int, count: Int) {
        let (from, end) = (max(start, offset), min(start + count, offset + length))
        guard from < end else { return }
        unsafe (memory + (from - start)).update(repeating: 0, count: end - from)
        for (bytes, place) in [(head, offset), (names, offset + namesStart)] {
            let (low, high) = (max(start, place), min(start + count, place + bytes.count))
            guard low < high else { continue }
            unsafe bytes.withUnsafeBufferPointer { source in
                guard let base = source.baseAddress else { return }
                unsafe (memory + (low - start)).update(from: base + (low - place), count: high - low)
            }
        }
    }
}

// MARK: announced

extension ErasedRecord {
    /// As an announcement has it: place, seed, and the bytes that are no zeros, filled up to a multiple of 8.
    func append(to bytes: inout [UInt8]) {
        for word in [segment, seed, UInt64(offset), UInt64(head.count + names.count)] {
            ErasedRecord.append(word, to: &bytes)
        }
        bytes += head
        bytes += names
        bytes += [UInt8](repeating: 0, count: RecordFormat.roundUp(bytes.count, to: 8) - bytes.count)
    }
    static func append(_ word: UInt64, to bytes: inout [UInt8]) {
        for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: word >> shift)) }
    }
    /// One that `append` has written at `place`, which moves behind it; nil when it is none.
    init?(_ bytes: ByteView, at place: inout Int) {
        guard bytes.count - place >= 32 + RecordFormat.headerBytes else { return nil }
        func word(_ index: Int) -> UInt64 { UInt64(littleEndian: bytes.load(place + 8 * index, as: UInt64.self)) }
        guard let offset = Int(exactly: word(2)), let count = Int(exactly: word(3)),
            count >= RecordFormat.headerBytes, count <= bytes.count - place - 32
        else { return nil }
        let kept = bytes.slice(place + 32, count)
        let counts = RecordCounts(kept)
        guard let headCount = counts.keptHeadCount, headCount <= count else { return nil }
        segment = word(0)
        seed = word(1)
        self.offset = offset
        sequence = UInt64(littleEndian: kept.load(RecordFormat.Offset.sequence, as: UInt64.self))
        length = counts.length
        head = kept.slice(0, headCount).array
        names = kept.slice(headCount, count - headCount).array
        namesStart = names.isEmpty ? headCount : counts.typeStart
        guard namesStart + names.count <= length else { return nil }
        place += 32 + RecordFormat.roundUp(count, to: 8)
    }
}

/// What an erased record's header says of its parts, before there is a whole record to look at.
private struct RecordCounts {
    let length: Int
    let typeStart: Int
    /// How many bytes of those kept stand at the record's beginning; nil when the header is no erased record's.
    let keptHeadCount: Int?

    init(_ header: ByteView) {
        func count32(_ offset: Int) -> Int { Int(UInt32(littleEndian: header.load(offset, as: UInt32.self))) }
        func count16(_ offset: Int) -> Int { Int(UInt16(littleEndian: header.load(offset, as: UInt16.self))) }
        length = count32(RecordFormat.Offset.length)
        let flags = header[RecordFormat.Offset.flags]
        let keyStart =
            RecordFormat.headerBytes + Int(header[RecordFormat.Offset.tenantCount])
            + Int(header[RecordFormat.Offset.sourceCount])
        typeStart = keyStart + count32(RecordFormat.Offset.keyCount)
        let bodyStart =
            typeStart + count16(RecordFormat.Offset.typeCount) + Int(header[RecordFormat.Offset.methodCount])
            + count16(RecordFormat.Offset.targetCount) + count32(RecordFormat.Offset.fieldLinesCount)
        let isErased = flags & RecordFormat.flagErased != 0 && bodyStart <= length
        keptHeadCount = !isErased ? nil : flags & RecordFormat.flagBare != 0 ? keyStart : bodyStart
    }
}
