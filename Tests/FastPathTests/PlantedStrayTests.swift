// Accesses to memory that is not theirs, planted to prove that AddressSanitizer and LeakSanitizer find them:
// `make asan` names one in SLUICE_STRAY and expects its report. Only a build with SLUICE_PLANTED has them.
//
// Safety: none, on purpose. Without a name nothing strays.

#if SLUICE_PLANTED
import FastPath
import Foundation
import Testing

/// A line each: scripts/sanitize.sh reads their names.
private enum Stray: String {
    /// A view that is longer than its memory, read by code of FastPath.
    case behindTheBlock
    /// A view of memory that was given back.
    case givenBack
    /// What is given back was given back before.
    case givenBackTwice
    /// The C library copies more than there is.
    case copiedBehind
    /// A view of a variable of a function that has returned.
    case frameIsGone
    /// A view of a payload whose memory is the pool's again.
    case payloadIsFreed
    /// A view of a block that its arena has back.
    case blockIsGiven
    /// A view of an event that was dropped from its ring.
    case eventIsDropped
    /// Memory that nobody knows of any more.
    case forgotten
}

@Suite struct PlantedStrayTests {
    private let planted = Stray(rawValue: ProcessInfo.processInfo.environment["SLUICE_STRAY"] ?? "")

    @Test func aViewStraysFromItsMemory() {
        let byteCount = 24
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: byteCount)
        memory.initialize(repeating: 0x61, count: byteCount)
        if planted == .givenBack { memory.deallocate() }
        let isLong = planted == .behindTheBlock
        let view = ByteView(UnsafePointer(memory), count: isLong ? byteCount + 1 : byteCount)
        #expect(view.equals(isLong ? "aaaaaaaaaaaaaaaaaaaaaaaab" : "aaaaaaaaaaaaaaaaaaaaaaaa") != isLong)
        var target = [UInt8](repeating: 0, count: 64)
        target.withUnsafeMutableBytes {
            $0.baseAddress!.copyMemory(from: memory, byteCount: planted == .copiedBehind ? byteCount + 9 : byteCount)
        }
        #expect(target[byteCount - 1] == 0x61 && target[byteCount] == 0)
        if planted == .givenBackTwice { memory.deallocate() }
        if planted != .forgotten && planted != .givenBack { memory.deallocate() }
        if planted == .frameIsGone { #expect(Self.viewOfAFrame().equals("12345678")) }
    }

    @Test func aViewStraysFromItsPool() throws {
        let pool = PayloadPool(byteCount: 1 << 16)
        let lease = try #require(pool.allocate(100))
        _ = pool.write("12345678", to: lease, at: 0)
        let payload = pool.view(lease, start: 0, count: 8)
        if planted == .payloadIsFreed { pool.free(lease) }
        #expect(payload.equals("12345678"))
        if planted != .payloadIsFreed { pool.free(lease) }

        var arena = try BuddyArena(byteCount: 1 << 16, blockBytesMax: 1 << 14)
        let block = arena.take(bytes: 5000)
        arena.pointer(block).initialize(repeating: 0x61, count: 8)
        let blockView = ByteView(UnsafePointer(arena.pointer(block)), count: 8)
        if planted == .blockIsGiven { arena.give(block) }
        #expect(blockView.equals("aaaaaaaa"))
        if planted != .blockIsGiven { arena.give(block) }

        let ring = try EventRing(byteCount: 8192)
        var event = EventInput()
        event.body = ByteView("12345678")
        #expect(ring.push(event, ticket: 1, durability: .memory))
        let front = try #require(ring.front())
        if planted == .eventIsDropped { ring.dropFront(front) }
        #expect(front.event.body.equals("12345678"))
        if planted != .eventIsDropped { ring.dropFront(front) }
    }

    @inline(never) private static func viewOfAFrame() -> ByteView {
        var digits = (0x38_37_36_35_34_33_32_31 as UInt64)
        return withUnsafeBytes(of: &digits) { ByteView($0.bindMemory(to: UInt8.self)) }
    }
}
#endif
