// A checked, non-owning view of bytes, and a range inside one. Everything on the hot path that reads bytes reads
// them through here.
//
// Invariant: every read is inside `count`; a read outside traps, it never returns what lies beside.
// Safety: a view is valid for the call it is passed to (a tick at most); whoever owns the memory says how long. Nothing
// stores a view beyond that.

/// A place in a request, as an offset and a length in bytes. Survives the bytes being moved, a view does not.
package struct ByteRange: Equatable, Sendable {
    package var start: UInt32
    package var count: UInt32

    @inline(__always) package init(start: Int, count: Int) {
        self.start = UInt32(truncatingIfNeeded: start)
        self.count = UInt32(truncatingIfNeeded: count)
    }
    package static var empty: ByteRange { ByteRange(start: 0, count: 0) }
    @inline(__always) package var end: Int { Int(start) + Int(count) }
    @inline(__always) package var isEmpty: Bool { count == 0 }
}

@safe package struct ByteView: @unchecked Sendable, BitwiseCopyable {
    package let base: UnsafePointer<UInt8>
    package let count: Int

    @inline(__always) package init(_ base: UnsafePointer<UInt8>, count: Int) {
        precondition(count >= 0)
        unsafe self.base = base
        self.count = count
    }
    /// A literal's own bytes, which are never freed.
    @inline(__always) package init(_ text: StaticString) {
        unsafe self.init(text.utf8Start, count: text.utf8CodeUnitCount)
    }
    /// Valid only inside the closure that lent `buffer`.
    package init(_ buffer: UnsafeBufferPointer<UInt8>) {
        unsafe self.base = buffer.baseAddress ?? ByteView.nothing
        self.count = buffer.count
    }
    @inline(__always) package static var empty: ByteView { unsafe ByteView(nothing, count: 0) }
    // A byte of the program itself, so that an empty view has a valid address without a global to initialise (which
    // locks).
    @inline(__always) private static var nothing: UnsafePointer<UInt8> { unsafe ("\0" as StaticString).utf8Start }

    @inline(__always) package subscript(index: Int) -> UInt8 {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count))
        return unsafe base[index]
    }
    /// `length` bytes from `start`; traps when they are not all inside.
    @inline(__always) package func slice(_ start: Int, _ length: Int) -> ByteView {
        precondition(start >= 0 && length >= 0 && start <= count - length)
        return unsafe ByteView(base + start, count: length)
    }
    @inline(__always) package func slice(_ range: ByteRange) -> ByteView {
        slice(Int(range.start), Int(range.count))
    }
    @inline(__always) package func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        precondition(offset >= 0 && offset <= count - MemoryLayout<T>.size)
        return unsafe UnsafeRawPointer(base + offset).loadUnaligned(as: T.self)
    }
    @inline(__always) package func equals(_ other: ByteView) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where unsafe base[index] != other.base[index] { return false }
        return true
    }
    /// ASCII letters compare without case; `lowered` must already be lower case.
    @inline(__always) package func equalsIgnoringCase(lowered: ByteView) -> Bool {
        guard count == lowered.count else { return false }
        for index in 0..<count {
            let byte = unsafe base[index]
            let lower = byte &- 65 < 26 ? byte | 0x20 : byte
            if unsafe lower != lowered.base[index] { return false }
        }
        return true
    }
    @inline(__always) package func equalsIgnoringCase(_ lowered: StaticString) -> Bool {
        equalsIgnoringCase(lowered: ByteView(lowered))
    }
    package func equals(_ text: StaticString) -> Bool {
        unsafe equals(ByteView(text.utf8Start, count: text.utf8CodeUnitCount))
    }
    /// A copy of the bytes; allocates, so not for a loop.
    package var array: [UInt8] { unsafe Array(UnsafeBufferPointer(start: base, count: count)) }
    /// A copy as text, invalid UTF-8 replaced; allocates, so not for a loop.
    package var text: String { unsafe String(decoding: UnsafeBufferPointer(start: base, count: count), as: UTF8.self) }
}

extension Array where Element == UInt8 {
    /// Lends the array's bytes for the length of the call.
    package func withView<R>(_ body: (ByteView) throws -> R) rethrows -> R {
        unsafe try withUnsafeBufferPointer { unsafe try body(ByteView($0)) }
    }
}
