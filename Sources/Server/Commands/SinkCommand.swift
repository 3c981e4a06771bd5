// `sluice sink`: an endpoint to deliver to. Verifies, counts, finds losses, duplicates and disorder.
import ArgumentParser
import Engine
import FastPath
import Foundation
import NIOCore
import Synchronization
import UnixSignals

struct SinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink",
        abstract: "An endpoint to deliver to: verifies, counts, finds losses, duplicates and disorder.",
        discussion: """
            Runs until SIGINT or SIGTERM and then says what it saw. Sluice's event ids carry their sequence: `missing`
            is the number of sequences between the first and the last that did not come; it means a loss only where the
            endpoint wants every event and none is still under way.

            EXAMPLE
              sluice sink --listen 127.0.0.1:9000 --secret whsec_… --fail 0.1 --ledger sink.log

            A ledger has one line a request: microseconds since 1970, the webhook-id, the status answered (0 = reset),
            and the event of `sluice load` where the body carries one.
            Exit status: 0; 1 if a signature did not verify, or (with --expect-all) if an event is missing; 2 usage.
            """)

    @Option(help: "Where to listen: HOST:PORT; port 0 takes a free one.")
    var listen = AddressArgument(argument: "127.0.0.1:9000")!
    @Option(help: "A Standard Webhooks secret, or file:PATH. Repeat it for several. Without one nothing is verified.")
    var secret: [String] = []
    @Option(help: "Share of requests to answer with 500, from 0 to 1.")
    var fail = 0.0
    @Option(help: "How long to wait before each answer: \(SinkDelay.forms).")
    var delay = "0s"
    @Option(
        help: "What to answer, in which share, such as 200:0.9,503:0.1; 410 alone says that the endpoint is gone.")
    var status: String?
    @Option(help: "Share of requests whose connection is reset instead of an answer, from 0 to 1.")
    var resets = 0.0
    @Option(help: "Seconds of Retry-After with each 429 and 503.")
    var retryAfter: Int?
    @Option(help: "Once, nothing is answered: LENGTH@TIME after the first request, such as 1s@5s.")
    var stall: String?
    @Option(help: "Up and down in turns: UP,DOWN such as 10s,2s. While down connections are reset.")
    var flap: String?
    @Option(help: "Read slowly: bytes per second on each connection, such as 10KiB.")
    var slowRead: String?
    @Option(help: "A file that gets a line for each request.", completion: .file())
    var ledger: String?
    @Flag(help: "A missing event is a loss: exit 1.")
    var expectAll = false
    @Flag(help: "Print what was seen as JSON.")
    var json = false

    func validate() throws {
        guard (0.0...1.0).contains(fail) else {
            throw ValidationError("--fail takes a share from 0 to 1, such as 0.1")
        }
        guard (0.0...1.0).contains(resets) else { throw ValidationError("--resets takes a share from 0 to 1") }
        if let retryAfter, retryAfter < 0 { throw ValidationError("--retry-after takes seconds from 0") }
        _ = try behaviour()
    }

    private func behaviour() throws -> SinkBehaviour {
        var behaviour = SinkBehaviour()
        guard let wanted = SinkDelay(delay) else { throw ValidationError("--delay takes \(SinkDelay.forms)") }
        behaviour.delay = wanted
        if let status {
            guard let statuses = SinkStatuses(status) else {
                throw ValidationError("--status takes statuses from 200 to 599 with shares, such as 200:0.9,503:0.1")
            }
            behaviour.statuses = statuses
        }
        behaviour.resetShare = resets
        behaviour.retryAfterSeconds = retryAfter
        if let stall {
            guard let value = SinkStall(stall) else {
                throw ValidationError("--stall takes LENGTH@TIME such as 1s@5s")
            }
            behaviour.stall = value
        }
        if let flap {
            guard let value = SinkFlapping(flap) else { throw ValidationError("--flap takes UP,DOWN such as 10s,2s") }
            behaviour.flapping = value
        }
        if let slowRead {
            guard let bytes = ByteSize.parse(slowRead), bytes > 0 else {
                throw ValidationError("--slow-read takes bytes a second such as 10KiB")
            }
            behaviour.readBytesPerSecond = bytes
        }
        return behaviour
    }

    private struct Summary: Encodable {
        let received: Int
        let distinct: Int
        let duplicates: Int
        let disordered: Int
        let missing: Int
        let rejected: Int
        let refused: Int
        let unidentified: Int
        init(_ tally: SinkTally) {
            received = tally.received
            distinct = tally.distinct
            duplicates = tally.duplicates
            disordered = tally.disordered
            missing = tally.missing
            rejected = tally.rejected
            refused = tally.refused
            unidentified = tally.unidentified
        }
    }

    func run() async throws {
        ProcessLimits.ignoreBrokenPipe()
        _ = ProcessLimits.raiseFiles()
        var plan = SinkPlan()
        plan.secrets = try secret.map { try SecretText.resolve($0) }
        plan.failShare = fail
        plan.behaviour = try behaviour()
        plan.ledger = ledger
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint)
        let server = try await start(plan)
        let place = AddressText.text(host: listen.host, port: server.port)
        Output.note(
            "sluice sink listens on http://\(place)" + (secret.isEmpty ? ", verifying nothing" : ""))
        let progress = Task { try await show(server) }
        for await _ in signals { break }
        progress.cancel()
        let tally = try await server.tally()
        try await server.stop()
        if json {
            Output.json(Summary(tally))
        } else {
            Output.line(SinkCommand.words(tally))
        }
        if tally.rejected > 0 || expectAll && tally.missing > 0 { throw ExitStatus.no }
    }

    private func start(_ plan: SinkPlan) async throws -> SinkServer {
        do {
            return try await SinkServer(host: listen.host, port: listen.port, plan: plan)
        } catch let error as SourceError {
            throw ValidationError("--secret: \(error.problem.message)")
        } catch let error as IOError {
            let words = StartChecks.bindError(
                address: "\(listen)", key: "--listen", number: error.errnoCode, text: "\(error)")
            throw ValidationError(words.description)
        } catch let error as CocoaError {
            throw ValidationError("--ledger: cannot write `\(ledger ?? "")`: \(error.localizedDescription)")
        }
    }

    private static func words(_ tally: SinkTally) -> String {
        "\(tally.received) received: \(tally.distinct) events, \(tally.duplicates) duplicates, "
            + "\(tally.disordered) out of order, "
            + "\(tally.missing) missing; \(tally.rejected) with a bad signature, "
            + "\(tally.refused) answered with an error on purpose"
            + (tally.unidentified > 0 ? "; \(tally.unidentified) say nowhere which event they are" : "")
    }

    /// A line a second on a terminal, nothing in a pipe.
    private func show(_ server: SinkServer) async throws {
        guard Output.isTerminal else { return }
        var before = 0
        while !Task.isCancelled {
            try await Task.sleep(for: .seconds(1))
            let tally = try await server.tally()
            guard tally.received != before else { continue }
            Output.note("\(SinkCommand.words(tally)); \(tally.received - before)/s")
            before = tally.received
        }
    }
}
