// `sluice load`: sends signed webhooks at a rate, and says how long the answers took and what became of each event.
import ArgumentParser
import Engine
import FastPath
import Foundation
import LoadGenerator
import UnixSignals

struct LoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Load a webhook endpoint: signed traffic at a rate, true latencies, a proof of what arrived.",
        discussion: """
            Open loop: requests leave when the schedule says so, whatever the server does, and latency counts from that
            moment; arrivals that find no free connection wait and count. --closed: each connection sends when its
            answer is there.

            EXAMPLES
              sluice load --url http://127.0.0.1:8080/in/github --provider github --secret S --rate 5000 --duration 30s
              sluice load --url http://127.0.0.1:8080 --mix perf/mixes/meetings.yaml --profile burst:5s,2s@5000
              sluice load --url http://127.0.0.1:8080/in/x --provider stripe --secret S --closed --connections 64
              sluice load --config sluice.yaml --source billing --rate 500

            Ctrl-C ends the run and still reports.
            Exit status: 0 done; 1 the target cannot be reached, refuses the secret, took a forgery, or an event is
            lost; 2 usage.
            """)

    @Option(
        help: """
            Where to: http://HOST[:PORT][/PATH], or unix:SOCKET[:/PATH]; with --config by default the source's own \
            address.
            """)
    var url: String?
    @OptionGroup var target: TargetOptions
    @Option(help: "Requests a second, constant.")
    var rate: Double?
    @Option(help: "How the rate changes: \(LoadProfileText.forms).")
    var profile: String?
    @Flag(help: "Closed loop: every connection sends as soon as it has its answer.")
    var closed = false
    @Option(help: "How many connections.")
    var connections = 64
    @Option(help: "How long to measure (default: 10s).", transform: TimeArgument.read)
    var duration = TimeArgument.seconds(10)
    @Option(help: "How long to send before measuring (default: 1s).", transform: TimeArgument.read)
    var warmup = TimeArgument.seconds(1)
    @Option(help: "How long an answer may take (default: 10s).", transform: TimeArgument.read)
    var timeout = TimeArgument.seconds(10)
    @Option(help: "Send at most this many requests.")
    var count: UInt64?
    @Option(help: "A mix of traffic: a YAML file.", completion: .file())
    var mix: String?
    @Option(help: "Without --mix: the provider's name in the catalogue.")
    var provider: String?
    @Option(help: "The provider's secret, or file:PATH. With --mix: NAME=SECRET for an entry; repeatable.")
    var secret: [String] = []
    @Option(help: "Without --mix: the event's type.")
    var type = "test"
    @Option(help: "Without --mix: the body's size, or a range such as 5KiB-50KiB.")
    var size = "512B"
    @Option(help: "Seed of everything random: the same seed sends the same traffic.")
    var seed: UInt64 = 1
    @Option(help: "A sink's ledger (`sluice sink --ledger`) to prove from what arrived.", completion: .file())
    var ledger: String?
    @Option(help: "A gateway's data folder: its log proves what was kept.", completion: .directory)
    var log: String?
    @Option(
        help: "How long to wait for the last deliveries before the proof (default: 10s).",
        transform: TimeArgument.read)
    var settle = TimeArgument.seconds(10)
    @Option(help: "Write the latencies as HdrHistogram's percentile text.", completion: .file())
    var hdr: String?
    @Option(help: "Write a report with plots that needs no network.", completion: .file())
    var html: String?
    @Flag(name: .customLong("i-own-this-target"), help: "Load a target that is neither loopback nor private.")
    var isOwned = false
    @Flag(help: "Print the summary as JSON.")
    var json = false

    func validate() throws {
        if closed, rate != nil || profile != nil { throw ValidationError("--closed has no --rate and no --profile") }
        if rate != nil, profile != nil { throw ValidationError("--rate and --profile exclude each other") }
        if let rate, !(rate > 0 && rate <= 10_000_000) { throw ValidationError("--rate takes a number above 0") }
        if let profile, LoadProfileText.parse(profile) == nil {
            throw ValidationError("--profile `\(profile)` is none of: \(LoadProfileText.forms)")
        }
        guard (1...65_536).contains(connections) else { throw ValidationError("--connections takes 1 to 65536") }
        guard duration.millis > 0 else { throw ValidationError("--duration must be more than 0") }
        guard timeout.millis > 0 else { throw ValidationError("--timeout must be more than 0") }
        if let count, count == 0 { throw ValidationError("--count takes a number from 1") }
        if ledger != nil, log != nil { throw ValidationError("--ledger and --log exclude each other") }
        guard [mix, provider, target.source].count(where: { $0 != nil }) == 1 else {
            throw ValidationError("give one of --mix FILE, --provider NAME, or --config FILE with --source NAME")
        }
        if target.source != nil, !secret.isEmpty {
            throw ValidationError("the secrets are those of --source; leave out --secret")
        }
        if target.source == nil, url == nil { throw ValidationError("give --url, or --config FILE and --source NAME") }
        if LoadMixFile.sizes(size, spread: "uniform") == nil {
            throw ValidationError("--size takes a size or a range such as 5KiB-50KiB, 8 MiB at most")
        }
    }

    func run() async throws {
        ProcessLimits.ignoreBrokenPipe()
        _ = ProcessLimits.raiseFiles()
        let configured = try target.configured()
        let url = try configured?.address(self.url) ?? self.url ?? ""
        let destination: LoadDestination
        do { destination = try LoadDestination(url, isOwned: isOwned) } catch { throw ValidationError("\(error)") }
        let entries = try traffic(configured?.source)
        let run = LoadRun(try plan(entries, destination), target: url)
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let watch = Task { for await _ in signals { run.stop() } }
        let isShown = Output.isTerminal
        let date = TimeText.of(nanoseconds: ProcessResources.wallNanos)
        let cpuBefore = LoadProcess.cpuNanos
        let result: (report: LoadReport, failure: LoadFailure?)
        do { result = try await run.run { if isShown { Output.note($0) } } } catch {
            watch.cancel()
            Output.failure("\(error)")
            throw ExitStatus.fault
        }
        var summary = self.summary(of: result.report, entries, cpuNanos: LoadProcess.cpuNanos - cpuBefore)
        summary.target = url
        summary.date = date
        summary.command = LoadCommandLine.shown(CommandLine.arguments)
        summary.machine = GateMachineProbe.shape
        summary.failure = result.failure.map { "\($0)" }
        summary.proof = try await proof(run, result.report)
        watch.cancel()
        try write(summary, result.report)
        if let failure = result.failure { Output.failure("\(failure)") }
        let isLost = (summary.proof.map { $0.lost > 0 || $0.forgeriesDelivered > 0 }) ?? false
        if result.failure != nil || isLost || summary.wronglyAccepted > 0 { throw ExitStatus.no }
    }
}

