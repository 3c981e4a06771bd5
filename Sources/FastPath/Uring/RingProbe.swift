// Whether this kernel opens a ring as the loops do: for `doctor`. Here because nothing above this floor may see the
// ring's own types: the kernel's structures come from other libraries too, and two of them in one module do not agree.

package enum RingProbe {
    /// Nil when it opens, with its flags and provided buffers.
    package static func run() -> UringError? {
        do {
            _ = try UringIO(submissions: 256, completions: 1024, bufferCount: 64, bufferByteCount: 4096)
            return nil
        } catch { return error }
    }
}
