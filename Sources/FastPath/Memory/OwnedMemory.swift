// Memory of the system's that goes back with its owner; what a loop has of its own lies in one. A type of its own,
// because Swift 6.3.1, when it optimises, leaves out the `deinit` of a generic structure: none has one (TidyTests), and
// what it holds is given back by owners like this.
//
// Safety: owns `base`; whoever takes it must not outlive the owner. A loop declares it behind its ring, which closes
// first: no submission writes to it any more when it goes.

@safe struct OwnedMemory: ~Copyable {
    let base: UnsafeMutableRawPointer

    init(byteCount: Int) { unsafe base = .allocate(byteCount: byteCount, alignment: 16) }
    deinit { unsafe base.deallocate() }

    /// Room for `count` of them from `offset` on.
    func room<T: BitwiseCopyable>(_ type: T.Type, count: Int, at offset: Int = 0) -> UnsafeMutablePointer<T> {
        unsafe (base + offset).bindMemory(to: T.self, capacity: count)
    }
}
