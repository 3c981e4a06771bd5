// The measurements of `sluice doctor`. Each asks the system once and judges the answer; nothing is left behind.
import Engine
import FastPath
import Foundation

struct Finding: Encodable {
    enum Rating: String, Encodable { case ok, warn, fail }
    let what: String
    let verdict: Rating
    let found: String
    /// What to do about it; nil when there is nothing to do.
    var mend: String?
}

enum MachineProbe {
    // Provided buffer rings, multishot receive and DEFER_TASKRUN came with 6.1 at the latest.
    private static let kernelMin = (major: 6, minor: 1)

    static func kernel() -> Finding {
        let release =
            (try? String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines) ?? "unknown"
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        guard numbers.count == 2 else {
            return Finding(
                what: "kernel", verdict: .warn, found: release,
                mend: "cannot tell its version; Linux 6.1 or newer is needed")
        }
        let isNew = (numbers[0], numbers[1]) >= kernelMin
        return Finding(
            what: "kernel", verdict: isNew ? .ok : .fail, found: "Linux \(release)",
            mend: isNew ? nil : "Linux 6.1 or newer is needed")
    }

    /// Opens a ring as the loops do: the flags and the provided buffers are what is tested.
    static func ring() -> Finding {
        guard let error = RingProbe.run() else {
            return Finding(
                what: "io_uring", verdict: .ok, found: "opens, with deferred task work and provided buffer rings")
        }
        return Finding(
            what: "io_uring", verdict: .fail, found: "does not open", mend: GatewayError.ring(error).description)
    }

    static func lockedMemory() -> Finding {
        let bytes = ProcessLimits.lockedBytes
        let found = bytes == .max ? "no limit" : ByteSize.approximate(bytes)
        let isEnough = bytes >= 8 << 20
        return Finding(
            what: "locked memory", verdict: isEnough ? .ok : .warn, found: found,
            mend: isEnough ? nil : "8 MiB is usual; raise it with `ulimit -l 8192` (LimitMEMLOCK= in a systemd unit)")
    }

    static func files(connections: Int) -> Finding {
        let limits = ProcessLimits.files
        let needed = connections + 256
        let isEnough = limits.hard >= needed
        return Finding(
            what: "file descriptors", verdict: isEnough ? .ok : .fail,
            found: "\(limits.soft) now, up to \(limits.hard); \(connections) connections need \(needed)",
            mend: isEnough
                ? nil
                : "raise the hard limit (`ulimit -Hn \(needed)`, LimitNOFILE= in a systemd unit), "
                    + "or lower limits.connections"
        )
    }

    static func processors() -> Finding {
        let count = ProcessInfo.processInfo.activeProcessorCount
        return Finding(what: "processors", verdict: .ok, found: "\(count)")
    }

    // MARK: verifier

    static func verifiers() -> [Finding] {
        VerifierEngine.available.map { engine in
            let speeds = [1024, 16_384].map { bytes in
                let nanos = verifyNanos(engine, bodyBytes: bytes)
                return
                    "\(bytes / 1024) KiB in \(nanos >= 10_000 ? Double(nanos / 1000) : Double(nanos / 10) / 100) µs"
            }
            let laneCount = engine == .multiBuffer ? VerifierEngine.laneCount(.sha256) : 1
            let isChosen = engine == .automatic ? ", the one `auto` takes" : ""
            let wrong = engine == .multiBuffer ? VerifierEngine.disagreements() : []
            guard wrong.isEmpty else {
                let names = wrong.map { "\($0)" }.joined(separator: ", ")
                return Finding(
                    what: "verifier", verdict: .fail, found: "\(engine.rawValue) computes wrong digests: \(names)",
                    mend: "set `verifier: openssl`, and report this processor")
            }
            return Finding(
                what: "verifier", verdict: .ok,
                found:
                    "\(engine.rawValue), \(laneCount) at once: HMAC-SHA256 of "
                    + speeds.joined(separator: ", ") + isChosen
            )
        }
    }
    /// A batch of 512 of the same request, the best of five.
    private static func verifyNanos(_ engine: VerifierEngine, bodyBytes: Int) -> Int {
        let copies = 512
        let body = [UInt8](repeating: 0x61, count: bodyBytes)
        var source = SourceConfiguration()
        source.name = "doctor"
        source.provider = "github"
        source.secrets = ["doctor"]
        guard let parts = try? SourceCompiler.compile(source), let scheme = parts.scheme,
            let signer = try? RequestSigner(provider: "github", secrets: ["doctor"])
        else { return 0 }
        let fields = signer.signatureHeaders(body: body, id: "", timestamp: 0).map { "\($0.name): \($0.value)\r\n" }
            .joined()
        let head = "POST / HTTP/1.1\r\nHost: doctor\r\nContent-Length: \(bodyBytes)\r\n\(fields)\r\n"
        guard let request = try? CapturedRequest(Array(head.utf8) + body) else { return 0 }
        var best = Duration.seconds(60)
        for _ in 0..<5 {
            let time = ContinuousClock().measure {
                _ = request.verify(scheme, nowSeconds: 0, engine: engine, copies: copies)
            }
            best = min(best, time)
        }
        return Int(best.components.attoseconds / 1_000_000_000) / copies
    }

    // MARK: disk

    static func disk(data: String) -> [Finding] {
        // A folder that is not there yet: the nearest one above it is on the same disk.
        var url = URL(fileURLWithPath: data).standardizedFileURL
        while !FileManager.default.fileExists(atPath: url.path), url.path != "/" { url.deleteLastPathComponent() }
        return [sync(url.path), space(url.path)]
    }
    private static func sync(_ folder: String) -> Finding {
        switch SyncProbe.run(folder: folder, count: 100) {
        case .failure(let error):
            return Finding(
                what: "disk", verdict: .fail, found: "\(folder): \(error)",
                mend: "give this user the right to write there")
        case .success(let times):
            let median = times[times.count / 2] / 1000
            let slow = times[times.count * 99 / 100] / 1000
            // Beneath what a disk can do, the sync does not reach one; above 10 ms a commit is what senders wait for.
            let isMemory = median < 5
            let isSlow = median > 10_000
            let mend =
                isMemory
                ? "faster than disks are: it is in memory, or syncs are ignored; "
                    + "acknowledged events may not survive a power cut"
                : isSlow ? "each answer waits for one; a faster disk or a write cache with a battery helps" : nil
            return Finding(
                what: "disk", verdict: isMemory || isSlow ? .warn : .ok,
                found: "\(folder): write and fdatasync of 4 KiB \(median) µs median, \(slow) µs 99th percentile",
                mend: mend)
        }
    }
    private static func space(_ folder: String) -> Finding {
        guard let free = SyncProbe.freeBytes(folder: folder) else {
            return Finding(what: "free space", verdict: .warn, found: "\(folder): unknown")
        }
        let log = LogConfiguration()
        let needed = log.freeBytesMin + 3 * log.segmentBytes
        return Finding(
            what: "free space", verdict: free >= needed ? .ok : .warn, found: ByteSize.approximate(free),
            mend: free >= needed
                ? nil
                : "three segments and the reserve need \(ByteSize.approximate(needed)); "
                    + "lower `log.segment` or free some space"
        )
    }
}
