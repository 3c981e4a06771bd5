// An endpoint: takes requests, answers by its mood, comes back. What it takes it tells the ledger.

import FastPath

package final class Receiver {
    package enum Mood: Int, CaseIterable {
        case good, slow, failing, busy, refusing, silent, lying, breaking
    }
    private let clock: Clockwork
    private let ledger: Ledger
    private let number: Int
    package var mood = Mood.good
    private var toAnswer = 0

    package init(_ clock: Clockwork, _ ledger: Ledger, number: Int) {
        self.clock = clock
        self.ledger = ledger
        self.number = number
    }

    package func connect(_ connection: Connection, _ tag: Tag) {
        if mood == .silent { return }
        let result: Int32 = mood == .refusing ? -111 : 0
        connection.onSent = { [weak self, weak connection] in if let connection { self?.heard(connection) } }
        connection.port.later(3_000_000) {
            guard connection.connect != nil else { return }
            connection.connect = nil
            connection.port.complete(tag, result)
        }
    }
    private func heard(_ connection: Connection) {
        while let (id, body) = Receiver.request(&connection.sent) {
            let isTaken = mood == .good || mood == .slow
            clock.note("endpoint hears", number, isTaken ? 1 : 0)
            ledger.arrived(number, id: id, body: body, isTaken: isTaken)
            answer(connection, isTaken)
        }
    }
    private func answer(_ connection: Connection, _ isTaken: Bool) {
        let (text, end) = words(isTaken)
        guard let text else { return }
        let delay = mood == .slow ? clock.chance.between(0, 3_000_000_000) : clock.chance.between(0, 5_000_000)
        clock.after(delay) { [weak connection] in
            guard let connection, connection.isOpen else { return }
            connection.say(Array(text.utf8), pieceBytesMax: 200)
            if end { connection.end() }
        }
    }
    /// And whether the connection ends behind it; nothing for silence.
    private func words(_ isTaken: Bool) -> (String?, Bool) {
        if isTaken {
            return clock.chance.pick([
                ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false),
                ("HTTP/1.1 204 No Content\r\n\r\n", false),
                ("HTTP/1.1 202 Yes\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nyes\r\n0\r\n\r\n", false),
                ("HTTP/1.1 200 OK\r\n\r\nuntil the end", true),
            ])
        }
        switch mood {
        case .failing: return ("HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", false)
        case .busy: return ("HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", false)
        case .lying: return ("200 is what you want to hear\r\n\r\n", true)
        case .breaking: return ("HTTP/1.1 20", true)
        case .good, .slow, .refusing, .silent: return (nil, false)
        }
    }
    private static let headEnd = Array("\r\n\r\n".utf8)

    private static func request(_ bytes: inout [UInt8]) -> (id: String, body: [UInt8])? {
        guard let head = end(of: headEnd, in: bytes.prefix(4000)) else { return nil }
        let text = bytes[..<head]
        guard let count = Int(value(of: "Content-Length: ", in: text)), bytes.count >= head + count else { return nil }
        let id = value(of: "webhook-id: ", in: text)
        guard !id.isEmpty else { return nil }
        let body = Array(bytes[head..<head + count])
        bytes.removeFirst(head + count)
        return (id, body)
    }
    /// What stands between the name and the end of its line; empty without it.
    private static func value(of name: String, in head: ArraySlice<UInt8>) -> String {
        guard let start = end(of: Array(name.utf8), in: head) else { return "" }
        return String(decoding: head[start...].prefix { $0 != 13 && $0 != 10 }, as: UTF8.self)
    }
    /// Behind the first place of `pattern`.
    private static func end(of pattern: [UInt8], in bytes: ArraySlice<UInt8>) -> Int? {
        bytes.withUnsafeBufferPointer { bytes in
            guard bytes.count >= pattern.count else { return nil }
            for start in 0...bytes.count - pattern.count where bytes[start] == pattern[0] {
                if pattern.indices.allSatisfy({ bytes[start + $0] == pattern[$0] }) { return start + pattern.count }
            }
            return nil
        }
    }
}
