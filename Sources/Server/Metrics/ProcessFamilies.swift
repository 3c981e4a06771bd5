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
        return families
    }

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
