// Streams of the gateway that only remembers what it was asked: they say where they are, and end.
import NIOCore
import Server
import Synchronization

extension FakeGateway: EventStreaming {
    func open(_ order: StreamOrder, _ caller: Caller) throws -> StreamPlace {
        let kinds = order.kinds.map(\.rawValue).sorted().joined(separator: "+")
        let words = [order.source, order.endpoint, order.after].map { $0 ?? "-" }
        try note("stream \(kinds) \(order.types) \(words.joined(separator: " ")) \(order.token)", caller)
        let reader = StreamReader()
        reader.end(ByteBuffer(bytes: StreamFrames.opening(7)))
        return StreamPlace(reader)
    }
}
