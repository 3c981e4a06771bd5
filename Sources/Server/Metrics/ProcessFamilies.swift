// What the process itself uses, by the names every Prometheus client library has.
import FastPath
import Foundation

enum ProcessFamilies {
    static func now() -> [MetricFamily] {
        var families: [MetricFamily] = []
        if let bytes = residentBytes {
            families.append(
                MetricFamily(
                    "process_resident_memory_bytes", .gauge, help: "Resident memory.", value: Double(bytes)))
        }
        if let seconds = processorSeconds() {
            families.append(
                MetricFamily(
                    "process_cpu_seconds_total", .counter, help: "Processor time, user and system.", value: seconds))
        }
        if let files = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            // One of them was this listing's own.
            families.append(
                MetricFamily(
                    "process_open_fds", .gauge, help: "Open file descriptors.", value: Double(max(0, files.count - 1))))
        }
        let descriptorCountMax = ProcessLimits.files.soft
        if descriptorCountMax != .max {
            families.append(
                MetricFamily(
                    "process_max_fds", .gauge, help: "Most file descriptors that may be open.",
                    value: Double(descriptorCountMax)))
        }
        if let seconds = startSeconds {
            families.append(
                MetricFamily(
                    "process_start_time_seconds", .gauge, help: "When the process began, in seconds since 1970.",
                    value: seconds))
        }
        return families
    }

    /// Computed once: a clock that is set moves the time of the system's start too.
    private static let startSeconds: Double? = {
        guard let fields = statFields, fields.count > 19, let ticks = Double(fields[19]),
            let system = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let line = system.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let boot = Double(line.dropFirst(6))
        else { return nil }
        return boot + ticks / ticksASecond
    }()

    private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    private static let ticksASecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    static var residentBytes: Int? { memoryBytes(1) }
    /// All that is mapped, used or not.
    static var addressedBytes: Int? { memoryBytes(0) }
    /// A number of statm.
    private static func memoryBytes(_ place: Int) -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        return text.split(separator: " ").dropFirst(place).first.flatMap { Int($0) }.map { $0 * pageBytes }
    }
    /// utime and stime.
    private static func processorSeconds() -> Double? {
        guard let fields = statFields, fields.count > 12, let user = Double(fields[11]),
            let system = Double(fields[12])
        else { return nil }
        return (user + system) / ticksASecond
    }
    /// What stands in stat behind the process's name, which may hold spaces: its third field and all that follow.
    private static var statFields: [Substring]? {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        return text[text.index(after: end)...].split(separator: " ")
    }
}
