// The limit probe for the command line: `sluice gate probe`. Serves on the calling thread until the process ends.
// Safety: the probe is opened and served here, on one thread, and lives as long as the process.
import CShims

package enum LimitProbeWork: String, CaseIterable, Sendable {
    case answer
    case hmac
    case durable
}

package enum LimitProbe {
    /// `folder` is the disk that durable work is measured on; its file there has no name and goes with the process.
    /// `ready` is told the address. Returns only when the probe cannot go on.
    package static func serve(
        listen address: String, work: LimitProbeWork, folder path: String, ready: (String) -> Void
    ) throws(ListenError) -> String {
        let listener = try Listener(address, isShared: false)
        let folder = unsafe sluice_file_open(sluice_file_working_directory(), path, FileFlag.directory)
        guard folder >= 0 else { return "\(path): \(systemText(-folder))" }
        var probe: OpaquePointer?
        let kind =
            switch work {
            case .answer: SLUICE_PROBE_ANSWER
            case .hmac: SLUICE_PROBE_HMAC
            case .durable: SLUICE_PROBE_DURABLE
            }
        let opened = unsafe sluice_limit_probe_open(listener.descriptor, folder, kind, &probe)
        guard opened == 0 else { return "\(path): \(systemText(-opened))" }
        ready(listener.text)
        return unsafe systemText(-sluice_limit_probe_serve(probe))
    }
}