extension LoadCommand {
    private var runNumber: UInt32 { LoadRunNumber.number }

    private func traffic(_ source: SourceConfiguration?) throws -> [LoadTrafficEntry] {
        let lines = try target.fields().map { "\($0.name): \($0.value)" }
        return try plainTraffic(source).map { entry in
            var entry = entry
            entry.headerLines = lines
            return entry
        }
    }
    private func plainTraffic(_ source: SourceConfiguration?) throws -> [LoadTrafficEntry] {
        if let source {
            var entry = LoadTrafficEntry()
            entry.name = source.name
            entry.provider = source.provider
            entry.source = source
            entry.type = type
            let now = UInt64(Date().timeIntervalSince1970)
            entry.secrets = source.secrets.filter { $0.isUsable(at: now) }.map(\.value)
            guard source.unverified || !entry.secrets.isEmpty else {
                throw ValidationError("--source \(source.name): none of its secrets is in force now")
            }
            entry.sizes = LoadMixFile.sizes(size, spread: "uniform") ?? .fixed(512)
            return [entry]
        }
        guard let mix else {
            var entry = LoadTrafficEntry()
            entry.provider = provider ?? ""
            entry.name = entry.provider
            entry.type = type
            entry.secrets = try secret.map { try SecretText.resolve($0) }
            entry.sizes = LoadMixFile.sizes(size, spread: "uniform") ?? .fixed(512)
            return [entry]
        }
        var entries: [LoadTrafficEntry]
        do {
            let name = URL(fileURLWithPath: mix).lastPathComponent
            entries = try LoadMixFile(text: String(decoding: InputFile.read(mix), as: UTF8.self), name: name).entries
        } catch let problem as LoadMixProblem { throw ValidationError("--mix: \(problem)") }
        for text in secret {
            let parts = text.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, let index = entries.firstIndex(where: { $0.name == parts[0] }) else {
                throw ValidationError("--secret: with --mix it is NAME=SECRET, NAME one of the mix's entries")
            }
            entries[index].secrets = [try SecretText.resolve(parts[1])]
        }
        return entries
    }

