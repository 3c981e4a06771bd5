// The dedup key of one request: one place's value, or the values of several places that count together.
//
// A key of one place is its value, decoded. Where an alternative has several parts every key of that source is a list
// of netstrings (`6:events,3:a-1,`): no two lists of values give the same bytes, however the values are cut. The body
// as one part among several stands for itself by its SHA-256.
//
// Invariants: an alternative counts only when all of its parts have a value; without one the request has no identity;
// a body without bytes is no value. Safety: as in ValueSelector.swift.

import CShims

/// The values that make a request's key, where they stand. Trivial.
struct SelectedKey {
    static let partCountMax = 4
    private(set) var parts = InlineArray<4, SelectedValue>(repeating: .none)
    private(set) var count = 0
    private(set) var isComposed = false
    private var bodyParts: UInt8 = 0

    /// False exactly when nothing can be the same event as this one.
    @inline(__always) var hasIdentity: Bool { count > 0 }
    /// True exactly when the key is the value of one place that is not the body.
    @inline(__always) var isOnePlace: Bool { count == 1 && !isComposed && bodyParts == 0 }
    /// True exactly when the key is the body itself.
    @inline(__always) var isBody: Bool { count == 1 && !isComposed && bodyParts != 0 }

    @inline(__always) init() {}
    @inline(__always) init(isComposed: Bool) { self.isComposed = isComposed }
    @inline(__always) mutating func append(_ value: SelectedValue, isBody: Bool) {
        if isBody { bodyParts |= 1 << UInt8(truncatingIfNeeded: count) }
        parts[count] = value
        count += 1
    }
    @inline(__always) func isBodyPart(_ index: Int) -> Bool { bodyParts & 1 << UInt8(truncatingIfNeeded: index) != 0 }
}

/// The alternatives of a dedup key.
@safe struct KeySelector: @unchecked Sendable {
    private let places: ValueSelector
    private let partCounts: UnsafePointer<UInt8>
    private let bodyPlaces: UInt64
    private let alternativeCount: Int
    private let isComposed: Bool

    init(_ list: KeyList, _ paths: JSONPathSet) {
        places = ValueSelector(list.selectors, paths)
        unsafe partCounts = list.partCounts
        alternativeCount = list.alternativeCount
        isComposed = list.isComposed
        bodyPlaces = list.bodyPlaces
    }

    @inline(__always)
    func select(
        _ request: SelectedRequest, _ fields: borrowing FieldTable, _ document: inout ScannedDocument
    ) -> SelectedKey {
        var place = 0
        for alternative in 0..<alternativeCount {
            let end = unsafe place + Int(partCounts[alternative])
            var key = SelectedKey(isComposed: isComposed)
            var next = place
            while next < end {
                let value = places.find(next, request, fields, &document)
                if value.isEmpty { break }
                key.append(value, isBody: bodyPlaces & 1 << UInt64(next) != 0)
                next += 1
            }
            if next == end { return key }
            place = end
        }
        return SelectedKey()
    }
}

extension ComposedBytes {
    /// The key's bytes. Nil when there is no room: a key that cannot be told must not pass as another.
    mutating func text(of key: SelectedKey) -> ByteView? {
        guard key.isComposed else { return plainText(of: key.parts[0]) }
        var values = InlineArray<4, ByteView>(repeating: .empty)
        // Decoding writes into the same memory, so values are decoded before the list begins.
        for index in 0..<key.count {
            if key.isBodyPart(index) {
                values[index] = appendDigest(of: key.parts[index].view)
            } else {
                guard let value = plainText(of: key.parts[index]) else { return nil }
                values[index] = value
            }
        }
        let start = count
        for index in 0..<key.count {
            append(number: values[index].count)
            append(byte: ASCII.colon)
            append(values[index])
            append(byte: ASCII.comma)
        }
        return overflowed ? nil : written(since: start)
    }
    /// 64 hexadecimal digits; empty when there is no room, which is said then.
    private mutating func appendDigest(of bytes: ByteView) -> ByteView {
        var tag = MACTag()
        let start = count
        unsafe withUnsafeMutableBytes(of: &tag) { room in
            let digest = unsafe room.baseAddress!.assumingMemoryBound(to: UInt8.self)
            unsafe sluice_sha256(bytes.base, bytes.count, digest)
            unsafe append(hex: ByteView(digest, count: 32))
        }
        return overflowed ? .empty : written(since: start)
    }
    private mutating func append(number: Int) {
        if number >= 10 { append(number: number / 10) }
        append(byte: ASCII.zero + UInt8(truncatingIfNeeded: number % 10))
    }
}

/// A key as the log has it, for whoever shows it.
package enum DedupKeyText {
    /// The values of a composed key; nil for any other.
    package static func parts(of key: [UInt8]) -> [[UInt8]]? {
        var parts: [[UInt8]] = []
        var place = 0
        while place < key.count {
            var count = 0
            let start = place
            while place < key.count, CharacterClasses.isDigit(key[place]), place - start < 9 {
                count = count * 10 + Int(key[place] - ASCII.zero)
                place += 1
            }
            guard place > start, place < key.count, key[place] == ASCII.colon, place + 1 + count < key.count,
                key[place + 1 + count] == ASCII.comma
            else { return nil }
            parts.append(Array(key[place + 1..<place + 1 + count]))
            place += count + 2
        }
        return parts.isEmpty ? nil : parts
    }
    /// For a person: the values of a composed key with a space between them.
    package static func shown(_ key: [UInt8]) -> String {
        String(decoding: Array((parts(of: key) ?? [key]).joined(separator: [ASCII.space])), as: UTF8.self)
    }
    /// True exactly when `id` is the key, one value of it, or what is shown of it.
    package static func names(_ id: [UInt8], in key: [UInt8]) -> Bool {
        guard id != key, let parts = parts(of: key) else { return id == key }
        return parts.contains(id) || Array(parts.joined(separator: [ASCII.space])) == id
    }
}
