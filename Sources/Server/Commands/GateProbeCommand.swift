// `sluice gate probe`: the yardstick as a server, the least that one thread on io_uring can do for a webhook.
import ArgumentParser
import FastPath
import Foundation

extension GateCommand {
    struct Probe: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Serve the yardstick: one HMAC, append, fdatasync, answer; and nothing else.",
            discussion: """
                It checks nothing and keeps nothing that anybody could read: only for measuring beside it. Runs until it
                is ended.

                EXAMPLE
                  sluice gate probe --listen 127.0.0.1:9100 --work durable --data .
                """)
        @Option(help: "Where to listen: HOST:PORT; port 0 takes a free one.")
        var listen = "127.0.0.1:9100"
        @Option(help: "answer, hmac (and one HMAC-SHA256 of the body) or durable (and kept before the answer).")
        var work = LimitProbeWork.durable
        @Option(help: "A folder on the disk to measure; the file used there is unnamed.", completion: .directory)
        var data = "."

        func run() throws {
            ProcessLimits.ignoreBrokenPipe()
            _ = ProcessLimits.raiseFiles()
            let why: String
            do {
                why = try LimitProbe.serve(listen: listen, work: work, folder: data) { address in
                    Output.note("sluice gate probe (\(work.rawValue)) listens on http://\(address)")
                }
            } catch {
                Output.failure("--listen \(listen): \(error.reason)")
                throw ExitStatus.usage
            }
            Output.failure("the probe cannot go on: \(why)")
            throw ExitStatus.fault
        }
    }
}
