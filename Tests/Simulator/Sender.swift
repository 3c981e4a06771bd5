// A provider: sends events one after the other over a connection, waits for each answer, and tries again what got none
// or a refusal, as providers do; some lose patience, some send again what was answered.

import FastPath

package final class Sender {
    /// What it goes through; per mille.
    package struct Habits {
        package var pieceBytesMax = 2000
        package var pausesMax: UInt64 = 100_000_000
        package var resets = 10
        package var stalls = 5
        package var repeats = 50
        package var forges = 50
        package var isPatient = true
        package init() {}
    }
    private let clock: Clockwork
    private let ledger: Ledger
    package var habits: Habits
    /// The way in; nil while there is no gateway.
    package var connect: (() -> Connection?)?
    private var connection: Connection?
    /// Sent, or to be sent, and not answered for good.
    private var current: Int?
    private var isAsking = false
    private var askedAt: UInt64 = 0
    /// Makes no new events.
    package var isEnding = false
    private static let patienceNanos: UInt64 = 8_000_000_000

    package init(_ clock: Clockwork, _ ledger: Ledger, _ habits: Habits) {
        self.clock = clock
        self.ledger = ledger
        self.habits = habits
    }
    package var isDone: Bool { current == nil && isEnding }
    package func begin() { pause(0) }

    private func pause(_ least: UInt64) {
        clock.after(least + clock.chance.between(0, habits.pausesMax)) { [weak self] in self?.next() }
    }
    private func next() {
        guard !isAsking else { return }
        if current == nil {
            guard !isEnding else { return hangUp() }
            let type = clock.chance.pick(["a", "b", "c"])
            let byteCount = clock.chance.pick([8, 60, 700, 3000, 6000])
            current = ledger.make(
                type: type, byteCount: byteCount, isForged: clock.chance.permille(habits.forges))
        }
        guard let link = connection ?? open() else { return pause(50_000_000) }
        ask(link)
    }
    private func open() -> Connection? {
        guard let fresh = connect?() else { return nil }
        fresh.onSent = { [weak self, weak fresh] in if let fresh { self?.heard(fresh) } }
        fresh.onEnd = { [weak self, weak fresh] in if let fresh { self?.lost(fresh) } }
        connection = fresh
        return fresh
    }
    private func ask(_ link: Connection) {
        guard let number = current else { return }
        ledger.tried(number)
        isAsking = true
        askedAt = clock.now
        let event = ledger.events[number]
        let token = event.isForged ? "wrong" : Sender.token
        let head =
            "POST /in/shop HTTP/1.1\r\nHost: a\r\nX-Id: k\(number)\r\nX-Type: \(event.type)\r\nX-Token: \(token)\r\n"
            + "Content-Length: \(event.body.count)\r\n\r\n"
        clock.note("sender asks", number, Int(link.descriptor))
        link.isStalled = clock.chance.permille(habits.stalls)
        link.say(Array(head.utf8) + event.body, pieceBytesMax: habits.pieceBytesMax)
        if clock.chance.permille(habits.resets) {
            clock.after(clock.chance.between(0, 20_000_000)) { [weak link] in link?.reset() }
        }
        clock.after(Sender.patienceNanos) { [weak self, weak link, askedAt] in
            guard let self, let link, isAsking, self.askedAt == askedAt, connection === link else { return }
            link.reset()
        }
    }
    package static let token = "the right one"

    private func heard(_ link: Connection) {
        guard link === connection, isAsking, let number = current else { return }
        guard let status = Sender.answer(&link.sent) else { return }
        isAsking = false
        clock.note("sender hears", number, status)
        ledger.told(number, status: status)
        if status >= 500 || status == 408 || status == 429 { return tryAgain(number) }
        current = clock.chance.permille(habits.repeats) ? number : nil
        pause(0)
    }
    private func tryAgain(_ number: Int) {
        if !habits.isPatient, ledger.events[number].tries >= 3 { current = nil }
        pause(100_000_000)
    }
    /// The status of an answer that is there whole; it is taken.
    private static func answer(_ bytes: inout [UInt8]) -> Int? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n"), let name = text.firstRange(of: "Content-Length: "),
            let count = Int(text[name.upperBound...].prefix { $0.isNumber }),
            let status = Int(text.dropFirst(9).prefix(3))
        else { return nil }
        let whole = text[..<end.upperBound].utf8.count + count
        guard bytes.count >= whole else { return nil }
        bytes.removeFirst(whole)
        return status
    }
    private func lost(_ link: Connection) {
        guard link === connection else { return }
        connection = nil
        link.end()
        guard isAsking, let number = current else { return }
        isAsking = false
        clock.note("sender lost", number)
        tryAgain(number)
    }
    private func hangUp() {
        connection?.end()
    }
}
