// What must be there before a start is tried, and the words for a start that the system refused.
import Engine
import FastPath
import Foundation
import NIOCore

package enum StartChecks {
    /// Files besides the connections: listeners, rings, segments, SQLite, the control API; a generous bound.
    private static let filesBeside = 128

    /// Address space beside what is configured: stacks of the threads, what the allocator reserves for each, rings,
    /// SQLite. Measured with the defaults, rounded up.
    private static let addressBytesBeside = 640 << 20

    /// Sees that the folder may be used and that there is room, raises the limit of descriptors and sees that it
    /// suffices.
    static func run(_ configuration: GatewayConfiguration) throws {
        try checkFolder(configuration.dataFolder)
        try checkAddressSpace(
            configuration, limit: ProcessLimits.addressBytes, used: ProcessFamilies.addressedBytes ?? 0)
        let needed =
            configuration.limits.connectionCountMax + filesBeside + configuration.deliveryConnectionCountMax
        let have = ProcessLimits.raiseFiles()
        guard have >= needed else {
            throw StartError(
                "too few file descriptors: \(needed) are needed "
                    + "(`limits.connections` \(configuration.limits.connectionCountMax), "
                    + "`delivery.connections` \(configuration.deliveryConnectionCountMax), \(filesBeside) beside), "
                    + "the hard limit is \(have)",
                remedy:
                    "raise it (`ulimit -Hn \(needed)`, LimitNOFILE= in a systemd unit) or lower `limits.connections`")
        }
    }

    /// A limit of the address space is found out here, because libraries end the process where it is met; `Int.max` =
    /// without one.
    package static func checkAddressSpace(_ configuration: GatewayConfiguration, limit: Int, used: Int) throws {
        let needed =
            used + configuration.deliveryBufferBytes + configuration.limits.assemblyBytes + addressBytesBeside
        guard needed > limit else { return }
        throw StartError(
            "too little memory may be addressed: about \(ByteSize.approximate(needed)) are needed, the limit is "
                + ByteSize.approximate(limit),
            remedy:
                "raise it (`ulimit -v unlimited`, LimitAS= in a systemd unit), or lower `delivery.buffer` and "
                + "`limits.assembly`",
            isOfMemory: true)
    }

    /// A folder that holds other things and no log is somebody else's: nothing is written there.
    static func checkFolder(_ path: String) throws {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: path), !names.contains("log") else {
            return
        }
        // What a fresh disk's root has, and what a start that ended early leaves.
        let databases = ["store.sqlite", RejectedStore.fileName].flatMap { [$0, $0 + "-wal", $0 + "-shm"] }
        let own = ["lost+found", "LOCK"] + databases
        guard let foreign = names.sorted().first(where: { !own.contains($0) }) else { return }
        throw StartError(
            "\(path): not a data folder of sluice: it holds `\(foreign)` and no log",
            remedy: "set `data:` to an empty or a new folder")
    }

    /// Nil when only this machine reaches the control API, or its listener has TLS.
    package static func warning(ofAdmin address: String, isSecure: Bool = false) -> String? {
        guard !isSecure, let host = AddressText.host(of: address)?.host, !BrowserGuard.isLoopback(host) else {
            return nil
        }
        return
            "`admin`: \(address) is reached from other machines and speaks plain HTTP: keys and events can be read on "
            + "the way; give it `tls`, or listen on 127.0.0.1 behind a proxy with TLS"
    }

    static func warning(of configuration: GatewayConfiguration) -> String? {
        warning(ofAdmin: configuration.admin, isSecure: configuration.process.adminTLS != nil)
    }

    static func error(ofAdmin address: String, _ result: Result<Void, any Error>) -> any Error {
        guard case .failure(let error) = result else {
            return StartError(
                "the control API stopped before it was ready",
                remedy: "this is a fault of Sluice's own; please report it")
        }
        return bindError(address: address, key: "admin", number: (error as? IOError)?.errnoCode, text: "\(error)")
    }

    /// The words for a listener that cannot be had.
    static func bindError(address: String, key: String, number: CInt?, text: String) -> StartError {
        switch number {
        case EADDRINUSE:
            StartError(
                "`\(key)`: \(address) is in use by another process",
                remedy: "stop that one (`ss -ltnp` shows it) or choose another port")
        case EACCES:
            StartError(
                "`\(key)`: this user may not listen on \(address)",
                remedy: "choose a port above 1023, or grant CAP_NET_BIND_SERVICE")
        case EADDRNOTAVAIL:
            StartError("`\(key)`: \(address) is not an address of this machine", remedy: "`ip addr` lists those it has")
        default:
            StartError(
                "`\(key)`: cannot listen on \(address): \(text)", remedy: "see `\(key)` in docs/configuration.md")
        }
    }
}
