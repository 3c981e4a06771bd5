// How often the hot threads allocate while they take requests, plain and over TLS: the answer must be never. A gateway
// in this process, for each kind of request a warm-up and then the counted run; exit status 1 when anything was
// allocated or freed, by Swift or by OpenSSL, or an answer was not the expected one.
//
// Safety: names given to and taken from C live through the call.
//
//   allocation-probe [--requests N] [--warm-up N] [--connections N] [--trace] [KIND…]
// `--trace` prints the stacks of the first allocations and frees, as addresses for `addr2line -f -e allocation-probe`.
import FastPath
import Glibc
import MallocCounter
import Synchronization

#if DEBUG
#error("Build with -c release: what is counted here is the optimised code.")
#endif

@main struct AllocationProbe {
    private var requestCount = 10_000
    private var warmUpCount = 2000
    private var connectionCount = 16
    private var isTracing = false
    private var kinds: [ProbeRequests.Kind] = []

    static func main() {
        do {
            exit(try AllocationProbe(Array(CommandLine.arguments.dropFirst())).run() ? 0 : 1)
        } catch {
            print("FAIL  allocation probe: \(error)")
            exit(1)
        }
    }

    private init(_ arguments: [String]) throws {
        var left = arguments[...]
        func number(_ name: String) throws -> Int {
            guard let text = left.popFirst(), let number = Int(text), number > 0 else {
                throw ProbeError("\(name) wants a number")
            }
            return number
        }
        while let argument = left.popFirst() {
            switch argument {
            case "--requests": requestCount = try number(argument)
            case "--warm-up": warmUpCount = try number(argument)
            case "--connections": connectionCount = min(try number(argument), 64)
            case "--trace": isTracing = true
            default:
                guard let kind = ProbeRequests.Kind(rawValue: argument) else {
                    let known = ProbeRequests.Kind.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ProbeError("\(argument) is neither an option nor one of \(known)")
                }
                kinds.append(kind)
            }
        }
        if kinds.isEmpty { kinds = ProbeRequests.Kind.allCases }
    }

    private func run() throws -> Bool {
        var passed = 0
        var failed = 0
        func note(_ isRight: Bool) { if isRight { passed += 1 } else { failed += 1 } }
        note(try AllocationProbe.counterCounts())
        let certificates = try ProbeCertificates()
        for (hasJournalThread, isSecure) in [(false, false), (true, false), (false, true), (true, true)] {
            let shape = hasJournalThread ? "one loop and a journal thread" : "one loop that drives the journal itself"
            print("-- \(shape)\(isSecure ? ", over TLS" : "")")
            let folder = try ProbeFolder()
            let gateway = try ProbeGateway(
                path: folder.path, hasJournalThread: hasJournalThread, context: isSecure ? certificates.server : nil)
            for kind in kinds { note(try isClean(kind, gateway, isSecure ? certificates.client : nil)) }
            gateway.stop()
        }
        print("allocation probe: \(passed) passed, \(failed) failed")
        return failed == 0
    }

    /// A zero means nothing unless the counter sees what Swift's runtime takes and gives back.
    private static func counterCounts() throws -> Bool {
        let seen = Seen()
        let thread = try LoopThread(name: "self-check") {
            malloc_counter_watch()
            let allocated = malloc_counter_allocations()
            let freed = malloc_counter_frees()
            // Too long to be kept in place; its length is not known to the compiler.
            do {
                let text = String(repeating: "x", count: 64 + Int(getpid() & 1))
                precondition(text.utf8.count >= 64)
            }
            seen.allocations.store(malloc_counter_allocations() - allocated, ordering: .relaxed)
            seen.frees.store(malloc_counter_frees() - freed, ordering: .relaxed)
        }
        thread.join()
        let allocations = seen.allocations.load(ordering: .relaxed)
        let frees = seen.frees.load(ordering: .relaxed)
        let isRight = allocations > 0 && frees > 0
        let verdict = isRight ? "ok  " : "FAIL"
        print("\(verdict)  the counter sees a string of Swift's: \(allocations) allocations, \(frees) frees")
        return isRight
    }
    private final class Seen: Sendable {
        let allocations = Atomic<UInt64>(0)
        let frees = Atomic<UInt64>(0)
    }

    private func isClean(
        _ kind: ProbeRequests.Kind, _ gateway: ProbeGateway, _ context: TLSContext?
    ) throws -> Bool {
        let client = try ProbeClient(port: gateway.port, context: context, connectionCount: connectionCount)
        // A handshake costs what many requests do.
        let requestCount = kind == .newConnections && context != nil ? max(requestCount / 10, 1) : requestCount
        _ = try client.run(kind, from: 0, count: warmUpCount)
        let allocated = malloc_counter_allocations()
        let freed = malloc_counter_frees()
        let commits = gateway.metrics.loop.read(IngestCounter.commits.rawValue)
        let segments = gateway.tail.snapshot.segmentGeneration
        if isTracing { malloc_counter_trace(1) }
        let tally = try client.run(kind, from: warmUpCount, count: requestCount)
        if isTracing { malloc_counter_trace(0) }
        let allocations = malloc_counter_allocations() - allocated
        let frees = malloc_counter_frees() - freed
        let expected = requestCount * kind.answerCount
        let answered = kind.isForged ? tally.rejected : kind == .overLimit ? tally.limited : tally.accepted
        let isClean = allocations == 0 && frees == 0 && answered == expected
        let commitCount = gateway.metrics.loop.read(IngestCounter.commits.rawValue) - commits
        let segmentCount = gateway.tail.snapshot.segmentGeneration - segments
        print(
            "\(isClean ? "ok  " : "FAIL")  \(kind.rawValue)\(context == nil ? "" : " over TLS"): "
                + "\(allocations) allocations, \(frees) frees in \(expected) requests of \(kind.bodyBytes) B"
                + " (\(answered) answered as expected, \(commitCount) commits, \(segmentCount) new segments)")
        if isTracing && !isClean { malloc_counter_print() }
        return isClean
    }
}

/// A folder of this run alone, removed at its end.
final class ProbeFolder {
    let path: String

    init() throws {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((base + "/sluice-probe-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw ProbeError("no temporary folder in \(base)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    deinit { ProbeFolder.remove(path) }

    private static func remove(_ path: String) {
        for name in names(path) {
            let child = path + "/" + name
            if unlink(child) != 0 { remove(child) }
        }
        rmdir(path)
    }
    private static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
