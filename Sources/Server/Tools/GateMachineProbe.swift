// What a result file says of the machine it was measured on. Reads /proc; an answer that is not there is "unknown", so
// that a strange system compares with itself alone.
import BenchmarkGate
import Engine
import Foundation

enum GateMachineProbe {
    /// Without the libraries, which take reading.
    static var shape: String { machine(libraries: "").shape }
    static func machine() -> GateMachine { machine(libraries: libraries()) }
    private static func machine(libraries: String) -> GateMachine {
        GateMachine(
            architecture: architecture, processor: processor(file("/proc/cpuinfo")),
            processorCount: ProcessInfo.processInfo.activeProcessorCount,
            kernel: file("/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines),
            libraries: libraries)
    }

    #if arch(x86_64)
    private static let architecture = "x86_64"
    #elseif arch(arm64)
    private static let architecture = "aarch64"
    #else
    private static let architecture = "unknown"
    #endif

    /// "AMD EPYC 25.17", from the first processor: the model's name alone is the same over generations in many clouds.
    static func processor(_ text: String) -> String {
        func value(_ key: String) -> String? {
            text.split(separator: "\n").first { $0.hasPrefix(key) && $0.dropFirst(key.count).first != " " }?
                .split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
        }
        let name = value("model name\t") ?? value("CPU implementer\t") ?? "unknown"
        let numbers = [value("cpu family\t") ?? value("CPU variant\t"), value("model\t") ?? value("CPU part\t")]
        let generation = numbers.compactMap(\.self).joined(separator: ".")
        return generation.isEmpty ? name : "\(name) \(generation)"
    }

    /// FNV-1a over the libraries that this process has mapped and whose code the measured path runs.
    private static func libraries() -> String {
        let names = ["libc.so", "libcrypto.so", "libIPSec_MB.so", "libxxhash.so", "libswiftCore.so"]
        var paths: Set<String> = []
        for line in file("/proc/self/maps").split(separator: "\n") {
            guard let slash = line.firstIndex(of: "/") else { continue }
            let path = String(line[slash...])
            if names.contains(where: { (path as NSString).lastPathComponent.hasPrefix($0) }) { paths.insert(path) }
        }
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for path in paths.sorted(by: { ($0 as NSString).lastPathComponent < ($1 as NSString).lastPathComponent }) {
            let bytes = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        }
        return String(hash, radix: 16)
    }

    private static func file(_ path: String) -> String {
        (try? String(contentsOfFile: path, encoding: .utf8)) ?? "unknown"
    }
}
