// Answers to calls that may come again, in memory, and which of those calls run. Bounded by number and by bytes; the
// oldest go first. Passive; the time comes in.
//
// Invariants: an answer is found until its end and no longer; a scope runs at most once at a time.
import FastPath
import Foundation

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
    let bounds: AnswerBounds
    private var kept: [AnswerScope: Answer] = [:]
    /// The oldest first; those before `first` are gone.
    private var order: [AnswerScope] = []
    private var first = 0
    private var byteCount = 0
    private var running: Set<AnswerScope> = []

    init(_ bounds: AnswerBounds) { self.bounds = bounds }

    func answer(_ scope: AnswerScope, now: Int64) -> Answer? {
        kept[scope].flatMap { now < $0.endMillis ? $0 : nil }
    }
    /// False when it runs already.
    mutating func begin(_ scope: AnswerScope) -> Bool { running.insert(scope).inserted }
    mutating func end(_ scope: AnswerScope) { running.remove(scope) }
    mutating func keep(_ scope: AnswerScope, _ answer: Answer, now: Int64) {
        if let old = kept.updateValue(answer, forKey: scope) { byteCount -= old.byteCount }
        order.append(scope)
        byteCount += answer.byteCount
        while first < order.count {
            let oldest = order[first]
            let isOver = kept[oldest].map { now >= $0.endMillis } ?? true
            guard isOver || kept.count > bounds.countMax || byteCount > bounds.bytesMax else { break }
            first += 1
            if let gone = kept.removeValue(forKey: oldest) { byteCount -= gone.byteCount }
        }
        if first > 1024, first * 2 > order.count {
            order.removeFirst(first)
            first = 0
        }
    }
    /// The oldest first.
    var lines: [String] { order[first...].compactMap { scope in kept[scope].flatMap { $0.line(scope) } } }
}
