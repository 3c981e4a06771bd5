// What an event's group is: of a published event what its publisher called it, of any other what its source's
// `event.group` finds in it. The bytes of the record say it each time, so it needs no place of its own in the log, and
// a restart or a replay finds the same. Pure.
//
// Invariant: of what a provider sent no field is taken for a group that its source does not name; a field of the name
// that publications use may be anybody's.

import FastPath

package struct EventGroups: Sendable {
    private var keys: [SourceID: OrderKey] = [:]
    /// For records that name their source only: sources of the default tenant.
    package var sourceNames: [[UInt8]: SourceID] = [:]

    package init() {}
    /// Sources without a group are left out.
    package init(_ sources: some Sequence<(id: SourceID, places: [String])>) {
        for source in sources { keys[source.id] = OrderKey(source.places) }
    }
    package func source(of event: StoredEvent) -> SourceID {
        guard event.sourceID.number == 0 else { return event.sourceID }
        return sourceNames[event.source.array] ?? event.sourceID
    }
    /// Nil when it has none.
    func withGroup<Result>(of event: StoredEvent, _ body: (ByteView) -> Result) -> Result? {
        if event.sourceID.isPublishing {
            let group = PublishedFields.group(in: event.fieldLines)
            return group.count > 0 ? body(group) : nil
        }
        // A source's own places name no group, so this ends.
        return keys.isEmpty ? nil : keys[source(of: event)]?.withValue(of: event, in: EventGroups(), body)
    }
}

extension RegistryState {
    var eventGroups: EventGroups {
        let grouped = sources.all.filter { !$0.settings.eventGroup.isEmpty }
        return EventGroups(grouped.map { (id: $0.id, places: $0.settings.eventGroup) })
    }
}
