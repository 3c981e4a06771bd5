// Ids that lead to what they name: there and back, in the order of what they name.
import Engine
import FastPath
import Testing

@Suite struct MessageIDTests {
    @Test func aMessagesIDLeadsToItsEvent() {
        for (identity, sequence) in [(UInt64(0xFF_FFFF_FFFF), UInt64.max), (0, 1), (0x12_3456_789A, 0x1_0000_0001)] {
            let event = EventID(logIdentity: identity, sequence: sequence)
            let text = MessageID(event).text
            #expect(text.hasPrefix("msg_") && text.utf8.count == MessageID.byteCount && text.utf8.count == 31)
            #expect(MessageID(text)?.event == event)
        }
    }
    /// The ingest loop writes one without an array.
    @Test func aLoopSpellsItAlike() {
        let sequences: [UInt64] = [1, 61, 62, 1 << 31, 1 << 32, 0x0123_4567_89AB_CDEF, .max - 1, .max]
        let identities: [UInt64] = [0, 0xAB_CDEF_0123, .max]
        for identity in identities {
            for sequence in sequences {
                let event = EventID(logIdentity: identity, sequence: sequence)
                var bytes = [UInt8](repeating: 0, count: EventID.messageByteCount)
                bytes.withUnsafeMutableBufferPointer { unsafe event.writeMessage(to: $0.baseAddress!) }
                #expect(String(decoding: bytes, as: UTF8.self) == MessageID(event).text)
            }
        }
    }
    @Test func messagesSortAsTheyCame() {
        let texts = [1, 2, 61, 62, 63, 1 << 31, 1 << 32, UInt64.max - 1, .max].map {
            MessageID(EventID(logIdentity: 7, sequence: $0)).text
        }
        #expect(texts == texts.sorted() && Set(texts).count == texts.count)
    }
    @Test func whatNamesNothingIsNoID() {
        let sound = MessageID(EventID(logIdentity: 7, sequence: 9)).text
        for text in [
            "", "msg_", "evt_" + sound.dropFirst(4), sound + "0", String(sound.dropLast()),
            sound.replacing("0", with: "-"),
            "msg_" + String(repeating: "z", count: 27), String(sound.dropLast()) + (sound.last == "1" ? "2" : "1"),
        ] { #expect(MessageID(text) == nil, "\(text)") }
    }
    @Test func anAttemptsIDSaysOfWhatAndSortsByItsEnd() {
        let last = AttemptID(
            endedMillis: 0xFFFF_FFFF_FFFF, sequence: .max, endpoint: EndpointID(.max), number: .max)
        let ids = [
            AttemptID(endedMillis: 1, sequence: .max, endpoint: EndpointID(3), number: 2),
            AttemptID(endedMillis: 1_800_000_000_000, sequence: 5, endpoint: EndpointID(0x1234_5678), number: 1),
            AttemptID(endedMillis: 1_800_000_000_000, sequence: 6, endpoint: EndpointID(1), number: 1),
            AttemptID(endedMillis: 1_800_000_000_001, sequence: 1, endpoint: EndpointID(1), number: 9), last,
        ]
        for id in ids { #expect(AttemptID(id.text) == id) }
        #expect(ids.map(\.text) == ids.map(\.text).sorted())
        #expect(
            AttemptID("atmpt_nothing") == nil && AttemptID(MessageID(EventID(logIdentity: 1, sequence: 1)).text) == nil)
    }
}
