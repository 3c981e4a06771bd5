// Where the reader of arrivals stands in the log: behind what the dispatcher saw committed, never before it, so that
// the time of the commit is known. Passive.
import FastPath

package struct ArrivalReader {
    /// While the log cannot be read, notes beyond it become one with the last.
    package static let noteCountMax = 8192
    private var place: EventLocation
    private var notes: [CommitNote] = []
    private var next = 0

    package init(at place: EventLocation) { self.place = place }

    package mutating func add(_ more: [CommitNote]) {
        if next > 0 {
            notes.removeFirst(next)
            next = 0
        }
        notes += more
        if notes.count > ArrivalReader.noteCountMax {
            notes.replaceSubrange((ArrivalReader.noteCountMax - 1)..., with: notes.suffix(1))
        }
    }
    /// Events in their order, each with the time at which it was seen to be on disk. True when its bound ended it.
    package mutating func read(_ log: any EventLog, countMax: Int, _ body: (StoredEvent, UInt64) -> Void) -> Bool {
        var count = 0
        while next < notes.count {
            let note = notes[next]
            guard place.sequence < note.end else {
                next += 1
                continue
            }
            guard count < countMax else { return true }
            count += 1
            switch log.read(at: place) {
            case .event(let event):
                // What lies between has left the log.
                if event.place.sequence < note.end { body(event, note.nanos) }
                place = event.place.sequence < note.end ? event.next : EventLocation(sequence: note.end, position: 0)
            case .unreadable(let after): place = after
            // It may be read later.
            case .end, .unavailable: return false
            }
        }
        return false
    }
}
