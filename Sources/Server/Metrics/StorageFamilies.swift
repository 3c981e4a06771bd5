// The log as files on a disk: what it takes, how far it reaches back, what is free beside it. Looked up at each scrape:
// one listing of a folder, a size a file; the oldest event is read again only when another one is the oldest.
import Engine
import FastPath
import Foundation
import Synchronization

final class StorageFamilies: Sendable {
    private struct Oldest {
        var segment: UInt64 = 0
        var receivedAt: UInt64?
    }
    private let oldest = Mutex(Oldest())
    /// Events at the beginning of the log that cannot be read; beyond them its age is not known.
    private static let unreadableMax = 16

    func now(_ access: GatewayAccess) -> [MetricFamily] {
        let folder = access.folder.path
        var families: [MetricFamily] = []
        if let segments = try? access.folder.segments() {
            families.append(
                MetricFamily(
                    "sluice_log_segments", .gauge, help: "Segments that the log consists of.",
                    value: Double(segments.count)))
            families.append(
                MetricFamily(
                    "sluice_log_oldest_event_age_seconds", .gauge,
                    help: "Age of the oldest event in the log; 0 when there is none.",
                    value: age(of: segments.first, access)))
        }
        if let bytes = StorageFamilies.bytes(of: folder + "/log") {
            families.append(
                MetricFamily(
                    "sluice_log_bytes", .gauge, help: "Size of the log's files, prepared ones included.",
                    value: Double(bytes)))
        }
        if let free = SyncProbe.freeBytes(folder: folder) {
            families.append(
                MetricFamily(
                    "sluice_data_free_bytes", .gauge, help: "Free bytes of the data folder's disk.",
                    value: Double(free)))
        }
        return families
    }

    private func age(of segment: UInt64?, _ access: GatewayAccess) -> Double {
        guard let segment else { return 0 }
        let known = oldest.withLock { $0.segment == segment ? $0.receivedAt : nil }
        let received = known ?? StorageFamilies.firstReceived(from: segment, access)
        guard let received else { return 0 }
        oldest.withLock { $0 = Oldest(segment: segment, receivedAt: received) }
        let now = ProcessResources.wallNanos
        return now > received ? Double(now - received) / 1_000_000_000 : 0
    }
    private static func firstReceived(from segment: UInt64, _ access: GatewayAccess) -> UInt64? {
        var reader = access.makeReader(from: segment)
        for _ in 0..<unreadableMax {
            switch reader.next(through: access.tail.snapshot) {
            case .record(let record, _): return record.receivedAt
            case .damaged, .missing: continue
            case .caughtUp, .failed: return nil
            }
        }
        return nil
    }
    private static func bytes(of folder: String) -> Int? {
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: folder) else { return nil }
        return names.reduce(0) { sum, name in
            // One that is gone by now takes nothing.
            let attributes = try? FileManager.default.attributesOfItem(atPath: folder + "/" + name)
            return sum + ((attributes?[.size] as? NSNumber)?.intValue ?? 0)
        }
    }
}
