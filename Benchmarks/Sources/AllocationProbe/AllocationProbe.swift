// How often an ingest thread allocates while it takes requests: the answer must be never. One gateway in this process, for each
// kind of request a warm-up and then the counted run; exit status 1 when anything was allocated or an answer was not the
// expected one.
//
// Safety: names given to and taken from C live through the call.
//
//   allocation-probe [--requests N] [--warm-up N] [--connections N] [--trace] [KIND…]
// `--trace` prints the stacks of the first allocations and frees, as addresses for `addr2line -f -e allocation-probe`.
import FastPath
import Glibc
import MallocCounter

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
        let folder = try ProbeFolder()
        let gateway = try ProbeGateway(path: folder.path)
        var failures = 0
        for kind in kinds where try !isClean(kind, gateway) { failures += 1 }
        gateway.stop()
        print("allocation probe: \(kinds.count - failures) passed, \(failures) failed")
        return failures == 0
    }

    private func isClean(_ kind: ProbeRequests.Kind, _ gateway: ProbeGateway) throws -> Bool {
        let client = try ProbeClient(port: gateway.port, connectionCount: connectionCount)
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
        let answered = kind == .forged ? tally.rejected : tally.accepted
        let isClean = allocations == 0 && frees == 0 && answered == expected
        let commitCount = gateway.metrics.loop.read(IngestCounter.commits.rawValue) - commits
        let segmentCount = gateway.tail.snapshot.segmentGeneration - segments
        print(
            "\(isClean ? "ok  " : "FAIL")  \(kind.rawValue): \(allocations) allocations and \(frees) frees on the ingest thread"
                + " in \(expected) requests of \(kind.bodyBytes) B (\(answered) answered as expected, \(commitCount) commits,"
                + " \(segmentCount) new segments)")
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
