// Bytes that end exactly at a page nobody may touch: a parser that reads one byte too far dies at once, in every build.
//
// Safety: the mapping lives as long as the object; the guard page is never made accessible.
import FastPath
import Glibc

package final class GuardedBytes {
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int
    private let guardPage: UnsafeMutablePointer<UInt8>
    package let capacity: Int

    /// Room for `capacity` bytes before the guard page.
    package init(capacity: Int) {
        let pageBytes = Int(sysconf(Int32(_SC_PAGESIZE)))
        self.capacity = capacity
        let usableBytes = (capacity + pageBytes - 1) / pageBytes * pageBytes
        mappedBytes = usableBytes + pageBytes
        let mapped = mmap(nil, mappedBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { fatalError("no memory for the test") }
        mapping = mapped
        guardPage = (mapped + usableBytes).assumingMemoryBound(to: UInt8.self)
        precondition(mprotect(mapped + usableBytes, pageBytes, PROT_NONE) == 0)
    }
    package convenience init(_ bytes: some Collection<UInt8>) {
        self.init(capacity: bytes.count)
        fill(bytes)
    }
    deinit { munmap(mapping, mappedBytes) }

    /// Where `count` bytes begin that end at the guard page.
    package func start(count: Int) -> UnsafeMutablePointer<UInt8> {
        precondition(count <= capacity)
        return guardPage - count
    }
    /// Puts `bytes` right before the guard page.
    @discardableResult package func fill(_ bytes: some Collection<UInt8>) -> ByteView {
        let memory = start(count: bytes.count)
        for (index, byte) in bytes.enumerated() { memory[index] = byte }
        return ByteView(UnsafePointer(memory), count: bytes.count)
    }
}
