// `sluice doctor`: what this kernel, processor and disk can do, measured; each finding ok, warn or fail, with how to
// mend it.
import ArgumentParser
import Engine
import FastPath
import Foundation

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Measure what this machine can do for the gateway.",
        discussion: """
            EXAMPLE
              sluice doctor --data ./sluice-data

            Exit status: 0 the gateway can run here, 1 something stands against it.
            """)

    @Option(
        help: "The data folder, or where it will be; its disk is measured with a small file.", completion: .directory)
    var data = "./sluice-data"
    @Option(
        help: "A configuration file; the certificates that it names are looked at.",
        completion: .file(extensions: ["yaml", "yml"]))
    var config: String?
    @Option(help: "Connections the gateway is to hold.")
    var connections = GatewayConfiguration().limits.connectionCountMax
    @Flag(help: "Print JSON.")
    var json = false

    private struct Report: Encodable {
        let version: String
        let ok: Bool
        let findings: [Finding]
    }

    func run() throws {
        let findings =
            [
                MachineProbe.kernel(), MachineProbe.ring(), MachineProbe.lockedMemory(),
                MachineProbe.files(connections: connections),
                MachineProbe.processors(),
            ] + MachineProbe.verifiers() + MachineProbe.disk(data: data) + CertificateProbe.findings(config: config)
        let isGood = !findings.contains { $0.verdict == .fail }
        if json {
            Output.json(Report(version: Gateway.version, ok: isGood, findings: findings))
        } else {
            for finding in findings {
                let name = finding.what.padding(toLength: 18, withPad: " ", startingAt: 0)
                Output.line(
                    finding.verdict.rawValue.padding(toLength: 6, withPad: " ", startingAt: 0) + name + finding.found
                )
                if let mend = finding.mend { Output.line("      \(mend)") }
            }
        }
        if !isGood { throw ExitStatus.no }
    }
}
