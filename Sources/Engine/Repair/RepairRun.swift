// One repair on its way: which endpoint it stands at, what of a page is still to be done, when it goes on. Belongs to
// the repair thread. A step does a bounded piece: one page looked at, or one chunk sent.
//
// Invariant: `repair.progress` names the first delivery that is not done yet, so that whoever goes on from it misses
// none; what a crash lets be done twice is one chunk.

import FastPath

struct RepairRun<Log: EventLog> {
    var repair: Repair
    var walk: ReplayWalk<Log>?
    /// Of the page that was looked at last.
    var queue: ArraySlice<Replay> = []
    /// Of that page, counted when the queue is empty: a restart looks at the rest of it again.
    var pageBusy = 0
    var pageGone = 0
    /// Its endpoint is disabled: what matches is counted, and stays as it is.
    var isStopped = false
    /// Sequences that the destination had not come to when they were to be forwarded; it may have them by itself then.
    var unreached: Set<UInt64> = []
    /// Monotonic.
    var dueNanos: UInt64 = 0

    init(_ repair: Repair) { self.repair = repair }

    var order: RepairOrder { repair.order }
    /// So many a step that the pace is even: five steps a second.
    var chunkCount: Int { min(max(order.perSecond / 5, 1), 500) }
    /// How long so many take by the pace.
    func pauseNanos(after count: Int) -> UInt64 {
        UInt64(count) * 1_000_000_000 / UInt64(max(order.perSecond, 1))
    }

    mutating func enter(_ endpoint: EndpointID, _ walk: ReplayWalk<Log>, isStopped: Bool) {
        self.walk = walk
        self.isStopped = isStopped
        repair.progress.endpoint = endpoint.number
    }
    /// To the endpoints behind this one.
    mutating func leave() {
        walk = nil
        queue = []
        (pageBusy, pageGone) = (0, 0)
        unreached.removeAll()
        let (next, isLast) = repair.progress.endpoint.addingReportingOverflow(1)
        repair.progress.endpoint = isLast ? .max : next
        repair.progress.sequence = 0
    }
    mutating func take(_ page: ReplayPage, to place: UInt64) {
        (pageBusy, pageGone) = (page.alreadyPending, page.eventsGone)
        if isStopped {
            repair.progress.stopped += page.replays.count
        } else if order.isDry {
            repair.progress.matched += page.replays.count
        } else {
            queue = page.replays[...]
        }
        moveOn(to: place)
    }
    /// The chunk is done but for `left`, which is tried again.
    mutating func did(_ chunk: Int, left: [Replay], done: Int, busy: Int, stopped: Int, gone: Int, to place: UInt64) {
        queue = ArraySlice(left) + queue.dropFirst(chunk)
        repair.progress.matched += done + busy + gone
        repair.progress.done += done
        repair.progress.busy += busy
        repair.progress.stopped += stopped
        repair.progress.eventsGone += gone
        moveOn(to: place)
    }
    private mutating func moveOn(to place: UInt64) {
        guard let first = queue.first else {
            repair.progress.busy += pageBusy
            repair.progress.eventsGone += pageGone
            (pageBusy, pageGone) = (0, 0)
            repair.progress.sequence = place
            return
        }
        repair.progress.sequence = first.place.sequence
    }
}
