// Publications on the ingest port: what looks at a call, and the source that takes them. The same calls as the control
// API's, at the same paths, for volume: the loop reads and answers, a worker thread decides.
//
// Invariant: who may publish what, and how a record says it, is decided by the same code as on the control API, which
// is behind `PublicationDesk`; nothing of it is here.
import FastPath

/// Looks at a call and makes the event of it. On worker threads, many at once; it may allocate and look something up,
/// and read the log where the call comes again.
package protocol PublicationDesk: Sendable {
    func decide(_ call: borrowing OffloadedRequest) -> Publication
}

/// The source of the ingest port that is no operator's.
enum IngestPublications {
    /// What `limits.body` allows is the payload; the rest of the call stands around it.
    static let wrapperBytesMax = 16 << 10
    static let eventsPath = "/api/v1/events"
    static let applicationPrefix = "/api/v1/app/"

    /// True exactly when an operator's source would be in the way.
    static func takes(path: String) -> Bool { path == eventsPath || path.hasPrefix(applicationPrefix) }

    static func source(in memory: CompiledMemory, bodyBytesMax: Int, counterSlot: Int) -> IngestSource {
        let selectors: EventSelectors
        do { selectors = try EventSelectors(eventID: [], eventType: [], dedupKey: [], in: memory) } catch {
            preconditionFailure("no selectors do not compile: \(error)")
        }
        var source = IngestSource(
            name: memory.place(text: PublishSource.name), scheme: nil, selectors: selectors, handshake: nil)
        source.takesPublications = true
        source.sourceNumber = SourceID.publishing.number
        source.verifierID = VerifierRegistry.publications
        source.bodyBytesMax = bodyBytesMax
        source.counterSlot = counterSlot
        return source
    }
    static func routes(in memory: CompiledMemory, source: Int) -> [IngestRoute] {
        [eventsPath, applicationPrefix + "*"].map { IngestRoute(memory.place(text: $0), source: source) }
    }
}
