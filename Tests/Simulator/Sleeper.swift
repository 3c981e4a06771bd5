// How a loop sleeps in a simulated world: until its time, until something is there for it, or until it is signalled, as
// the real one does on its eventfd. Whoever forgets to signal is found out.

import CShims
import FastPath

package final class Sleeper {
    private let wakeup: Wakeup
    /// Nil while it is awake.
    private(set) var until: UInt64?
    /// It was woken by a signal that nobody has looked at.
    private(set) var wasSignalled = false
    /// It rose by itself when the descriptor had been written to already. Asking the kernel costs more than a step.
    private var mayBeReadable = false

    package init(_ wakeup: Wakeup) { self.wakeup = wakeup }
    func sleep(until time: UInt64) {
        wakeup.beginSleep()
        until = time
    }
    func rise() {
        if until != nil, !wakeup.isAsleep { mayBeReadable = true }
        wakeup.endSleep()
        until = nil
    }
    func isAwake(_ now: UInt64) -> Bool {
        guard let until else { return true }
        if mayBeReadable || !wakeup.isAsleep {
            mayBeReadable = false
            if sluice_wakeup_wait(wakeup.descriptor, 0) { wasSignalled = true }
        }
        guard wasSignalled || until <= now else { return false }
        rise()
        return true
    }
    func takeSignal() -> Bool {
        defer { wasSignalled = false }
        return wasSignalled
    }
}
