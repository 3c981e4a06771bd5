// The other end of a loop's connections in a simulated world: reads requests that say their length, answers each with
// the same text, so many bytes a step.

/// What an endpoint does with one request.
package struct EndpointAnswer: Sendable {
    package enum End: Sendable { case open, closed, reset }
    package var text: String
    package var end: End

    package init(text: String, end: End = .open) {
        self.text = text
        self.end = end
    }
}

package final class SimulatedEndpoint {
    private let world: SimulatedWorld
    private let answer: EndpointAnswer
    private let pieceBytes: Int
    private var waiting: [(socket: SimulatedSocket, bytes: [UInt8], end: EndpointAnswer.End)] = []
    /// It neither reads nor answers now.
    package var isStalled = false
    package private(set) var requests: [String] = []

    package init(_ world: SimulatedWorld, _ answer: EndpointAnswer, pieceBytes: Int) {
        self.world = world
        self.answer = answer
        self.pieceBytes = pieceBytes
    }
    package func step() {
        guard !isStalled else { return }
        for socket in world.connected where !socket.isReset && !socket.isClosed {
            while let request = takeRequest(socket) {
                requests.append(request)
                waiting.append((socket, Array(answer.text.utf8), answer.end))
            }
        }
        for index in waiting.indices {
            let piece = waiting[index].bytes.prefix(pieceBytes)
            waiting[index].bytes.removeFirst(piece.count)
            waiting[index].socket.inbound += piece
        }
        for (socket, bytes, end) in waiting where bytes.isEmpty && socket.inbound.isEmpty {
            switch end {
            case .open: break
            case .closed: socket.isDone = true
            case .reset: socket.isReset = true
            }
        }
        waiting.removeAll { $0.socket.isClosed || $0.bytes.isEmpty && $0.socket.inbound.isEmpty }
    }
    private func takeRequest(_ socket: SimulatedSocket) -> String? {
        let text = socket.text
        guard let end = text.firstRange(of: "\r\n\r\n"), let name = text.firstRange(of: "Content-Length: "),
            let count = Int(text[name.upperBound...].prefix { $0.isNumber }),
            text[end.upperBound...].utf8.count >= count
        else { return nil }
        let whole = text[..<end.upperBound].utf8.count + count
        let request = String(decoding: socket.outbound.prefix(whole), as: UTF8.self)
        socket.outbound.removeFirst(whole)
        return request
    }
}
