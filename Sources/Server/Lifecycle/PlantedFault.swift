// The fault that SLUICE_FAULT names, in a build with planted ones (`FastPath/Planted.swift`), so that the suites
// against the real process are tried too. In every other build nothing of it is left, and the name means nothing.
// Safety: the fault is set before there is another thread.
import FastPath
import Foundation

enum PlantedFaults {
    /// Before the gateway starts. A name that no fault has ends the process: a trial of nothing would pass.
    static func plant() {
        #if SLUICE_PLANTED
        guard let name = ProcessInfo.processInfo.environment["SLUICE_FAULT"] else { return }
        guard let fault = PlantedFault.allCases.first(where: { "\($0)" == name }) else {
            fatalError("no fault is called \(name)")
        }
        unsafe Planted.current = fault.rawValue
        #endif
    }
}