    private var wantedProfile: LoadProfile? {
        if closed { return nil }
        return profile.flatMap(LoadProfileText.parse) ?? .constant(rate ?? 100)
    }
    private func plan(_ entries: [LoadTrafficEntry], _ destination: LoadDestination) throws -> LoadPlan {
        var definitions: [LoadEntryDefinition] = []
        for (index, entry) in entries.enumerated() {
            do {
                let own = seed &+ UInt64(index) &* 7919
                definitions.append(try LoadTraffic.definition(of: entry, target: destination.target, seed: own))
            } catch { throw ValidationError("\(error)") }
        }
        var plan = LoadPlan(address: destination.address, entries: LoadEntries(definitions))
        let (warmupSeconds, seconds) = (Double(warmup.millis) / 1000, Double(duration.millis) / 1000)
        if let profile = wantedProfile {
            let pieces = profile.pieces(warmupSeconds: warmupSeconds, seconds: seconds)
            guard pieces.count <= LoadProfile.pieceCountMax else {
                throw ValidationError("--profile: its period is too short for so long a run")
            }
            plan.schedule = LoadSchedule(pieces)
        }
        plan.connectionCount = connections
        plan.nanos = UInt64(warmup.millis + duration.millis) * 1_000_000
        plan.warmupNanos = UInt64(warmup.millis) * 1_000_000
        plan.timeoutNanos = UInt64(timeout.millis) * 1_000_000
        plan.drainNanos = plan.timeoutNanos
        plan.intervalNanos = max(min(1_000_000_000, plan.nanos / 10), plan.nanos / 4000)
        plan.requestCountMax = count ?? .max
        plan.seed = seed
        plan.run = runNumber
        if ledger != nil || log != nil {
            let wanted = min(plan.schedule?.arrivalCount ?? 1 << 26, plan.requestCountMax)
            guard wanted <= 1 << 28 else {
                throw ValidationError("a proof is for 268435456 events at most; shorten the run")
            }
            do { plan.ledger = try LoadLedger(capacity: Int(wanted)) } catch {
                throw ValidationError("no memory for the proof of \(wanted) events")
            }
        }
        return plan
    }

    private func summary(of report: LoadReport, _ entries: [LoadTrafficEntry], cpuNanos: UInt64) -> LoadSummary {
        var summary = LoadSummary()
        summary.loop = closed ? "closed" : "open"
        summary.profile = closed ? "closed" : profile ?? "constant:\(String(format: "%g", rate ?? 100))"
        summary.mix = mix ?? provider ?? target.source ?? ""
        summary.connections = connections
        summary.durationSeconds = Double(duration.millis) / 1000
        summary.warmupSeconds = Double(warmup.millis) / 1000
        LoadFigures.fill(&summary, from: report, entries: entries.map(\.name))
        summary.generator.cpuSeconds = Double(cpuNanos) / 1e9
        summary.generator.memoryBytes = LoadProcess.residentBytes
        let all = report.intervals.reduce(0) { $0 + $1.sent }
        if all > 0 { summary.generator.cpuMicrosARequest = Double(cpuNanos) / 1000 / Double(all) }
        return summary
    }
    /// Looks again while something is missing, until the time to settle is over.
    private func proof(_ run: LoadRun, _ report: LoadReport) async throws -> LoadProof? {
        guard let evidence = ledger.map(LoadEvidence.ledger) ?? log.map(LoadEvidence.log), let book = run.ledger
        else {
            return nil
        }
        let until = Date(timeIntervalSinceNow: Double(settle.millis) / 1000)
        while true {
            let proof: LoadProof
            do { proof = try evidence.prove(book, run: runNumber, eventCount: report.eventCount) } catch {
                throw ValidationError("\(error)")
            }
            if proof.lost == 0 || Date() >= until { return proof }
            try? await Task.sleep(for: .milliseconds(250))
        }
    }
    private func write(_ summary: LoadSummary, _ report: LoadReport) throws {
        let histogram = LoadHistogram(report.latency)
        func write(_ text: String, to path: String, _ option: String) throws {
            do { try Data(text.utf8).write(to: URL(fileURLWithPath: path)) } catch {
                throw ValidationError("\(option): cannot write `\(path)`: \(ConfigurationReading.reason(of: error))")
            }
        }
        if json { Output.json(summary) } else { Output.line(LoadText.of(summary)) }
        if let hdr { try write(histogram.percentileText, to: hdr, "--hdr") }
        if let html {
            let shares = (0...100).map { 1 - pow(10, -5 * Double($0) / 100) }
            try write(LoadPage.of(summary, curve: histogram.curve(shares)), to: html, "--html")
        }
    }
}

/// One number a process, so that the events of two runs are never taken for each other's.
private enum LoadRunNumber {
    static let number = UInt32.random(in: 1 ... .max)
}
