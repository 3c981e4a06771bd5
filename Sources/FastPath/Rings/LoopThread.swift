// A thread of our own for a loop: named, joinable, and nothing else runs on it.
//
// Safety: the body is kept alive by the retained box until the thread has run it.
import CShims

package struct ThreadStartError: Error, Sendable { package let errno: Int32 }

/// How soon a thread gets a processor that others want as well.
package enum ThreadUrgency: Sendable {
    /// As soon as it wakes up, where the kernel has a way to say so (Linux 6.12): somebody waits for an answer.
    case prompt
    case ordinary
    /// After those that answer: the loops come first where processors are few.
    case yielding

    private static var promptSliceNanos: UInt64 { 100_000 }

    /// On the calling thread, and those that it starts from now on.
    package func takeEffect() {
        switch self {
        case .prompt: _ = sluice_thread_take_slices(ThreadUrgency.promptSliceNanos)
        case .ordinary: break
        case .yielding: sluice_thread_yield_more()
        }
    }
}

package struct LoopThread: Sendable {
    private final class Box: Sendable {
        let name: String
        let urgency: ThreadUrgency
        let body: @Sendable () -> Void
        init(name: String, urgency: ThreadUrgency, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.urgency = urgency
            self.body = body
        }
    }
    private let identity: UInt

    /// `name` shows in top and perf: 15 characters at most.
    package init(
        name: String, urgency: ThreadUrgency = .ordinary, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadStartError) {
        var identity: UInt = 0
        let box = unsafe Unmanaged.passRetained(Box(name: name, urgency: urgency, body: body))
        let status = unsafe sluice_thread_start(
            { context in
                let box = unsafe Unmanaged<Box>.fromOpaque(context!).takeRetainedValue()
                unsafe sluice_thread_name(box.name)
                box.urgency.takeEffect()
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
