// What a request's head says, as offsets into its bytes. Pure data; `HeadParser` fills it, the loops and the signature
// schemes read it. No pointer is kept, so the bytes may be moved (a receive buffer into an assembly block) in between.
//
// Safety: `FieldTable` owns its memory and checks each index; a `HeaderName` points to bytes that are never freed.

import Synchronization

package enum Method: UInt8, Sendable { case get, head, post, put, patch, delete, options, other }

package struct RequestHead: Sendable {
    /// Bytes of the head from the first byte given to the parser (leading CRLF included) to the end of the empty line.
    package var byteCount = 0
    package var method = Method.other
    package var methodRange = ByteRange.empty
    /// The request target exactly as received; `path` and `query` are inside it (query without its `?`).
    package var target = ByteRange.empty
    package var path = ByteRange.empty
    package var query = ByteRange.empty
    /// All field lines as received, each with its CRLF, without the empty line.
    package var fieldLines = ByteRange.empty
    package var host = ByteRange.empty
    package var versionMinor: UInt8 = 1
    /// Declared length of the body, 0 when none is declared; meaningless when `isChunked`.
    package var contentLength = 0
    package var isChunked = false
    /// True exactly when the connection must be closed after the answer (HTTP/1.0 without keep-alive, `close`).
    package var closes = false
    package var expectsContinue = false

    package init() {}
}

/// One field line; offsets are from the first byte given to the parser. The value has no surrounding white space.
package struct HeaderField: Sendable {
    package var name: ByteRange
    package var value: ByteRange
    /// `HeaderName.hash` of the name, so that a lookup compares one integer a field.
    package var hash: UInt32

    package init(name: ByteRange, value: ByteRange, hash: UInt32) {
        self.name = name
        self.value = value
        self.hash = hash
    }
}

/// The fields of one head, in order. Owned by a loop and refilled for each request; nothing of it survives the next.
@safe package struct FieldTable: ~Copyable {
    package static let capacity = 256
    /// RFC 9110 §5.4 sets no number; 100 is what the peers take.
    package static let usualCount = 100
    private let fields: UnsafeMutablePointer<HeaderField>
    package private(set) var count = 0

    package init() {
        unsafe fields = .allocate(capacity: FieldTable.capacity)
    }
    deinit { unsafe fields.deallocate() }

    package mutating func removeAll() { count = 0 }
    /// Where a head's bytes wait, its fields wait beside them.
    @inline(__always) static func byteCount(_ fieldCount: Int) -> Int {
        fieldCount * MemoryLayout<HeaderField>.stride
    }
    /// Safety: `memory` has room for `byteCount(count)`.
    func save(to memory: UnsafeMutablePointer<UInt8>) {
        unsafe UnsafeMutableRawPointer(memory).copyMemory(from: fields, byteCount: FieldTable.byteCount(count))
    }
    /// Safety: `memory` has what `save` put there, of `count` fields.
    mutating func load(_ memory: UnsafePointer<UInt8>, count: Int) {
        precondition(count <= FieldTable.capacity)
        unsafe UnsafeMutableRawPointer(fields).copyMemory(from: memory, byteCount: FieldTable.byteCount(count))
        self.count = count
    }
    /// False when the table is full: the head has too many fields (431).
    @inline(__always) package mutating func append(_ field: HeaderField) -> Bool {
        guard count < FieldTable.capacity else { return false }
        unsafe fields[count] = field
        count += 1
        return true
    }
    @inline(__always) package subscript(index: Int) -> HeaderField {
        precondition(index >= 0 && index < count)
        return unsafe fields[index]
    }
    /// The place of the first field called `name` at or after `index`; -1 when there is none. O(count).
    @inline(__always) package func firstIndex(of name: HeaderName, in bytes: ByteView, from index: Int = 0) -> Int {
        var place = index
        while place < count {
            let field = unsafe fields[place]
            if field.hash == name.hash, bytes.slice(field.name).equalsIgnoringCase(lowered: name.view) { return place }
            place += 1
        }
        return -1
    }
}

/// A header name to look for, lower case, with its hash. Interned: the bytes live as long as the process, so that
/// compiled schemes stay trivially copyable; a name costs its bytes once, however many sources and reloads use it.
@safe package struct HeaderName: @unchecked Sendable, Equatable {
    package let hash: UInt32
    private let bytes: UnsafePointer<UInt8>
    private let count: Int
    private static let interned = Mutex<[String: HeaderName]>([:])

    package init(_ name: String) {
        let lowered = name.lowercased()
        self = HeaderName.interned.withLock { names in
            if let known = names[lowered] { return known }
            let fresh = HeaderName(fresh: Array(lowered.utf8))
            names[lowered] = fresh
            return fresh
        }
    }
    private init(fresh lowered: [UInt8]) {
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: max(lowered.count, 1))
        for (index, byte) in lowered.enumerated() { unsafe memory[index] = byte }
        unsafe bytes = UnsafePointer(memory)
        count = lowered.count
        hash = lowered.withView { HeaderName.hash(of: $0) }
    }
    package static func == (left: HeaderName, right: HeaderName) -> Bool { unsafe left.bytes == right.bytes }

    @inline(__always) package var view: ByteView { unsafe ByteView(bytes, count: count) }
    package var text: String { view.text }

    /// FNV-1a over the name with bit 0x20 set on each byte; equal for names that differ in case only. The parser
    /// computes the same while it validates the name.
    @inline(__always) package static func hash(of name: ByteView) -> UInt32 {
        var hash = HeaderName.hashSeed
        for index in 0..<name.count { hash = hashStep(hash, name[index]) }
        return hash
    }
    package static let hashSeed: UInt32 = 0x811C_9DC5
    @inline(__always) package static func hashStep(_ hash: UInt32, _ byte: UInt8) -> UInt32 {
        (hash ^ UInt32(byte | 0x20)) &* 0x0100_0193
    }
}
