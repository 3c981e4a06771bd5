// The memory orders that FastPath's code has, counted, beside the models that show that they are enough and needed. An
// access that is added or changed in the code and not here is a finding: its hand-over has to be thought through.
import Foundation
import TestSupport
import Testing

@Suite struct OrderTableTests {
    private enum Ground: Sendable {
        case models([String])
        /// Numbers that stand for themselves: no other memory is read because of them.
        case counts(String)
        /// Beside a lock, a thread's end or a system call, which order by themselves.
        case ordered(String)
    }
    private static let table: [(file: String, orders: [String: Int], ground: Ground)] = [
        (
            "Rings/SPSCRing.swift", ["load acquiring": 3, "load relaxed": 7, "store releasing": 4],
            .models(["SPSCRing", "SPSCRing, batches", "SPSCRing.count"])
        ),
        (
            "Rings/EventRing.swift", ["load acquiring": 2, "load relaxed": 6, "store releasing": 2],
            .models(["EventRing"])
        ),
        (
            "Rings/Wakeup.swift",
            ["fence sequentiallyConsistent": 2, "load relaxed": 2, "exchange relaxed": 1, "store relaxed": 2],
            .models(["Wakeup", "Wakeup, two producers"])
        ),
        (
            "Rings/CommitSignal.swift", ["fence sequentiallyConsistent": 1, "store relaxed": 1, "load relaxed": 1],
            .models(["CommitSignal"])
        ),
        (
            "Ingest/IngestControl.swift",
            [
                "store releasing": 3, "store relaxed": 1, "load acquiring": 1, "load relaxed": 2,
                "exchange acquiring": 1, "exchange releasing": 1,
            ], .models(["IngestControl", "JournalControl"])
        ),
        ("Loops/JournalLoop.swift", ["store releasing": 2, "load acquiring": 2], .models(["JournalControl"])),
        ("Loops/EgressThread.swift", ["store releasing": 1, "load acquiring": 1], .models(["EgressMailbox"])),
        (
            "Loops/SpareMailbox.swift",
            ["load relaxed": 3, "store relaxed": 3, "add relaxed": 1, "subtract relaxed": 1],
            .models(["SpareMailbox"])
        ),
        (
            "Log/CommittedTail.swift",
            ["store relaxed": 4, "store releasing": 1, "load acquiring": 1, "load relaxed": 4],
            .models(["CommittedTail"])
        ),
        ("Rings/Counters.swift", ["load relaxed": 2, "store relaxed": 2], .counts("metrics")),
        (
            "Ingest/RateLimit.swift",
            [
                "load relaxed": 9, "store relaxed": 1, "weakCompareExchange relaxed": 3,
                "compareExchange acquiringAndReleasing": 1, "wrappingAdd relaxed": 1, "wrappingSubtract relaxed": 3,
            ], .counts("a limit is a number; RateLimitTests run it from several threads")
        ),
        (
            "Ingest/PublisherPasses.swift",
            ["load acquiring": 1, "add acquiringAndReleasing": 1, "add relaxed": 1, "exchange relaxed": 1],
            .ordered("the registry's lock, before the version is raised")
        ),
        (
            "Log/LogErasures.swift",
            [
                "load acquiring": 3, "store releasing": 2, "add acquiringAndReleasing": 1,
            ], .ordered("the lock around the records, and the calls that write to the file")
        ),
        (
            "Log/LogFolder.swift", ["store relaxed": 1, "exchange acquiringAndReleasing": 1],
            .ordered("an exchange that one caller wins")
        ),
        ("Loops/OfferIdentity.swift", ["add relaxed": 1], .counts("a number that is given out once")),
        ("Loops/Destination.swift", ["add relaxed": 1], .counts("a number that is given out once")),
        ("Load/LoadPlan.swift", ["load relaxed": 1, "store relaxed": 1], .counts("a wish to stop")),
    ]

    @Test func everyOrderInTheCodeIsInTheTable() throws {
        let folder = Repository.file("Sources/FastPath")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
        var found: [String: [String: Int]] = [:]
        while let file = files?.nextObject() as? URL {
            guard file.pathExtension == "swift" else { continue }
            let text = try String(contentsOf: file, encoding: .utf8)
            let orders = OrderTableTests.orders(in: text)
            if !orders.isEmpty { found[String(file.path.dropFirst(folder.path.count + 1))] = orders }
        }
        #expect(!found.isEmpty)
        for (file, orders, ground) in OrderTableTests.table {
            #expect(found[file] == orders, "\(file)")
            if case .models(let names) = ground {
                for name in names { #expect(HandOver.all.contains { $0.name == name }, "\(file): no model \(name)") }
            }
        }
        let known = Set(OrderTableTests.table.map(\.file))
        #expect(Set(found.keys).subtracting(known).isEmpty, "atomics that no row speaks of")
    }
    private static func orders(in text: String) -> [String: Int] {
        var counts: [String: Int] = [:]
        // Races that are planted (PlantedRace.swift) are no part of the code.
        let text = text.replacing(#/if isPlanted\([^)]*\) \{[^{}]*\}/#, with: "")
        // The call's name, whatever stands in its parentheses, and the order.
        let pattern =
            #/
            (?:\.|\s)(load|store|exchange|compareExchange|weakCompareExchange|add|subtract|wrappingAdd|wrappingSubtract
                |atomicMemoryFence)
            \s*\((?:[^()]|\([^()]*\))*?ordering:\s*\.(\w+)
            /#
        for match in text.matches(of: pattern) {
            let operation = match.1 == "atomicMemoryFence" ? "fence" : String(match.1)
            counts["\(operation) \(match.2)", default: 0] += 1
        }
        return counts
    }
}
