// What the operating system lets this process use. Asked at start and by `doctor`, never by a loop.
import CShims

package enum ProcessLimits {
    /// File descriptors, soft and hard; `Int.max` = without limit.
    package static var files: (soft: Int, hard: Int) {
        (bounded(sluice_process_files(0)), bounded(sluice_process_files(1)))
    }
    /// Bytes that may be locked in memory; io_uring's rings counted here before kernel 5.12.
    package static var lockedBytes: Int { bounded(sluice_process_locked(0)) }
    /// Bytes of address space.
    package static var addressBytes: Int { bounded(sluice_process_addresses(0)) }

    /// Raises the soft limit of descriptors as far as it goes; returns what holds then.
    package static func raiseFiles() -> Int { bounded(sluice_process_raise_files()) }
    package static func ignoreBrokenPipe() { sluice_process_ignore_broken_pipe() }

    private static func bounded(_ value: Int64) -> Int { value < 0 ? .max : Int(value) }
}
