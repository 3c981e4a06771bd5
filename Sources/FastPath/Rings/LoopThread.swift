// A thread of our own for a loop: named, joinable, and nothing else runs on it.
//
// Safety: the body is kept alive by the retained box until the thread has run it.
import CShims

package struct ThreadStartError: Error, Sendable { package let errno: Int32 }

package struct LoopThread: Sendable {
    private final class Box: Sendable {
        let name: String
        let yields: Bool
        let body: @Sendable () -> Void
        init(name: String, yields: Bool, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.yields = yields
            self.body = body
        }
    }
    private let identity: UInt

    /// `name` shows in top and perf: 15 characters at most. `yields`: the loops come first where processors are few.
    package init(
        name: String, yields: Bool = false, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadStartError) {
        var identity: UInt = 0
        let box = unsafe Unmanaged.passRetained(Box(name: name, yields: yields, body: body))
        let status = unsafe sluice_thread_start(
            { context in
                let box = unsafe Unmanaged<Box>.fromOpaque(context!).takeRetainedValue()
                unsafe sluice_thread_name(box.name)
                if box.yields { sluice_thread_yield_more() }
                box.body()
                return nil
            }, unsafe box.toOpaque(), &identity)
        guard status == 0 else {
            unsafe box.release()
            throw ThreadStartError(errno: -status)
        }
        self.identity = identity
    }
    /// Waits for the end of the body. Once.
    package func join() { sluice_thread_join(identity) }
}
