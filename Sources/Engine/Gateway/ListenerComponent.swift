// The sockets of all loops: of each TCP address one a loop, so that the kernel spreads connections; Unix sockets are
// shared. Bound here, before anything that takes long, so that a busy port is found early; the loops begin to listen.
//
// The kernel may keep a port for a moment after the process that had it was killed, so a busy one is waited for.

import FastPath
import Foundation
import Logging

package final class ListenerComponent: Component {
    package let name = "listeners"
    private static let addressInUse: Int32 = 98
    private let addresses: [String]
    private let loopCount: Int
    private let wait: BoundedWait
    private let logger: Logger
    private let bound = StartResult<Listeners>()

    package init(addresses: [String], loopCount: Int, wait: BoundedWait = BoundedWait(seconds: 2), logger: Logger) {
        self.addresses = addresses
        self.loopCount = loopCount
        self.wait = wait
        self.logger = logger
    }
    /// As they were really bound, ports filled in.
    package var texts: [String] { bound.value.texts }
    func descriptors(loop: Int) -> [Int32] { bound.value.byLoop[loop] }

    package func start() throws {
        do {
            bound.set(
                try wait.run(isPassing: ListenerComponent.isBusy, onWait: tellOfWait) {
                    try Listeners(addresses, loopCount: loopCount)
                })
        } catch let error as ListenError { throw GatewayError.listen(error) }
    }
    /// From now on connections are taken.
    func activate() throws(GatewayError) {
        do throws(ListenError) {
            for listener in bound.value.all { try listener.activate() }
        } catch { throw .listen(error) }
    }
    /// From now on none is. Those that were taken live on.
    func stopListening() { for listener in bound.value.all { listener.stop() } }
    package func stop() { bound.value.close() }

    private static func isBusy(_ error: any Error) -> Bool { (error as? ListenError)?.errno == addressInUse }
    private func tellOfWait() {
        logger.notice(
            "a listen address is in use; waiting for it",
            metadata: ["listen": "\(addresses.joined(separator: ", "))", "seconds": "\(Int(wait.seconds))"])
    }
}

private struct Listeners: Sendable {
    private(set) var all: [Listener] = []
    private(set) var byLoop: [[Int32]]
    private(set) var texts: [String] = []

    init(_ addresses: [String], loopCount: Int) throws(ListenError) {
        byLoop = Array(repeating: [], count: loopCount)
        do throws(ListenError) {
            for address in addresses { try bind(address, loopCount) }
        } catch {
            close()
            throw error
        }
    }
    private mutating func bind(_ address: String, _ loopCount: Int) throws(ListenError) {
        let first = try Listener(address, isShared: loopCount > 1)
        all.append(first)
        texts.append(first.text)
        byLoop[0].append(first.descriptor)
        for loop in 1..<max(loopCount, 1) {
            if first.unixPath != nil {
                byLoop[loop].append(first.descriptor)
            } else {
                // The port that the first one took, should it have been 0.
                let next = try Listener(first.text, isShared: true)
                all.append(next)
                byLoop[loop].append(next.descriptor)
            }
        }
    }
    func close() { for listener in all { listener.close() } }
}
