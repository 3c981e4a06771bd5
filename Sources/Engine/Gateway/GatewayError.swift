// Why a gateway does not start or does not take a new configuration: each says what is wrong and how to mend it.
import FastPath

package enum GatewayError: Error, CustomStringConvertible {
    case source(SourceError)
    case endpoint(EndpointError)
    case endpointRefused(name: String, EgressEndpointError)
    case allowList(AddressRulesError)
    case log(LogOpenError)
    case store(path: String, reason: String)
    case listen(ListenError)
    case outOfMemory(what: String, bytes: Int)
    case outOfDescriptors
    case ring(UringError)
    case thread(ThreadStartError)
    case verifierUnavailable(String)
    case limits(String)

    package var description: String {
        switch self {
        case .source(let error): "\(error)"
        case .endpoint(let error): "\(error)"
        case .endpointRefused(let name, let error): "endpoint \"\(name)\": \(error)"
        case .allowList(let error): "delivery.allow: \(error)"
        case .log(let error): "\(error)"
        case .store(let path, let reason):
            "\(path): cannot be used: \(reason); check its rights and the free space of its disk"
        case .listen(let error): "listen: \(error.address): \(error.reason)"
        case .outOfMemory(let what, let bytes):
            "\(bytes) bytes of memory for \(what) are not to be had; lower its size"
        case .outOfDescriptors:
            "too few file descriptors; raise the hard limit (ulimit -Hn) or lower limits.connections"
        case .ring(let error): GatewayError.text(of: error)
        case .thread(let error): "a thread cannot be started: \(systemText(error.errno))"
        case .verifierUnavailable(let name):
            "verifier: \(name) is not available on this processor; use auto or openssl"
        case .limits(let text): text
        }
    }
    /// The kernel features a ring needs, by what failed.
    private static func text(of error: UringError) -> String {
        let why = systemText(error.errno)
        switch error.step {
        case .memory:
            return "io_uring: its buffers' memory is not to be had; lower limits.assembly or receive buffers"
        case .buffers: return "io_uring: no provided buffer rings (\(why)); Linux 6.1 or newer is needed"
        case .open:
            return switch error.errno {
            case 1, 13:
                "io_uring is forbidden here (\(why)); allow it: sysctl kernel.io_uring_disabled=0, or seccomp's"
            case 12: "io_uring: too little locked memory (\(why)); raise ulimit -l"
            case 38: "io_uring: this kernel has none; Linux 6.1 or newer is needed"
            default: "io_uring cannot be opened: \(why); Linux 6.1 or newer is needed"
            }
        }
    }
}
