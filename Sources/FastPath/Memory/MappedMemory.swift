// Page-aligned memory taken once at start, with its pages already there, and given back when its owner goes. All large
// memory of the data plane comes from here, so that the sum of `byteCount` is the resident size and nothing faults
// later.
//
// Safety: owns the mapping; whoever takes `base` must not outlive the owner.
import CShims

package struct OutOfMemory: Error { package let byteCount: Int }

@safe package struct MappedMemory: ~Copyable {
    package let base: UnsafeMutablePointer<UInt8>
    package let byteCount: Int

    package init(byteCount: Int) throws(OutOfMemory) {
        precondition(byteCount > 0)
        let rounded = (byteCount + 4095) & ~4095
        guard let memory = unsafe sluice_memory_map(rounded) else { throw OutOfMemory(byteCount: rounded) }
        unsafe base = memory.assumingMemoryBound(to: UInt8.self)
        self.byteCount = rounded
    }
    deinit {
        unsafe sluice_memory_lend(base, byteCount)
        unsafe sluice_memory_unmap(base, byteCount)
    }
}
