// What the process itself uses, by the names every Prometheus client library has.
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
        if let count = descriptorCountMax {
            families.append(
                MetricFamily(
                    "process_max_fds", .gauge, help: "Most file descriptors that may be open.", value: count))
        }
        if let seconds = startSeconds {
            families.append(
                MetricFamily(
                    "process_start_time_seconds", .gauge, help: "When the process began, in seconds since 1970.",
                    value: seconds))
        }
        return families
    }

    /// The soft limit; nil also when there is none.
    private static var descriptorCountMax: Double? {
        guard let text = try? String(contentsOfFile: "/proc/self/limits", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("Max open files") })
        else { return nil }
        return line.dropFirst("Max open files".count).split(separator: " ").first.flatMap { Double($0) }
    }
    /// Computed once: a clock that is set moves the time of the system's start too.
    private static let startSeconds: Double? = {
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")"),
            let system = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let line = system.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
            let boot = Double(line.dropFirst(6))
        else { return nil }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
        return boot + ticks / ticksASecond
    }()

    private static let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    private static let ticksASecond = Double(sysconf(Int32(_SC_CLK_TCK)))

    /// Second number of statm.
    static var residentBytes: Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8) else { return nil }
        return text.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 * pageBytes }
    }
    /// utime and stime, the 14th and 15th of stat; counted from behind the name, which may hold spaces.
    private static func processorSeconds() -> Double? {
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return nil }
        return (user + system) / ticksASecond
    }
}
