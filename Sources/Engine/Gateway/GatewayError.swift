// Why a gateway does not start or does not take a new configuration: each says what is wrong and how to fix it.
import FastPath

package enum GatewayError: Error, CustomStringConvertible {
    case registry(RegistryRefusal)
    case log(LogOpenError)
    /// Still held when the start had waited so long.
    case folderHeld(path: String, holder: LockHolder?, seconds: Double)
    /// Of deliveries and the registry; the words are `StoreError`'s.
    case store(String)
    /// Of refused requests; the words are `StoreError`'s.
    case rejectedStore(reason: String)
    case delivery(any Error)
    case listen(ListenError)
    case outOfMemory(what: String, bytes: Int)
    case outOfDescriptors
    case ring(UringError)
    case thread(ThreadStartError)
    case verifierUnavailable(String)
    case limits(String)

    package var description: String {
        switch self {
        case .registry(let refusal): "\(refusal)"
        case .log(let error): "\(error)"
        case .folderHeld(let path, let holder, let seconds):
            "\(path): \(holder?.description ?? "another process") is using this data folder, and still was after "
                + "\(Int(seconds)) s; stop it, or set `data:` to another folder"
        case .store(let text): text
        case .rejectedStore(let reason): reason
        case .delivery(let error): "\(error)"
        case .listen(let error): GatewayError.text(of: error)
        case .outOfMemory(let what, let bytes):
            "\(bytes) bytes of memory for \(what) cannot be allocated; lower its size"
        case .outOfDescriptors:
            "too few file descriptors; raise the hard limit (ulimit -Hn) or lower limits.connections"
        case .ring(let error): GatewayError.text(of: error)
        case .thread(let error): "a thread cannot be started: \(systemText(error.errno))"
        case .verifierUnavailable(let name):
            "verifier: \(name) is not available on this processor; use auto or openssl"
        case .limits(let text): text
        }
    }
    /// True when nothing is wrong but that there is too little memory.
    package var isOfMemory: Bool {
        switch self {
        case .outOfMemory: true
        case .log(.noMemory): true
        case .ring(let error): error.step == .memory
        default: false
        }
    }
    /// As `admin` says it.
    private static func text(of error: ListenError) -> String {
        switch error.errno {
        case 98:
            let remedy =
                error.address.hasPrefix("unix:")
                ? "stop that one (`ss -lxp` shows it) or choose another path"
                : "stop that one (`ss -ltnp` shows it) or choose another port"
            return "`listen`: \(error.address) is in use by another process; \(remedy)"
        case 13:
            return "`listen`: this user may not listen on \(error.address); "
                + (error.address.hasPrefix("unix:")
                    ? "choose a folder that it may write to"
                    : "choose a port above 1023, or grant CAP_NET_BIND_SERVICE")
        case 99:
            return "`listen`: \(error.address) is not an address of this machine; `ip addr` lists those it has"
        default: return "`listen`: \(error.address): \(error.reason)"
        }
    }
    /// The kernel features a ring needs, by what failed.
    private static func text(of error: UringError) -> String {
        let why = systemText(error.errno)
        switch error.step {
        case .memory:
            return "io_uring: its buffers cannot be allocated; lower limits.assembly or receive buffers"
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
