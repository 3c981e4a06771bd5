// The memory behind compiled schemes, keys and selectors. A configuration snapshot owns one `CompiledMemory` per
// source; the trivially copyable values that the loops use (`SigningKey`, `SignatureScheme`, `ValueSelector`) point
// into it.
//
// Invariants: what was placed never moves and is never changed after the compilation; everything is zeroised before it
// is freed, because keys are among it. Whoever keeps the snapshot keeps the values valid; a value used after its
// snapshot is gone reads freed memory.
//
// Safety: raw memory; `@safe` because only trivial types are placed, each at its own alignment, and none is freed
// before `deinit`.

import CShims

/// Grows only while a source is compiled, on a worker thread. The hot path only reads.
@safe package final class CompiledMemory: @unchecked Sendable {
    private var blocks: [UnsafeMutableRawBufferPointer] = unsafe []

    package init() {}

    deinit {
        for index in unsafe blocks.indices {
            let block = unsafe blocks[index]
            unsafe sluice_memory_cleanse(block.baseAddress, block.count)
            unsafe block.deallocate()
        }
    }

    /// Room for `count` values, not initialised.
    func place<T>(_ type: T.Type, count: Int) -> UnsafeMutablePointer<T> {
        precondition(_isPOD(T.self))
        // 64: a key's midstates should not straddle a cache line more than they must.
        let bytes = max(count, 1) * MemoryLayout<T>.stride
        let block = UnsafeMutableRawBufferPointer.allocate(
            byteCount: bytes, alignment: max(64, MemoryLayout<T>.alignment))
        unsafe blocks.append(block)
        return unsafe block.baseAddress!.bindMemory(to: T.self, capacity: max(count, 1))
    }
    func place<T>(_ values: [T]) -> UnsafeMutablePointer<T> {
        let memory = unsafe place(T.self, count: values.count)
        for (index, value) in values.enumerated() { unsafe (memory + index).initialize(to: value) }
        return unsafe memory
    }
    /// A copy that lives as long as this memory.
    package func place(text: String) -> ByteView { place(bytes: Array(text.utf8)) }
    package func place(bytes: [UInt8]) -> ByteView {
        unsafe ByteView(place(bytes), count: bytes.count)
    }
}
