// Where the control API's own code runs: on the event loop that has its connections. Elsewhere each wait of a call
// would change threads, and waking one costs more than most calls do. What blocks goes to a `ControlWorker`. Touches
// NIO's threads and nothing else.
import FastPath
import NIOCore
import NIOPosix

final class ControlExecutor: HostedExecutor {
    // Never shut down: a connection that closes late would otherwise schedule on a loop that is gone.
    static let shared = ControlExecutor()

    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let loop: any EventLoop

    private init() { loop = group.next() }

    func host(_ body: @escaping @Sendable () -> Void) { loop.execute(body) }
}
