// The document of the API: made once, and not sent again to whoever has it.
import Foundation
import NIOCore
import Server
import Synchronization
import Testing

@Suite struct KeptDocumentTests {
    @Test func itIsMadeOnceHoweverManyAsk() async throws {
        let count = Mutex(0)
        let document = KeptDocument {
            count.withLock { $0 += 1 }
            return "{}"
        }
        #expect(count.withLock { $0 } == 0, "a start does not wait for it")
        let answers = await withTaskGroup(of: ByteBuffer?.self) { group in
            for _ in 0..<32 { group.addTask { await document.answer(nil).bytes } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(answers == Array(repeating: ByteBuffer(string: "{}"), count: 32) && count.withLock { $0 } == 1)
    }
    @Test func whoShowsItsTagIsToldThatItIsTheSame() async throws {
        let document = KeptDocument { "{}" }
        let tag = await document.answer(nil).tag
        #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.count == 34)
        for known in [tag, "W/" + tag, "\"a\", " + tag + " ", "*"] {
            let answer = await document.answer(known)
            #expect(answer.bytes == nil && answer.tag == tag, "\(known)")
        }
        for known in ["", "\"a\"", String(tag.dropLast(2)) + "\"", String(tag.dropFirst().dropLast())] {
            #expect(await document.answer(known).bytes != nil, "\(known)")
        }
        #expect(await KeptDocument { "[]" }.answer(tag).bytes != nil, "another document")
    }
    @Test func theRouteSaysBoth() async throws {
        try await ControlServer.run { server in
            let path = "/api/v1/openapi.json"
            let whole = try await server.get(path)
            let tag = try #require(whole.field("ETag")).drop { $0 != "\"" }
            let again = try await server.get(path, ["If-None-Match: \(tag)"])
            #expect(whole.status == 200 && again.status == 304 && again.body.isEmpty)
            #expect(whole.body.contains("If-None-Match"))
        }
    }
}
