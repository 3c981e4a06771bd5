// Events of the API in the log of a whole gateway: many at once, each with its fate, under the dedup law, and none lost
// or left waiting at the end.

import Engine
import FastPath
import Foundation
import Logging
import Synchronization
import Testing

@Suite struct PublishingTests {
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func withGateway(_ loopCount: Int, _ body: (Gateway, String) async throws -> Void) async throws {
        let path = NSTemporaryDirectory() + "sluice-publish-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        var configuration = GatewayConfiguration()
        configuration.dataFolder = path
        configuration.listen = ["127.0.0.1:0"]
        configuration.loops = .fixed(loopCount)
        configuration.log.segmentBytes = 4 << 20
        configuration.log.groupBytes = 512 << 10
        configuration.log.freeBytesMin = 0
        configuration.dedupEntryCount = 4096
        configuration.limits.connectionCountMax = 64
        configuration.limits.bodyBytesMax = 64 << 10
        configuration.limits.assemblyBytes = 1 << 20
        configuration.deliveryBufferBytes = 1 << 20
        let gateway = Gateway(configuration, logger: logger)
        try gateway.start()
        do { try await body(gateway, path) } catch {
            _ = gateway.drain(withinMillis: 2000)
            throw error
        }
        #expect(gateway.drain(withinMillis: 2000))
    }
    private func event(_ number: Int, id: String? = nil, tenant: TenantID = .main) -> InjectedEvent {
        var event = PublishedEvent(tenant: tenant, type: "order.paid", body: Array("{\"n\":\(number)}".utf8))
        event.eventID = id
        return event.injected(windowSeconds: 3600)
    }
    private func kept(_ fate: InjectionFate?) -> EventID? { if case .kept(let id)? = fate { id } else { nil } }

    @Test(arguments: [1, 2]) func manyAtOnceAreKeptOnceEach(loopCount: Int) async throws {
        try await withGateway(loopCount) { gateway, _ in
            let access = try #require(gateway.access)
            let ids = await withTaskGroup(of: EventID?.self) { group in
                for number in 0..<1000 {
                    group.addTask { kept(await access.publisher.offer(event(number))) }
                }
                return await group.reduce(into: [EventID?]()) { $0.append($1) }
            }
            let sequences = Set(ids.compactMap { $0?.sequence })
            #expect(sequences.count == 1000 && access.publisher.outstandingCount == 0)
            var bodies: Set<String> = []
            for sequence in sequences {
                var reader = access.makeReader(from: sequence)
                guard case .record(let record, _) = reader.read(sequence, through: access.tail.snapshot) else {
                    Issue.record("no record \(sequence)")
                    continue
                }
                #expect(record.source.text == PublishSource.name && record.sourceNumber == .max)
                #expect(record.eventType.text == "order.paid" && record.fieldLines.text.hasPrefix("Content-Type: "))
                bodies.insert(record.body.text)
            }
            #expect(bodies == Set((0..<1000).map { "{\"n\":\($0)}" }))
        }
    }
    @Test(arguments: [1, 2]) func theSameIDIsOneEventOfItsTenant(loopCount: Int) async throws {
        try await withGateway(loopCount) { gateway, _ in
            let publisher = try #require(gateway.access).publisher
            let first = try #require(kept(await publisher.offer(event(1, id: "a"))))
            #expect(await publisher.offer(event(2, id: "a")) == .duplicate(first))
            #expect(kept(await publisher.offer(event(2, id: "a", tenant: TenantID(2)))) != nil)
            #expect(kept(await publisher.offer(event(1))) != nil, "without an id nothing is a duplicate")
            // All at once too: one is kept, and the others are duplicates of it.
            let fates = await withTaskGroup(of: InjectionFate?.self) { group in
                for number in 0..<50 { group.addTask { await publisher.offer(event(number, id: "b")) } }
                return await group.reduce(into: [InjectionFate?]()) { $0.append($1) }
            }
            let winners = fates.compactMap { kept($0) }
            #expect(winners.count == 1 && fates.count { $0 == winners.first.map { .duplicate($0) } } == 49)
        }
    }
    @Test(arguments: [1, 2]) func whatIsTooLargeIsSaidToBe(loopCount: Int) async throws {
        try await withGateway(loopCount) { gateway, _ in
            let publisher = try #require(gateway.access).publisher
            var large = event(1)
            large.body = [UInt8](repeating: 0x20, count: 600 << 10)
            #expect(await publisher.offer(large) == .tooLarge)
            #expect(publisher.bodyBytesMax == 64 << 10)
        }
    }
    @Test(arguments: [1, 2]) func anEndLeavesNobodyWaiting(loopCount: Int) async throws {
        try await withGateway(loopCount) { gateway, path in
            let publisher = try #require(gateway.access).publisher
            let fates = Task {
                await withTaskGroup(of: InjectionFate?.self) { group in
                    for number in 0..<500 { group.addTask { await publisher.offer(event(number)) } }
                    return await group.reduce(into: [InjectionFate?]()) { $0.append($1) }
                }
            }
            #expect(publisher.drain(withinMillis: 5000))
            let known = await fates.value
            #expect(known.count == 500 && known.allSatisfy { $0 == .closed || kept($0) != nil })
            #expect(await publisher.offer(event(1)) == .closed)
        }
    }

