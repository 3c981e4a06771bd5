// A regular expression in RE2's syntax: no lookaround, no back reference, and so linear in the text. Compiled when it
// is saved, then used by any thread.
//
// Safety: owns what C made and frees it once; RE2's matching is const and safe from any number of threads; pointers
// into arrays and views live for one call. Source: https://github.com/google/re2/wiki/Syntax

import CShims
import Synchronization

/// Why an expression is refused, in RE2's words; they repeat a part of the expression and nothing else.
package struct LinearPatternError: Error, Equatable, Sendable {
    package let reason: String
}

@safe package final class LinearPattern: @unchecked Sendable {
    /// What one pattern may take, its caches included. RE2 refuses what does not fit; a cache that is full begins anew.
    package static let memoryBytesMax = 1 << 20
    /// What those may take that compile to few instructions, which is nearly all: an endpoint can have many of them.
    package static let smallMemoryBytesMax = 128 << 10
    package static let smallInstructionCountMax = 128
    /// An expression that would compile to more costs too much to run.
    package static let instructionCountMax = 10_000
    private static let reasonBytesMax = 256
    private static let inUse = Mutex(0)
    /// What all that there are now may take together.
    package static var bytesInUse: Int { inUse.withLock { $0 } }
    package let text: String
    /// What it compiles to; matching costs at most so much a byte.
    package let instructionCount: Int
    /// What it may take.
    package let memoryBytes: Int
    private let pattern: OpaquePointer
    /// Of its text alone, so that others may have it too.
    private let isPlain: Bool

    /// `isBytes`: a character is a byte; otherwise texts are UTF-8.
    package init(_ text: String, foldsCase: Bool = false, isBytes: Bool = false) throws(LinearPatternError) {
        self.text = text
        isPlain = !foldsCase && !isBytes
        var memory = LinearPattern.smallMemoryBytesMax
        var made = unsafe LinearPattern.made(text, foldsCase, isBytes, memory)
        if unsafe sluice_pattern_error(made, nil, 0)
            || sluice_pattern_size(made) > LinearPattern.smallInstructionCountMax
        {
            // Only the larger room says what is wrong with it.
            unsafe sluice_pattern_free(made)
            memory = LinearPattern.memoryBytesMax
            unsafe made = LinearPattern.made(text, foldsCase, isBytes, memory)
        }
        memoryBytes = memory
        unsafe pattern = made
        LinearPattern.inUse.withLock { $0 += memory }
        var reason = [CChar](repeating: 0, count: LinearPattern.reasonBytesMax)
        if unsafe sluice_pattern_error(made, &reason, reason.count) {
            instructionCount = 0
            let words = reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            throw LinearPatternError(reason: String(decoding: words, as: UTF8.self))
        }
        let size = unsafe Int(sluice_pattern_size(made))
        instructionCount = size
        guard size <= LinearPattern.instructionCountMax else {
            throw LinearPatternError(
                reason: "it compiles to \(size) instructions; at most \(LinearPattern.instructionCountMax)")
        }
    }
    private static func made(_ text: String, _ foldsCase: Bool, _ isBytes: Bool, _ memoryBytes: Int) -> OpaquePointer {
        let bytes = Array(text.utf8)
        guard
            let made = unsafe sluice_pattern_create(bytes, bytes.count, foldsCase, isBytes, Int64(memoryBytes))
        else { preconditionFailure("RE2 always makes a pattern") }
        return unsafe made
    }
    deinit {
        unsafe sluice_pattern_free(pattern)
        LinearPattern.inUse.withLock { $0 -= memoryBytes }
        guard isPlain else { return }
        // One that was made meanwhile goes out of the lock with us: it may end here too.
        let other = LinearPattern.shared.withLock { known -> LinearPattern? in
            let other = known[text]?.pattern
            if other == nil { known[text] = nil }
            return other
        }
        withExtendedLifetime(other) {}
    }

    // MARK: those that many ask for

    private struct Known: Sendable {
        weak var pattern: LinearPattern?
    }
    private static let shared = Mutex<[String: Known]>([:])
    /// That of everybody who asks for the same text, whose it is as long as somebody has it. Never on a loop.
    package static func shared(_ text: String) throws(LinearPatternError) -> LinearPattern {
        if let known = shared.withLock({ $0[text]?.pattern }) { return known }
        let made = try LinearPattern(text)
        return shared.withLock { known in
            if let other = known[text]?.pattern { return other }
            known[text] = Known(pattern: made)
            return made
        }
    }

    /// Whether it matches anywhere in `text`.
    package func matches(_ text: ByteView) -> Bool {
        unsafe sluice_pattern_find(pattern, text.base, text.count, 0, nil)
    }
    /// The leftmost match at `start` or behind it, as places in `text`.
    package func firstMatch(in text: ByteView, from start: Int = 0) -> Range<Int>? {
        var range = sluice_pattern_range()
        let isFound = unsafe sluice_pattern_find(pattern, text.base, text.count, start, &range)
        return isFound ? Int(range.start)..<Int(range.end) : nil
    }
}
