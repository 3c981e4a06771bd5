// A segment's header block and its names. A segment is a file of fixed size: block 0 is the header, then commit groups,
// each at a block boundary, then zeros.
//
// Invariants: salt and first sequence in the header make the seed of every checksum in the file; the header stands
// twice in its block, in different sectors, because without the salt nothing in the file can be verified.
// Safety: header functions are given a whole block.

import CShims

/// An open segment file, prepared by `SegmentKeeper` or found by `Recovery`. Whoever holds it last closes it.
package struct SegmentDescriptor: BitwiseCopyable, Equatable, Sendable {
    package var file: Int32
    /// N of `spare-N`, its name until it is placed.
    package var spareNumber: UInt64
    package var byteCount: Int
    /// Random; part of the checksum seed, so that no two segments share one.
    package var salt: UInt64

    package init(file: Int32, spareNumber: UInt64, byteCount: Int, salt: UInt64) {
        self.file = file
        self.spareNumber = spareNumber
        self.byteCount = byteCount
        self.salt = salt
    }
}

package struct SegmentHeader: Equatable, Sendable {
    package static let magic: UInt64 = 0x3130_4745_535F_4C53 // "SL_SEG01"
    package static let version: UInt32 = 1
    package static let byteCount = 72
    /// Where the second copy stands, in bytes from the start of the block.
    package static let copyOffset = 2048
    package static let headerSeed: UInt64 = 0x5365_676D_656E_7448

    package var logIdentity: UInt64
    package var firstSequence: UInt64
    package var salt: UInt64
    package var segmentBytes: UInt64
    /// Wall clock, nanoseconds since 1970, of the first commit in it.
    package var createdAt: UInt64

    package init(logIdentity: UInt64, firstSequence: UInt64, salt: UInt64, segmentBytes: UInt64, createdAt: UInt64) {
        self.logIdentity = logIdentity
        self.firstSequence = firstSequence
        self.salt = salt
        self.segmentBytes = segmentBytes
        self.createdAt = createdAt
    }

    /// What the checksums of the segment's records start from.
    package var seed: UInt64 { sluice_xxh3_words(logIdentity, salt, firstSequence) }

    /// Safety: `block` has room for a whole block.
    package func write(to block: UnsafeMutableRawPointer) {
        unsafe block.initializeMemory(as: UInt8.self, repeating: 0, count: RecordFormat.blockBytes)
        for start in [0, SegmentHeader.copyOffset] {
            let words: [8 of UInt64] = [
                SegmentHeader.magic, UInt64(SegmentHeader.version), logIdentity, firstSequence, salt, segmentBytes,
                createdAt,
                UInt64(RecordFormat.blockBytes),
            ]
            for index in 0..<8 {
                unsafe block.storeBytes(of: words[index].littleEndian, toByteOffset: start + 8 * index, as: UInt64.self)
            }
            let checksum = unsafe sluice_xxh3_64(block + start, 64, SegmentHeader.headerSeed)
            unsafe block.storeBytes(of: checksum.littleEndian, toByteOffset: start + 64, as: UInt64.self)
        }
    }

    package enum Reading: Equatable, Sendable {
        case header(SegmentHeader)
        /// The block is all zeros: the file was named, its first write never arrived.
        case empty
        /// The checksum holds and the version is not ours.
        case unknownVersion(UInt32)
        /// Neither copy verifies.
        case invalid
        /// The disk could not read it (errno); it may at another time.
        case unreadable(systemError: Int32)
    }

    package static func read(_ block: ByteView) -> Reading {
        var unknown: UInt32?
        for start in [0, copyOffset] where block.count >= start + byteCount {
            let copy = block.slice(start, byteCount)
            let checksum = UInt64(littleEndian: copy.load(64, as: UInt64.self))
            guard word(copy, 0) == magic, unsafe sluice_xxh3_64(copy.base, 64, headerSeed) == checksum else { continue }
            let version = UInt32(truncatingIfNeeded: word(copy, 1))
            guard version == SegmentHeader.version, word(copy, 7) == UInt64(RecordFormat.blockBytes) else {
                unknown = version
                continue
            }
            return .header(
                SegmentHeader(
                    logIdentity: word(copy, 2), firstSequence: word(copy, 3), salt: word(copy, 4),
                    segmentBytes: word(copy, 5), createdAt: word(copy, 6)))
        }
        if let unknown { return .unknownVersion(unknown) }
        for index in 0..<block.count where block[index] != 0 { return .invalid }
        return .empty
    }
    private static func word(_ view: ByteView, _ index: Int) -> UInt64 {
        UInt64(littleEndian: view.load(8 * index, as: UInt64.self))
    }
}

/// Names inside `log/`: `<first sequence, 20 digits>.log` and `spare-<number>`.
package enum SegmentName {
    package static func segment(_ firstSequence: UInt64) -> String {
        let digits = String(firstSequence)
        return String(repeating: "0", count: 20 - digits.utf8.count) + digits + ".log"
    }
    package static func spare(_ number: UInt64) -> String { "spare-\(number)" }

    /// The first sequence when `name` is a segment's.
    package static func firstSequence(_ name: String) -> UInt64? {
        let bytes = Array(name.utf8)
        guard bytes.count == 24, bytes.suffix(4).elementsEqual(".log".utf8) else { return nil }
        guard bytes.prefix(20).allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        return UInt64(name.prefix(20))
    }
    package static func isSpare(_ name: String) -> Bool {
        name.hasPrefix("spare-") && !name.dropFirst(6).isEmpty && name.dropFirst(6).allSatisfy { $0.isNumber }
    }

    static let byteCountMax = 32
    /// `spare-N` and a final 0. Safety: `memory` has room for `byteCountMax`.
    static func writeSpare(_ number: UInt64, to memory: UnsafeMutablePointer<CChar>) {
        let prefix: StaticString = "spare-"
        for index in 0..<6 { unsafe memory[index] = CChar(bitPattern: prefix.utf8Start[index]) }
        let end = unsafe writeDigits(number, minimum: 1, to: memory + 6)
        unsafe end.pointee = 0
    }
    /// `<20 digits>.log` and a final 0. Safety: `memory` has room for `byteCountMax`.
    static func writeSegment(_ firstSequence: UInt64, to memory: UnsafeMutablePointer<CChar>) {
        let end = unsafe writeDigits(firstSequence, minimum: 20, to: memory)
        let suffix: StaticString = ".log"
        for index in 0..<4 { unsafe end[index] = CChar(bitPattern: suffix.utf8Start[index]) }
        unsafe end[4] = 0
    }
    private static func writeDigits(
        _ number: UInt64, minimum: Int, to memory: UnsafeMutablePointer<CChar>
    ) -> UnsafeMutablePointer<CChar> {
        var count = minimum
        var left = number
        for power in 1...20 {
            left /= 10
            if left == 0 {
                count = max(minimum, power)
                break
            }
        }
        left = number
        for index in stride(from: count - 1, through: 0, by: -1) {
            unsafe memory[index] = CChar(48 + left % 10)
            left /= 10
        }
        return unsafe memory + count
    }
}