    // MARK: The record

    @Test func whatIsSaidOfAnEventIsInItsFieldLines() {
        var event = PublishedEvent(tenant: TenantID(7), type: "t", body: [])
        event.contentType = "text/plain"
        (event.channels, event.tags, event.eventID) = (["eu", "b.2"], ["vip"], "id-1")
        event.repetition = .init(caller: "key_1", key: "k")
        event.group = "cust:7"
        event.traceLines = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
        (event.deliverAtMillis, event.retentionHours) = (1_800_000_060_123, 24)
        let record = event.injected(windowSeconds: 60)
        #expect(record.dedupKey == Array("id-1".utf8) && record.dedupWindowSeconds == 60)
        #expect(record.tenant == RecordFormat.tenantBytes(of: 7))
        record.fieldLines.withUnsafeBufferPointer {
            let lines = ByteView($0)
            #expect(PublishedFields.channelList(in: lines) == ["eu", "b.2"])
            #expect(PublishedFields.tagList(in: lines) == ["vip"])
            #expect(PublishedFields.group(in: lines).text == "cust:7")
            #expect(TraceContext(lines: lines)?.parent == 0xB7AD_6B71_6920_3331)
            #expect(PublishedFields.eventID(in: lines) == "id-1")
            #expect(PublishedFields.idempotencyKey(in: lines) == "key_1 k")
            #expect(PublishedFields.deliverAtMillis(in: lines) == 1_800_000_060_123)
            #expect(PublishedFields.contentEnd(in: lines, receivedAt: 5) == 86_400_000_000_005)
            #expect(PublishedFields.contentEnd(in: lines, receivedAt: .max - 1) == nil, "beyond all time")
            #expect(lines.text.hasSuffix("Content-Type: text/plain\r\n"))
        }
        event.eventID = nil
        #expect(event.dedupKey == "idempotency-key key_1 k")
        event.repetition = nil
        let plain = event.injected(windowSeconds: 60)
        #expect(plain.dedupKey.isEmpty && plain.dedupWindowSeconds == 0)
        (event.deliverAtMillis, event.retentionHours, event.channels) = (nil, nil, [])
        event.injected(windowSeconds: 60).fieldLines.withUnsafeBufferPointer {
            #expect(PublishedFields.deliverAtMillis(in: ByteView($0)) == nil)
            #expect(PublishedFields.contentEnd(in: ByteView($0), receivedAt: 5) == nil)
            #expect(PublishedFields.deliverAtMillis(in: .empty) == nil)
        }
        #expect(!PublishRules.isID(event.dedupKey ?? "a b"))
    }
    @Test func noOperatorsSourceHasTheName() { #expect(!PublishSource.all.contains(where: NameRules.isName)) }
    @Test func aProvidersFieldsAreNoChannels() {
        let lines = Array("Sluice-Channels: eu\r\n".utf8)
        lines.withUnsafeBufferPointer {
            #expect(PublishedFields.share(["a", "eu"], PublishedFields.channels(in: ByteView($0))))
            #expect(!PublishedFields.share(["e", "u", "eu,"], PublishedFields.channels(in: ByteView($0))))
        }
    }
    @Test func aTimeToBeginWithHasBounds() {
        let (now, second): (UInt64, UInt64) = (1_800_000_000_000_000_000, 1_000_000_000)
        #expect([60, 61, 86_400].allSatisfy { PublishRules.isDelay(until: now + $0 * second, now: now) })
        #expect(![0, 1, 59, 86_401, 1_000_000].contains { PublishRules.isDelay(until: now + $0 * second, now: now) })
        #expect(!PublishRules.isDelay(until: now - 90 * second, now: now))
        // What may come again may come late, and not too soon.
        for time in [now - 90 * second, now, now + 59 * second, now + 86_400 * second] {
            #expect(PublishRules.isDelay(until: time, now: now, isRepeatable: true))
        }
        #expect(!PublishRules.isDelay(until: now + 86_401 * second, now: now, isRepeatable: true))
        #expect(!PublishRules.isDelay(until: now, now: now, isRepeatable: false))
    }
    @Test func contentIsGoneWhenItsTimeIsOver() throws {
        let folder = NSTemporaryDirectory() + "sluice-expunged-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let now = Mutex<UInt64>(0)
        let content = try ExpungedContent(folder: folder, before: 0) { now.withLock { $0 } }
        func isGone(_ source: SourceID, hours: Int?, after seconds: UInt64) -> Bool {
            var event = PublishedEvent(tenant: .main, type: "t", body: [])
            event.retentionHours = hours
            let arrival: UInt64 = 1_800_000_000_000_000_000
            now.withLock { $0 = arrival + seconds * 1_000_000_000 }
            return event.injected(windowSeconds: 0).fieldLines.withUnsafeBufferPointer {
                content.isGone(1, of: .main, source: source, receivedAt: arrival, fieldLines: ByteView($0))
            }
        }
        for source in [SourceID.messages, .publishing] {
            #expect(!isGone(source, hours: 2, after: 7199) && isGone(source, hours: 2, after: 7200))
            #expect(!isGone(source, hours: nil, after: 1 << 33))
        }
        #expect(!isGone(SourceID(3), hours: 2, after: 1 << 30), "a provider's field ends nothing")
        _ = try content.add(messagesOf: .main, through: 1)
        #expect(isGone(.messages, hours: nil, after: 0) && !isGone(.publishing, hours: nil, after: 0))
    }
    @Test func whatACrashLeftOfALineIsNoLine() throws {
        let folder = NSTemporaryDirectory() + "sluice-expunged-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("m 12\nm 3".utf8).write(to: URL(fileURLWithPath: folder + "/expunged"))
        let read = try ExpungedContent(folder: folder, before: 0)
        #expect(read.isExpunged(message: 12, of: .main) && !read.isExpunged(message: 3, of: .main))
        #expect(try read.add(messagesOf: TenantID(3), through: 345) == 0)
        #expect(try read.add(messagesOf: TenantID(4), through: 6) == 0)
        let again = try ExpungedContent(folder: folder, before: 12)
        #expect(again.isExpunged(message: 12, of: .main) && again.isExpunged(message: 345, of: TenantID(3)))
        #expect(![3, 6, 3345].contains { again.isExpunged(message: $0, of: .main) })
        #expect(!again.isExpunged(message: 6, of: TenantID(4)))
    }
    @Test func aFileThatGrewIsWrittenAnewWithWhatStillSaysSomething() throws {
        let folder = NSTemporaryDirectory() + "sluice-expunged-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/expunged"
        func text() throws -> String {
            String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
        }
        // While it runs: a tenant that has its messages expunged every hour.
        let content = try ExpungedContent(folder: folder, before: 0)
        for sequence in UInt64(1)...2000 {
            _ = try content.add(messagesOf: TenantID(7), through: sequence)
            try content.erased(messagesOf: TenantID(7), through: sequence)
        }
        #expect(try text().utf8.count < 16 << 10, "4,000 lines were written")
        for read in [content, try ExpungedContent(folder: folder, before: 0)] {
            #expect(read.isExpunged(message: 2000, of: TenantID(7)) && !read.isExpunged(message: 2001, of: TenantID(7)))
            #expect(read.erasedThrough(of: TenantID(7)) == 2000)
        }
        #expect(try text() == "t 7 2000\ne 7 2000\n", "a start leaves out what is said again")
        // What is erased since needs no line, and a start that finds it so writes none.
        try Data("m 12\nm 3\nm 15\n".utf8).write(to: URL(fileURLWithPath: path))
        let left = try ExpungedContent(folder: folder, before: 10)
        #expect(left.messagesLeft == [12, 15])
        #expect(try text() == "m 12\nm 15\n")
        left.erased(message: 12)
        #expect(left.messagesLeft == [15])
        _ = try ExpungedContent(folder: folder, before: 13)
        #expect(try text() == "m 15\n")
    }
    @Test func allMessagesOfATenantAreOneLine() throws {
        let folder = NSTemporaryDirectory() + "sluice-expunged-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try Data("t 7\nt x 9\nt 5 1 2\n".utf8).write(to: URL(fileURLWithPath: folder + "/expunged"))
        let content = try ExpungedContent(folder: folder, before: 0)
        let (own, other) = (TenantID(7), TenantID(8))
        #expect(!content.isExpunged(message: 1, of: own), "what is no line says nothing")
        #expect(try content.add(messagesOf: own, through: 100) == 0)
        #expect(try content.add(messagesOf: own, through: 250) == 100)
        #expect(try content.add(messagesOf: own, through: 30) == 250, "it never goes back")
        let size = try Data(contentsOf: URL(fileURLWithPath: folder + "/expunged")).count
        #expect(size < 64)
        for read in [content, try ExpungedContent(folder: folder, before: 200)] {
            #expect([1, 100, 250].allSatisfy { read.isExpunged(message: $0, of: own) })
            #expect(!read.isExpunged(message: 251, of: own) && !read.isExpunged(message: 1, of: other))
        }
        #expect(content.tenantsLeft.map { [$0.behind, $0.through] } == [[0, 250]])
        // One at a time has the file: each start may write it anew.
        try ExpungedContent(folder: folder, before: 0).erased(messagesOf: own, through: 100)
        let later = try ExpungedContent(folder: folder, before: 0)
        #expect(later.tenantsLeft.map { [$0.behind, $0.through] } == [[100, 250]])
        try later.erased(messagesOf: own, through: 250)
        #expect(try ExpungedContent(folder: folder, before: 0).tenantsLeft.isEmpty)
        // All of it has left the log.
        #expect(try !ExpungedContent(folder: folder, before: 251).isExpunged(message: 1, of: own))
    }
}
