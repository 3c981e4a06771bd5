// A client with one request on the way for each connection, answers read whole.
import FastPath

/// What the answers of one run were.
struct ProbeTally {
    var accepted = 0
    var rejected = 0
    var limited = 0
    var other = 0
}

final class ProbeClient {
    private let port: UInt16
    /// Nil: no TLS.
    private let context: TLSContext?
    private var connections: [ProbeConnection] = []

    init(port: UInt16, context: TLSContext?, connectionCount: Int) throws {
        self.port = port
        self.context = context
        connections = try (0..<connectionCount).map { _ in try ProbeConnection(port: port, context: context) }
    }

    /// `count` requests; those of one round are on the way together.
    func run(_ kind: ProbeRequests.Kind, from first: Int, count: Int) throws -> ProbeTally {
        var tally = ProbeTally()
        var serial = first
        while serial < first + count {
            let round = min(connections.count, first + count - serial)
            for place in 0..<round {
                if kind == .newConnections {
                    connections[place] = try ProbeConnection(port: port, context: context)
                }
                for part in ProbeRequests.make(kind, serial: serial + place) { try connections[place].send(part) }
            }
            for place in 0..<round {
                for _ in 0..<kind.answerCount { note(try connections[place].answer(), &tally) }
            }
            serial += round
        }
        return tally
    }
    private func note(_ status: Int, _ tally: inout ProbeTally) {
        switch status {
        case 200...299: tally.accepted += 1
        case 401: tally.rejected += 1
        case 429: tally.limited += 1
        default: tally.other += 1
        }
    }
}
