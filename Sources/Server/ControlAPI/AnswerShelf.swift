// Answers to calls that may come again, in memory, and which of those calls run. Bounded by number and by bytes; the
// oldest go first. Passive; the time comes in.
//
// Invariants: an answer is found until its end and no longer; a scope runs at most once at a time.
import Engine
import FastPath

/// Who called what with which key.
package struct AnswerScope: Hashable, Sendable {
    let digest: [UInt8]

    package init(_ text: String) { digest = Digest.sha256(Array(text.utf8)) }
    /// Of its `text`; nil when it is none.
    init?(hex: String) {
        guard let digest = TextEncoding.bytes(of: hex, as: .hex) else { return nil }
        self.digest = digest
    }
    var text: String { TextEncoding.hex(digest) }
}

package protocol KeptAnswer: Sendable {
    var endMillis: Int64 { get }
    /// What it takes in memory, about.
    var byteCount: Int { get }
    /// Without its line feed; nil where it must not be on disk.
    func line(_ scope: AnswerScope) -> String?
}

package struct AnswerBounds: Sendable {
    var countMax: Int
    var bytesMax: Int
}

struct AnswerShelf<Answer: KeptAnswer>: Sendable {
    private struct Place: Sendable {
        var scope: AnswerScope
        var number: UInt64
    }
    let bounds: AnswerBounds
    private var kept: [AnswerScope: (answer: Answer, number: UInt64)] = [:]
    /// The oldest first; one whose number its answer no longer has is an older answer's.
    private var order = FIFOQueue<Place>()
    private var number: UInt64 = 0
    private var byteCount = 0
    private var running: Set<AnswerScope> = []

    init(_ bounds: AnswerBounds) { self.bounds = bounds }

    func answer(_ scope: AnswerScope, now: Int64) -> Answer? {
        kept[scope].flatMap { now < $0.answer.endMillis ? $0.answer : nil }
    }
    /// False when it runs already.
    mutating func begin(_ scope: AnswerScope) -> Bool { running.insert(scope).inserted }
    mutating func end(_ scope: AnswerScope) { running.remove(scope) }
    mutating func keep(_ scope: AnswerScope, _ answer: Answer, now: Int64) {
        number += 1
        if let old = kept.updateValue((answer, number), forKey: scope) { byteCount -= old.answer.byteCount }
        order.append(Place(scope: scope, number: number))
        byteCount += answer.byteCount
        while let place = order.first {
            if let oldest = self.answer(at: place) {
                let isOver = now >= oldest.endMillis
                guard isOver || kept.count > bounds.countMax || byteCount > bounds.bytesMax else { break }
                kept[place.scope] = nil
                byteCount -= oldest.byteCount
            }
            order.popFirst()
        }
    }
    private func answer(at place: Place) -> Answer? {
        kept[place.scope].flatMap { $0.number == place.number ? $0.answer : nil }
    }
    /// The oldest first.
    var lines: [String] { order.all.compactMap { place in answer(at: place).flatMap { $0.line(place.scope) } } }
}
