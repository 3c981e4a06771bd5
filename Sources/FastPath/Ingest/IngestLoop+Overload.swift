// What the loop does when something runs short: who is refused first while the log's group fills, when those who are
// refused may come again, and who has to hurry while memory or places are scarce.
//
// Invariant: nothing here is looked at while there is room. Safety: `source` is the snapshot's, which the loop holds.

extension IngestLoop where IO: ~Copyable {
    /// More than half of the group is taken, and this source, or its tenant, has had its share of the rest.
    @inline(never)
    mutating func isOverShare(_ event: EventInput, _ source: UnsafePointer<IngestSource>) -> Bool {
        let tenant = event.tenant.count == 4 ? event.tenant.load(0, as: UInt32.self) : RecordFormat.defaultTenantNumber
        let claim = unsafe AdmissionShares.Claim(
            source: source.pointee.counterSlot, tenant: tenant, byteCount: event.groupByteCount ?? 0,
            isNeverRepeated: source.pointee.isNeverRepeated)
        return !shares.admits(claim, in: port.room, nowMillis: nowMillis)
    }
    /// A quarter of the memory for requests, of which large ones may not take the last half, or a sixteenth of the
    /// places for connections, is left.
    private var isShort: Bool {
        arena.freeBytes < arena.byteCount / 4
            || table.openCount > limits.connectionCountMax - limits.connectionCountMax / 16
    }
    /// Ends those whose time is over; while something is short, those too that have had a tenth of it. A few, and the
    /// next ones in a moment: each is answered and closed, and others would wait for a thousand that began together.
    mutating func endOverdue() {
        let isShort = isShort
        var left = IngestSizes.endingsMax
        while left > 0, overdueSlot < table.highWater {
            let slot = overdueSlot
            overdueSlot += 1
            if table.deadline(slot) <= nowMillis {
                left -= 1
                timeOut(slot)
            } else if isShort, table[slot].connection.hurry(now: nowMillis, limits) {
                left -= 1
                metrics.count(.connectionsHurried)
                timeOut(slot)
            }
        }
        let hasSeenAll = overdueSlot >= table.highWater
        if hasSeenAll { overdueSlot = 0 }
        overdueLookAt = nowMillis + (hasSeenAll ? IngestSizes.sweepMillis : IngestSizes.endingsMillis)
    }
}
