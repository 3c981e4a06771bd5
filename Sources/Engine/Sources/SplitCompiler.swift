// From `split: json:$.events` to what a worker reads with, and where the selectors of one event are then.
//
// Invariant: no two events of one request have one identity for being in one request: what the provider calls the
// request's is not an event's, and a key that reads nothing of the event is refused. What is dropped is lost.

import FastPath

enum SplitCompiler {
    /// Nil when a request is one event that the loop reads itself.
    static func reader(
        _ source: SourceConfiguration, _ selectors: EventSelectors, decodesBody: Bool, _ memory: CompiledMemory
    ) throws(SourceProblemError) -> EventReader? {
        guard let path = try path(of: source) else {
            // Of a source with schemas the type says which.
            guard decodesBody || !source.schemas.isEmpty else { return nil }
            return EventReader(selectors, elements: nil, decodesBody: decodesBody, in: memory)
        }
        guard !decodesBody else {
            throw SourceProblemError(
                .badSplit("is not possible where the scheme says `content_coding: decoded`; leave out one of the two"))
        }
        do throws(JSONPathError) {
            let elements = try JSONElements(path: path, countMax: BatchLimits.eventCountMax, in: memory)
            return EventReader(selectors, elements: elements, decodesBody: false, in: memory)
        } catch { throw SourceProblemError(.badSplit(error.message)) }
    }
    private static func path(of source: SourceConfiguration) throws(SourceProblemError) -> String? {
        guard let split = source.split else { return nil }
        guard split.hasPrefix("json:$") else {
            throw SourceProblemError(
                .badSplit(
                    "\"\(split)\" does not say where the list is; write json:$ for a body that is one, "
                        + "or json:$.events"))
        }
        return String(split.dropFirst("json:".count))
    }

    /// The provider's places, which are those of the first event of a request, as places of one event.
    static func places(_ list: [String], in source: SourceConfiguration) -> [String] {
        guard let split = source.split else { return list }
        return list.map { place in
            let first = split + "[0]"
            return place.hasPrefix(first + ".") ? "json:$" + place.dropFirst(first.count) : place
        }
    }
    /// Every alternative must read something of the event.
    static func check(
        _ dedupKey: [String], of source: SourceConfiguration, _ provider: Provider
    ) throws(SourceProblemError) {
        guard source.split != nil else { return }
        guard !provider.takesEnvelope else {
            throw SourceProblemError(
                .badSplit(
                    "is not possible for provider \(provider.name), whose requests hold one event each; leave it out"))
        }
        for key in dedupKey {
            let parts = DedupKeySpelling.parts(of: key)
            guard !parts.contains(where: { $0.hasPrefix("json:") || $0 == "body" }) else { continue }
            throw SourceProblemError(
                .selector(
                    key: "dedup: key",
                    why: "\"\(key)\" is the same for all events of a request that is split, so that all but one would "
                        + "be dropped; name a place in the event, such as json:$.id"))
        }
    }
}
